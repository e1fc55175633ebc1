"""What is counted, when that starts a compaction (B05, A24, A25), and the acceptance bar (B08)."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation import tokens
from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import acceptance, budget, clearing
from holdfast.session.compaction.acceptance import Unacceptable
from session.compacting import LIMITS, about, answer, call, exchange, ready, result, talked, told
from session.harness import World


def context(world: World) -> int:
    return budget.context_tokens(world.state, world.limits)


def counting(count: int, limits: inp.Limits = LIMITS) -> World:
    """A world after four exchanges, the last of which the API counted."""
    world = World(1, limits)
    for _ in range(3):
        exchange(world, said=about(600))
    exchange(world, said=about(600), tokens=count)
    return world


# -- the count -------------------------------------------------------------------------------------


@given(
    window=st.integers(100, 2_000_000),
    soft=st.floats(0.05, 1.0),
    hard=st.floats(0.05, 1.0),
    output=st.integers(1, 200_000),
)
@settings(max_examples=100, deadline=None)
def test_the_marks_stand_in_order_and_leave_room_for_an_answer(
    window: int, soft: float, hard: float, output: int
) -> None:
    limits = inp.Limits(
        "m", window_tokens=window, max_output_tokens=output, soft_mark=soft, hard_mark=hard
    )
    found = budget.marks(limits)
    assert 0 <= found.target <= found.soft <= found.hard <= window
    assert found.hard <= max(1, window - min(output, window // 8, 8_000))


@pytest.mark.survives("B05")
@pytest.mark.parametrize("overhead", [0, 6_000])
def test_B05_count_and_marks_are_in_one_unit_whatever_is_sent_besides_the_messages(
    overhead: int,
) -> None:
    limits = attrs.evolve(LIMITS, overhead_tokens=overhead)
    soft = budget.marks(limits).soft
    assert told(counting(soft - 100, limits), ev.CompactionStarted) == []
    assert told(counting(soft + 100, limits), ev.CompactionStarted) != []


@pytest.mark.survives("B05")
def test_B05_without_a_count_everything_that_is_sent_is_estimated() -> None:
    world = World(1, attrs.evolve(LIMITS, overhead_tokens=5_000))
    exchange(world, said=about(1_000))
    assert 6_000 <= context(world) <= 6_200


@pytest.mark.survives("B05")
@pytest.mark.parametrize("count", [4_623_740, 24_001, 0])
def test_B05_an_impossible_count_is_not_believed_and_teaches_nothing(count: int) -> None:
    world = counting(count)
    assert context(world) < 4_000
    for _ in range(3):
        exchange(world, said=about(600), tokens=count)
    assert budget.ratio(world.state) == 1.0
    assert told(world, ev.CompactionStarted) == []


@pytest.mark.survives("B05")
def test_B05_a_count_from_before_a_compaction_does_not_start_the_next_one() -> None:
    world = talked()
    exchange(world, tokens=16_500)
    ready(world)
    assert context(world) < budget.marks(LIMITS).soft
    exchange(world)
    assert len(told(world, ev.CompactionStarted)) == 1


@pytest.mark.survives("B05")
def test_B05_another_models_count_does_not_hide_what_this_one_has_to_read() -> None:
    world = counting(900)
    assert context(world) < 1_000
    world.give(inp.Note((ev.ModelSelected(model="small"),)))
    assert context(world) > 2_400


@pytest.mark.survives("A24")
def test_A24_a_model_with_a_smaller_window_gets_a_request_that_fits() -> None:
    world = World(1, attrs.evolve(LIMITS, window_tokens=1_000_000))
    for _ in range(30):
        exchange(world, said=about(1_000))
    world.give(inp.Note((ev.ModelSelected(model="small"),)))
    world.limits = LIMITS
    world.submit("Now you.")
    ready(world, "A digest.", rung=ev.Rung.DIGEST)
    assert context(world) < budget.marks(LIMITS).hard
    answer(world)


def test_estimates_are_corrected_by_what_the_api_counts_for_the_same_messages() -> None:
    world = World(1, attrs.evolve(LIMITS, window_tokens=200_000))
    count = 5_000
    for _ in range(8):
        exchange(world, said=about(1_000), tokens=count)
        count += 1_500
    assert 1.3 <= budget.ratio(world.state) <= 1.5


def test_inside_a_tool_loop_the_marks_are_looked_at_after_each_result() -> None:
    world = talked(times=4, size=2_000)
    world.submit("Look at all of it.")
    for _ in range(4):
        (tool_use_id,) = call(world, "read")
        result(world, tool_use_id, about(2_000))
    assert [e.trigger for e in told(world, ev.CompactionStarted)] == ["auto"]
    assert world.state.turn is not None


def test_A25_many_bytes_of_few_tokens_start_a_compaction_too() -> None:
    profile = attrs.evolve(LIMITS.profile, body_bytes_max=100_000)
    world = World(1, attrs.evolve(LIMITS, window_tokens=1_000_000, profile=profile))
    for _ in range(10):
        exchange(world, said="kelp " * 2_000)
    assert [e.trigger for e in told(world, ev.CompactionStarted)] == ["auto"]


# -- shortening ------------------------------------------------------------------------------------


@given(size=st.integers(0, 60_000), kept=st.sampled_from((0, 300, 1_000, 12_000)))
@settings(max_examples=60, deadline=None)
def test_a_shortened_output_says_how_much_there_was_and_how_it_is_read_again(
    size: int, kept: int
) -> None:
    output = "é" * (size // 2)
    whole = Block.of(
        {"type": "tool_result", "tool_use_id": "t", "content": output, "is_error": True}
    )
    shown = view.result_of(whole, kept, "17")
    said = shown.text_of("content")
    assert f"{len(output.encode())} bytes in all" in said
    assert "`recall_read` with entry 17" in said
    assert len(said.encode()) <= kept + 200
    assert shown.get("is_error") is True
    assert shown.text_of("tool_use_id") == "t"


def test_shortening_saves_what_is_asked_for_with_the_fewest_outputs() -> None:
    world = World(1, attrs.evolve(LIMITS, window_tokens=1_000_000))
    world.submit("Look.")
    for size in (500, 9_000, 5_000):
        (tool_use_id,) = call(world, "read")
        result(world, tool_use_id, about(size))
    found = clearing.newest(view.messages(world.state), 4_000)
    assert len(found.cleared) == 1
    assert found.saved >= 4_000
    assert clearing.newest(view.messages(world.state), 1_000_000).saved < 1_000_000


# -- the acceptance bar ----------------------------------------------------------------------------


def bar(**changes: object) -> acceptance.Bar:
    return attrs.evolve(acceptance.Bar(covered_tokens=5_000), **changes)


GOOD = "The person asked about kelp. It was found in kelp.txt and counted. Nothing is open."
SOURCE = " ".join(f"word{n}" for n in range(2_000))


@pytest.mark.survives("B08")
@pytest.mark.parametrize(
    ("summary", "stop", "held_to", "reason"),
    [
        ("", "end_turn", bar(), "empty"),
        ("I cannot.", "end_turn", bar(), "empty"),
        (GOOD, "refusal", bar(), "refusal"),
        (GOOD, "tool_use", bar(), "toolCall"),
        (GOOD, "max_tokens", bar(), "max_tokens"),
        (GOOD, "", bar(), "incomplete"),
        (GOOD, "end_turn", bar(covered_tokens=20), "notSmaller"),
        (GOOD, "end_turn", bar(budget_tokens=10), "overBudget"),
        (GOOD, "end_turn", bar(previous=GOOD), "tooSimilar"),
        (SOURCE[:9_000], "end_turn", bar(source=SOURCE), "tooSimilar"),
        (GOOD, "end_turn", bar(files=frozenset({"dulse.txt"})), "namesNothing"),
        (GOOD, "end_turn", bar(tasks=(frozenset({"harvest", "dulse"}),)), "namesNothing"),
        ("x" * 100, "end_turn", bar(chars_min=200), "empty"),
    ],
)
def test_B08_what_does_not_pass_the_bar_says_why(
    summary: str, stop: str, held_to: acceptance.Bar, reason: str
) -> None:
    with pytest.raises(Unacceptable) as caught:
        acceptance.check(summary, stop, held_to)
    assert caught.value.reason == reason


@pytest.mark.parametrize("stop", ["end_turn", "compaction"])
def test_a_summary_that_is_complete_smaller_and_names_the_work_passes(stop: str) -> None:
    files = frozenset({"kelp.txt", "dulse.txt"})
    acceptance.check(GOOD, stop, bar(files=files, source=SOURCE, previous="Before that."))


def test_the_bar_of_a_session_knows_its_open_tasks_and_the_files_that_were_changed() -> None:
    world = World(1, LIMITS)
    world.submit("Write it.")
    (tool_use_id,) = call(world, "edit")
    result(world, tool_use_id, about(2_000))
    answer(world, text("Done. " + about(2_000)))
    for _ in range(3):
        exchange(world, said=about(1_000))
    todos = (
        ev.TodoItem(text="Harvest the dulse", status="pending"),
        ev.TodoItem(text="Find the boat", status="completed"),
    )
    world.give(inp.Note((ev.TodosUpdated(todos=todos),)))
    world.give(inp.CompactAsked())
    running = world.state.compaction
    assert running is not None
    found = acceptance.bar_of(world.state, running.started, 900)
    assert found.files == {"edit.txt"}
    assert found.tasks == (frozenset({"harvest", "dulse"}),)
    assert found.budget_tokens == 900
    assert found.covered_tokens > 3_000


def test_a_chunk_is_held_to_less_than_a_whole_summary() -> None:
    chunk = about(1_000)
    acceptance.check("They read a file of kelp.", "end_turn", acceptance.chunk_bar(chunk))
    with pytest.raises(Unacceptable, match="notSmaller"):
        acceptance.check(chunk, "end_turn", acceptance.chunk_bar(chunk[:100]))
    assert acceptance.chunk_bar(chunk).covered_tokens == tokens.estimate_text(chunk)
