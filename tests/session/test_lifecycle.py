"""The state machine in a hostile world (P1, P2, P3, P6, P7), and its table of restarts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.failures import POLICIES, Failure, FailureKind
from holdfast.session.phases import ALLOWED, RESTART
from holdfast.session.state import Phase
from session.harness import World


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 120))
@settings(max_examples=150, deadline=None)
def test_P1_to_P7_hold_after_every_step_of_a_hostile_world(seed: int, steps: int) -> None:
    world = World(seed)
    for _ in range(steps):
        world.step()  # The world checks the promises after each input.


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 80))
@settings(max_examples=80, deadline=None)
def test_P3_once_the_world_is_kind_again_the_next_prompt_gets_its_answer(
    seed: int, steps: int
) -> None:
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.settle()
    prompt_id = world.submit("Are you still there?")
    world.settle()
    ends = [r.event for r in world.journal if isinstance(r.event, ev.TurnEnded)]
    assert ends[-1].reason is ev.TurnEnd.COMPLETED
    assert prompt_id in world.state.prompt_origins


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_every_turn_that_started_ends_exactly_once(seed: int, steps: int) -> None:
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.settle()
    started = [r.event.turn_id for r in world.journal if isinstance(r.event, ev.TurnStarted)]
    ended = [r.event.turn_id for r in world.journal if isinstance(r.event, ev.TurnEnded)]
    assert started == ended


def streaming(words: str = "Half an answer") -> World:
    world = World(seed=1)
    world.submit()
    started = ev.ResponseStarted(message_id="m", model="m", input_tokens=1)
    world.give(inp.Arrived((started, ev.BlockDelta(index=0, kind="text", text=words))))
    assert world.state.phase is Phase.STREAMING
    return world


def with_calls(*names: str) -> World:
    world = World(seed=1)
    world.submit()
    for index, name in enumerate(names):
        block = Block.of({"type": "tool_use", "id": f"t{index}", "name": name, "input": {}})
        finished = ev.BlockFinished(index=index, block=ev.raw_blocks((block,))[0])
        world.give(inp.Arrived((finished,)))
    world.give(inp.Completed("m", "tool_use", ev.Usage(input_tokens=5, output_tokens=5)))
    return world


def judge_all(world: World, *, mutates: bool) -> None:
    for effect in [e for e in world.pending if isinstance(e, inp.Judge)]:
        world.pending.remove(effect)
        world.give(inp.Judged(effect.tool_use_id, inp.Verdict("allow", "rule", mutates=mutates)))


def look(world: World, before: ev.FileEvidence | None = None) -> None:
    """Answer every look that is asked for before a change."""
    for effect in [e for e in world.pending if isinstance(e, inp.LookBefore)]:
        world.pending.remove(effect)
        world.give(inp.Looked(effect.tool_use_id, before))


def running(world: World) -> list[str]:
    return [e.tool_use_id for e in world.pending if isinstance(e, inp.RunTool)]


def restart(world: World) -> None:
    world.pending = []
    world.give(inp.Restarted(generation=2))


def test_P6_a_call_that_had_started_before_a_crash_is_told_as_unknown_and_never_run_again() -> None:
    world = with_calls("run")
    judge_all(world, mutates=True)
    look(world)
    assert running(world) == ["t0"]
    restart(world)
    assert running(world) == []
    result = world.state.messages[-1].blocks[0]
    assert result.get("is_error")
    assert "outcome unknown" in result.raw
    assert world.state.phase is Phase.REQUESTING


def evidence(size: int | None, digest: str | None = "a") -> ev.FileEvidence:
    return ev.FileEvidence(path="f.txt", sha256=None if size is None else digest, size=size)


@pytest.mark.parametrize(
    ("before", "after", "shows"),
    [
        (evidence(3), evidence(3), "seems not to have taken place"),
        (evidence(3), evidence(3, "b"), "differs from before the call"),
        (evidence(3), evidence(None), "does not exist now"),
        (evidence(None), evidence(5), "did not exist before the call and has 5 bytes now"),
        (evidence(None), evidence(None), "does not exist, as before the call"),
        (evidence(3), None, "cannot be read now"),
    ],
)
def test_P6_after_a_crash_the_model_is_told_what_the_file_of_a_change_shows(
    before: ev.FileEvidence, after: ev.FileEvidence | None, shows: str
) -> None:
    world = with_calls("edit")
    judge_all(world, mutates=True)
    look(world, before)
    started = [r.event for r in world.journal if isinstance(r.event, ev.ToolStarted)]
    assert started[0].before == before, "the evidence is in the write-ahead record"
    restart(world)
    assert [type(e) for e in world.pending] == [inp.LookAfter]
    world.give(inp.LookedAgain("t0", after))
    told = world.state.messages[-1].blocks[0].raw
    assert shows in told
    assert "outcome unknown" in told
    assert running(world) == []


def test_a_call_that_had_not_started_before_a_crash_is_judged_anew() -> None:
    world = with_calls("run")
    restart(world)
    assert [type(e) for e in world.pending] == [inp.Judge]


def test_an_open_question_survives_a_crash_and_is_answered_once() -> None:
    world = with_calls("run")
    world.pending = []
    world.give(inp.Judged("t0", inp.Verdict("ask", "rule", title="Run it?")))
    restart(world)
    assert list(world.state.questions) == ["s_1:t0"]
    world.give(inp.Answered("s_1:t0", "deny"))
    world.give(inp.Answered("s_1:t0", "allow"))
    assert running(world) == []
    assert "did not allow" in world.state.messages[-1].blocks[0].raw


def test_calls_that_change_something_run_one_after_another_in_the_order_of_the_message() -> None:
    world = with_calls("edit", "run")
    judge_all(world, mutates=True)
    look(world)
    assert running(world) == ["t0"]
    world.pending = [e for e in world.pending if not isinstance(e, inp.RunTool)]
    world.give(inp.Ran("t0", (text("done"),)))
    look(world)
    assert running(world) == ["t1"]


def test_calls_that_only_read_run_side_by_side() -> None:
    world = with_calls("read", "grep")
    judge_all(world, mutates=False)
    assert running(world) == ["t0", "t1"]


def test_a_call_cut_at_the_output_limit_never_runs_and_the_model_is_told() -> None:
    world = World(seed=1)
    world.submit()
    block = Block.of({"type": "tool_use", "id": "t0", "name": "write", "input": {"a": "b"}})
    finished = ev.BlockFinished(index=0, block=ev.raw_blocks((block,))[0])
    world.give(inp.Arrived((finished,)))
    world.give(inp.Completed("m", "max_tokens", ev.Usage()))
    assert running(world) == []
    assert "cut at the output limit" in world.state.messages[-1].blocks[0].raw


def test_A27_a_call_whose_arguments_were_no_object_never_runs_and_the_model_is_told() -> None:
    world = World(seed=1)
    world.submit()
    for raw in ({"_unparsed": '{"a": '}, "text", [1], None):
        block = Block.of({"type": "tool_use", "id": f"t{raw!r}", "name": "run", "input": raw})
        finished = ev.BlockFinished(index=0, block=ev.raw_blocks((block,))[0])
        world.give(inp.Arrived((finished,)))
        world.give(inp.Completed("m", "tool_use", ev.Usage()))
        assert not [e for e in world.pending if isinstance(e, (inp.Judge, inp.RunTool))]
        assert "not a valid JSON object" in world.state.messages[-1].blocks[0].raw


def test_C03_text_that_arrived_before_a_cut_is_kept_and_the_model_is_asked_to_go_on() -> None:
    world = streaming("Half an answer")
    world.give(inp.Failed(Failure(kind=FailureKind.CUT, message="reset")))
    answer, request = world.state.messages[-2:]
    assert answer.blocks[0].get("text") == "Half an answer"
    assert "Continue exactly where it stopped" in request.blocks[0].text_of("text")
    assert world.state.phase is Phase.WAITING


def test_C04_a_cut_before_any_text_repeats_the_identical_request() -> None:
    world = World(seed=1)
    world.submit()
    before = view.messages(world.state)
    world.give(inp.Failed(Failure(kind=FailureKind.CUT, message="reset")))
    assert view.messages(world.state) == before


def test_P7_stop_ends_the_turn_in_one_step_in_every_phase_of_a_turn() -> None:
    worlds = {
        Phase.REQUESTING: World(seed=1),
        Phase.STREAMING: streaming(),
        Phase.RUNNING_TOOLS: with_calls("run"),
    }
    worlds[Phase.REQUESTING].submit()
    for phase, world in worlds.items():
        assert world.state.phase is phase
        world.give(inp.Stop())
        assert world.state.phase is Phase.IDLE


def test_stop_holds_what_is_queued_and_the_next_prompt_lets_it_go_on() -> None:
    world = streaming()
    world.submit("second")
    world.give(inp.Stop())
    assert world.state.phase is Phase.QUEUED
    world.submit("third")
    assert world.state.turn is not None
    assert [p.prompt_id for p in world.state.queue] == ["p5"]


def test_retries_use_the_time_the_server_asks_for() -> None:
    world = World(seed=1)
    world.submit()
    limited = Failure(kind=FailureKind.RATE_LIMITED, message="slow down", retry_after_ms=7_000)
    world.give(inp.Failed(limited))
    assert world.state.wait is not None
    assert world.state.wait.retry_at_ms == world.now_ms + 7_000


def test_a_spent_budget_pauses_the_turn_which_then_tries_again_by_itself() -> None:
    world = World(seed=1)
    world.submit()
    for _ in range(200):
        if world.state.phase is Phase.PAUSED:
            break
        if world.state.phase is Phase.WAITING:
            world.act(next(e for e in world.pending if isinstance(e, inp.WakeAt)))
        else:
            world.give(inp.Failed(Failure(kind=FailureKind.SERVER, message="504")))
    pause = world.state.pause
    assert pause is not None
    assert pause.retry_at_ms is not None
    assert "504" in pause.message
    requests = world.requests
    world.now_ms = pause.retry_at_ms
    world.give(inp.Tick())
    assert (world.state.phase, world.requests) == (Phase.PAUSED, requests)
    assert inp.Probe(pause.since_ms) in world.pending, "the endpoint is looked at first, for free"
    world.give(inp.Probed(pause.since_ms))
    assert world.state.phase is Phase.REQUESTING


def test_P3_every_kind_of_failure_leaves_the_session_waiting_examining_or_paused() -> None:
    for kind in FailureKind:
        world = World(seed=1)
        world.submit()
        world.give(inp.Failed(Failure(kind=kind, message="raw words")))
        examining = {Phase.REPAIRING} if kind is FailureKind.INVALID_REQUEST else set()
        assert world.state.phase in {Phase.WAITING, Phase.PAUSED} | examining
        assert kind in POLICIES


def test_the_same_prompt_id_twice_is_one_prompt() -> None:
    world = World(seed=1)
    submit = inp.Submit("p", "t", (text("hello"),))
    world.give(submit)
    length = len(world.journal)
    world.give(submit)
    assert len(world.journal) == length


def test_each_phase_has_a_row_for_a_restart() -> None:
    assert set(RESTART) == set(Phase)


def test_each_turn_event_names_the_phases_it_may_happen_in() -> None:
    for kind, phases in ALLOWED.items():
        assert phases, kind
