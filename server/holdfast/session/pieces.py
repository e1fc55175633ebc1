"""Answers in pieces, where something on the way ends every request at one age (C06).

Law: what was learned is a record, in words for a person, and is only ever learned from two deaths
at the same age. A piece that ends at its length is continued at once; pieces together are never
longer than one answer may be.
"""

from __future__ import annotations

import msgspec

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import lifetimes
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure
from holdfast.session.state import SessionState
from holdfast.session.step import Step


def cause_of(step: Step, given: inp.Failed) -> Failure:
    """Return the failure with the cause that its age shows: that of another one, or none."""
    if _died_of_age(step.state, given):
        return msgspec.structs.replace(given.failure, cause=Cause.DURATION_CAP)
    return given.failure


def lesson(step: Step, given: inp.Failed) -> ev.DurationCapLearned | None:
    """Return the limit that a failed request died of, if that is new or too much was asked for.

    To be asked before the failure is recorded, which is what the next one is compared with.
    """
    state, lived = step.state, given.lived
    if not _died_of_age(state, given):
        return None
    known = state.cap
    if known is not None and not lifetimes.is_same_age(lived.age_ms, known.after_ms):
        known = None
    after_ms = min(lived.age_ms, known.after_ms) if known is not None else lived.age_ms
    tokens = lifetimes.piece_tokens(after_ms, lived, known)
    if known is not None and tokens >= known.answer_tokens:
        return None
    return ev.DurationCapLearned(after_ms=after_ms, answer_tokens=tokens)


def is_piece(step: Step) -> bool:
    """Say whether the answer that reached its length is a piece of one, by our own wish."""
    cap, turn, limits = step.state.cap, step.state.turn, step.env.limits
    if cap is None or turn is None or cap.answer_tokens >= limits.max_output_tokens:
        return False
    return (turn.pieces + 1) * cap.answer_tokens < limits.max_output_tokens


def ask_for_more(step: Step) -> None:
    """Ask for longer pieces: one of them ended before there was a word, in thinking."""
    cap = step.state.cap
    if cap is not None:
        more = ev.DurationCapLearned(after_ms=cap.after_ms, answer_tokens=cap.answer_tokens * 2)
        step.emit(more)


def _died_of_age(state: SessionState, given: inp.Failed) -> bool:
    age_ms = given.lived.age_ms
    if not lifetimes.ended_by_others(given.failure):
        return False
    known = state.cap
    if known is not None and lifetimes.is_same_age(age_ms, known.after_ms):
        return True
    return state.died_ms > 0 and lifetimes.is_same_age(age_ms, state.died_ms)
