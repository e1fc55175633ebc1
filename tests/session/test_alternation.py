"""Sessions at an endpoint that wants one message for each turn (R20, A32; P2, P4).

The history is never joined, a request is: a joined history has lost where its prompts begin, and a
compaction that is cut before one would hide it.
"""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from conversation.notation import parse
from holdfast.conversation.history import History
from holdfast.conversation.models import Endpoint, profile_of
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.conversation.turns import joined, merged, place_before_joining
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import refusals, view
from holdfast.session.failures import Failure, FailureKind
from session.compacting import LIMITS, about, answer, exchange, ready, shown, talked, told, wanted
from session.harness import World

STRICT = profile_of("claude-opus-5-5", Endpoint.COMPATIBLE)
THERE = attrs.evolve(STRICT, strict_alternation=False)
"""The grammar of a history for an endpoint where turns are joined on the way out."""
REFUSED = Failure(
    kind=FailureKind.INVALID_REQUEST,
    message="messages: roles must alternate between user and assistant",
    status=400,
)
DEEDS = ("exchange", "stopped", "compact", "there", "here")


def stopped(world: World, prompt: str) -> None:
    """A prompt that a person stops before there is an answer: two messages of one role."""
    world.submit(prompt)
    world.give(inp.Stop())
    world.pending = [e for e in world.pending if not isinstance(e, inp.CallModel)]


def compact(world: World) -> None:
    world.give(inp.CompactAsked())
    if world.state.compaction is not None:
        ready(world)


@settings(max_examples=200, deadline=None)
@given(deeds=st.lists(st.sampled_from(DEEDS), min_size=2, max_size=14))
def test_P4_the_prompt_is_in_the_request_whatever_is_joined_and_cut(deeds: list[str]) -> None:
    world = talked(times=2)
    for number, deed in enumerate(deeds):
        match deed:
            case "exchange":
                exchange(world, f"asked-{number}", about(700))
            case "stopped":
                stopped(world, f"stopped-{number} {about(700)}")
            case "compact":
                compact(world)
            case "there":
                world.limits = attrs.evolve(LIMITS, profile=THERE, turns_joined=True)
            case _:
                world.limits = LIMITS
        world.submit(f"now-{number}")
        assert wanted(world, inp.CallModel)
        assert f"now-{number}" in shown(world)
        if world.limits.turns_joined:
            assert validate(joined(view.messages(world.state)), STRICT) == ()
        answer(world)


def test_B22_the_prompts_behind_a_cut_stay_where_turns_are_joined() -> None:
    world = talked(times=6)
    stopped(world, f"stopped {about(3_000)}")
    stopped(world, f"stopped too {about(3_000)}")
    compact(world)
    world.limits = attrs.evolve(LIMITS, profile=THERE, turns_joined=True)
    world.submit("newest")
    assert "stopped too" in shown(world)
    assert "newest" in shown(world)


def test_A32_an_endpoint_that_says_so_gets_one_message_for_each_turn_from_then_on() -> None:
    """One refused request teaches it; no examination, and no change of the history."""
    world = World(1, LIMITS)
    stopped(world, "First.")
    world.submit("Second.")
    world.give(inp.Failed(REFUSED))
    assert world.state.learned["m"].turns_joined
    assert wanted(world, inp.CallModel), "it is sent again"
    assert told(world, ev.HistoryRepaired) == []


# -- what is joined ------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(make.any_history)
def test_P2_a_history_that_is_in_order_is_in_order_when_its_turns_are_joined(
    history: History,
) -> None:
    kept = repair(history, profile=THERE).history
    assert validate(joined(kept), STRICT) == ()


@settings(max_examples=200, deadline=None)
@given(make.any_history)
def test_a_place_of_what_was_sent_is_found_in_the_history(history: History) -> None:
    """What the API says of `messages.N.content.M` speaks of the joined messages."""
    sent = joined(history)
    for number, message in enumerate(sent):
        for index, block in enumerate(message.blocks):
            place = place_before_joining(history, number, index)
            assert place is not None
            at, where = place
            assert where is not None
            assert history[at].blocks[where] is block
    assert place_before_joining(history, len(sent), 0) is None
    for number, turn in enumerate(merged(history)):
        alone = turn.stop - turn.start == 1
        assert place_before_joining(history, number, None) == (
            (turn.start, None) if alone else None
        )


@pytest.mark.parametrize(
    ("said", "message", "block"),
    [
        ("messages.0.content.2: no", 1, 1),
        ("messages.1: no", 2, None),
        ("messages.0: no", None, None),
        ("messages.7.content.0: no", None, None),
        ("no", None, None),
    ],
)
def test_P12_a_refusal_blames_the_message_that_it_means(
    said: str, message: int | None, block: int | None
) -> None:
    history = parse("user: a / + user: b / user: c / assistant: d")
    found = refusals.read(Failure(kind=FailureKind.INVALID_REQUEST, message=said, status=400))
    placed = refusals.before_joining(found, history)
    assert (placed.message, placed.block) == (message, block)
