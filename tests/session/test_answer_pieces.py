"""Answers that die at the same age are asked for in pieces (C06, P3, P12)."""

from __future__ import annotations

import itertools

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.conversation.history import text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import lifetimes, wording
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.items import Items
from holdfast.session.items.shapes import NoticeItem, TextItem
from holdfast.session.lifetimes import DurationCap, Lived
from holdfast.session.state import Phase
from session.harness import LIMITS, World

T_MS = 60_000
WINDOW = 200_000
ENDED = {
    Cause.CUT_STREAM: FailureKind.CUT,
    Cause.GATEWAY_TIMEOUT: FailureKind.TIMEOUT,
    Cause.RESET: FailureKind.NETWORK,
}
AT_T = Lived(age_ms=T_MS, accepted_ms=1_000, speaking_ms=50_000, tokens=2_000)
"""An answer that came at 40 tokens a second and died of age."""


QUICK = Lived()


def world() -> World:
    return World(1, attrs.evolve(LIMITS, window_tokens=WINDOW, max_output_tokens=32_000))


def dies(at: World, lived: Lived, cause: Cause | None = Cause.CUT_STREAM) -> None:
    """Have the request under way die, and the next one sent when it is due."""
    kind = ENDED.get(cause, FailureKind.CUT) if cause is not None else FailureKind.CUT
    at.give(inp.Failed(Failure(kind=kind, message="m", cause=cause), lived))
    if at.state.wait is not None:
        at.now_ms = max(at.now_ms, at.state.wait.retry_at_ms)
        at.give(inp.Tick())


def says(at: World, words: str) -> None:
    at.give(inp.Arrived((ev.ResponseStarted(message_id="m", model="m", input_tokens=9),)))
    if words:
        block = msgspec.Raw(text(words).raw.encode())
        at.give(inp.Arrived((ev.BlockFinished(index=0, block=block),)))


def ends(at: World, stop: str, lived: Lived = QUICK) -> None:
    usage = ev.Usage(input_tokens=9, output_tokens=9)
    at.give(inp.Completed("m", stop, usage, lived=lived))


def capped(cause: Cause = Cause.CUT_STREAM) -> World:
    here = world()
    here.submit()
    dies(here, AT_T, cause)
    dies(here, attrs.evolve(AT_T, age_ms=T_MS + 300), cause)
    return here


def causes(at: World) -> list[Cause | None]:
    found = (r.event for r in at.journal)
    return [e.failure.cause for e in found if isinstance(e, ev.RequestFailed)]


@pytest.mark.parametrize("cause", ENDED)
def test_C06_two_deaths_at_one_age_are_a_limit_on_the_way(cause: Cause) -> None:
    here = capped(cause)
    assert here.state.cap is not None
    assert here.state.cap.after_ms == T_MS + 300
    assert causes(here) == [cause, Cause.DURATION_CAP], "P12: and that is what is said of it"
    seconds_left = (T_MS + 300 - 1_000) / 1000
    assert here.state.cap.answer_tokens == int(seconds_left * 40 * lifetimes.SHARE)


def test_one_death_is_weather() -> None:
    here = world()
    here.submit()
    dies(here, AT_T)
    assert here.state.cap is None


def test_two_deaths_at_different_ages_are_weather() -> None:
    here = world()
    here.submit()
    dies(here, AT_T)
    dies(here, attrs.evolve(AT_T, age_ms=T_MS * 2 // 3))
    assert here.state.cap is None


def test_what_dies_young_dies_of_something_else() -> None:
    here = world()
    here.submit()
    for _ in range(3):
        dies(here, Lived(age_ms=lifetimes.SHORTEST_MS - 1))
    assert here.state.cap is None


@pytest.mark.parametrize("cause", [Cause.SILENT_STREAM, Cause.NO_FIRST_BYTE, None])
def test_our_own_limits_teach_nothing_though_they_end_requests_at_one_age(
    cause: Cause | None,
) -> None:
    here = world()
    here.submit()
    for _ in range(3):
        dies(here, AT_T, cause)
    assert here.state.cap is None
    assert set(causes(here)) == {cause}


def test_an_answer_that_has_outlived_the_first_death_makes_it_weather() -> None:
    here = world()
    here.submit()
    dies(here, AT_T)
    says(here, "All of it.")
    ends(here, "end_turn", Lived(age_ms=2 * T_MS))
    here.submit()
    dies(here, AT_T)
    assert here.state.cap is None


@pytest.mark.parametrize("how", ["it ends well", "it dies older"])
def test_C06_a_limit_is_forgotten_when_an_answer_lives_longer(how: str) -> None:
    here = capped()
    older = Lived(age_ms=T_MS * 2)
    if how == "it ends well":
        says(here, "All of it.")
        ends(here, "end_turn", older)
    else:
        dies(here, older)
    assert here.state.cap is None


def test_a_limit_is_not_believed_for_ever() -> None:
    here = capped()
    assert here.state.cap is not None
    says(here, "Done.")
    ends(here, "end_turn")
    here.now_ms = here.state.cap.learned_at_ms + lifetimes.BELIEVED_MS
    here.submit()
    assert here.state.cap is not None
    says(here, "Done.")
    ends(here, "end_turn")
    here.now_ms += 1
    here.submit()
    assert here.state.cap is None


def test_another_endpoint_has_other_limits() -> None:
    here = capped()
    here.give(inp.Note((ev.EndpointSelected(endpoint="b", model=None, reason="user"),)))
    assert (here.state.cap, here.state.died_ms) == (None, 0)


def test_a_piece_that_dies_of_age_all_the_same_was_too_long() -> None:
    here = capped()
    asked = []
    for _ in range(9):
        assert here.state.cap is not None
        asked.append(here.state.cap.answer_tokens)
        dies(here, Lived(age_ms=T_MS, accepted_ms=T_MS))
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] == lifetimes.TOKENS_MIN
    halves = itertools.pairwise(asked)
    assert all(after <= max(before // 2, lifetimes.TOKENS_MIN) for before, after in halves)


def test_C06_the_pieces_of_an_answer_follow_each_other_and_make_a_whole() -> None:
    here = capped()
    many = 9
    for n in range(many):
        says(here, f"Part {n}.")
        ends(here, "max_tokens")
        assert here.state.phase is Phase.REQUESTING
        assert here.state.requested, "the next piece is asked for at once"
    says(here, "The end.")
    ends(here, "end_turn")
    assert here.state.phase is Phase.IDLE
    texts = [block.text_of("text") for m in here.state.messages for block in m.blocks]
    parts = [f"Part {n}." for n in range(many)]
    asked = wording.continuation((), ev.CutCause.PIECE)
    between = [words for part in parts for words in (part, asked)]
    assert texts[-len(between) - 1 :] == [*between, "The end."]


def test_the_pieces_of_one_answer_are_together_no_longer_than_an_answer_may_be() -> None:
    here = capped()
    assert here.state.cap is not None
    bound = 32_000 // here.state.cap.answer_tokens + 1
    pieces = 0
    while here.state.phase is not Phase.IDLE:
        says(here, f"Part {pieces}.")
        ends(here, "max_tokens")
        pieces += 1
        assert pieces <= 4 * bound, "P3: the turn never ends"
    assert pieces > bound


def test_a_piece_of_thinking_alone_is_asked_for_again_and_longer() -> None:
    here = capped()
    assert here.state.cap is not None
    before = here.state.cap.answer_tokens
    messages = list(here.state.messages)
    says(here, "")
    ends(here, "max_tokens")
    assert here.state.cap.answer_tokens == 2 * before
    assert here.state.messages == messages, "nothing of it is replayed"
    assert here.state.requested
    for _ in range(20):
        if here.state.phase is Phase.IDLE:
            break
        says(here, "")
        ends(here, "max_tokens")
    assert here.state.phase is Phase.IDLE, "P3: and that ends too"


def test_P12_it_is_said_once_in_words_and_pieces_look_like_one_answer() -> None:
    here = capped()
    says(here, "Part one.")
    ends(here, "max_tokens")
    dies(here, Lived(age_ms=T_MS, accepted_ms=T_MS))
    items = Items("s_1")
    items.fold(here.journal)
    shown, _ = items.page(1_000)
    [told] = [i for i in shown if isinstance(i, NoticeItem) and i.code == "durationCap"]
    assert "after about 60 s" in told.text
    [part] = [i for i in shown if isinstance(i, TextItem)]
    assert part.state == "done"


ages = st.integers(0, 10 * 60_000)


@given(one=ages, other=ages)
def test_ages_are_the_same_for_both_or_for_neither(one: int, other: int) -> None:
    assert lifetimes.is_same_age(one, other) == lifetimes.is_same_age(other, one)
    assert not (lifetimes.is_same_age(one, other) and lifetimes.has_outlived(one, other))


@given(
    after=ages,
    lived=st.builds(Lived, ages, ages, ages, st.integers(0, 10**6)),
    before=st.none() | st.builds(DurationCap, ages, st.integers(1, 10**6)),
)
def test_a_piece_is_never_too_small_and_never_longer_than_one_that_died(
    after: int, lived: Lived, before: DurationCap | None
) -> None:
    asked = lifetimes.piece_tokens(after, lived, before)
    assert asked >= lifetimes.TOKENS_MIN
    assert before is None or asked <= max(lifetimes.TOKENS_MIN, before.answer_tokens // 2)
