"""Streamed answers: what arrived of them, when, and what ended them.

Law: pure. What somebody on the way does to a stream is told by when its pieces arrive, never by who
he says he is; and that he does it by the clock is said only when two answers have ended at one age.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from holdfast.model.classification import from_event, from_response
from holdfast.network import answers, event_stream
from holdfast.network.reports import Check, State
from holdfast.network.subjects import Subject
from holdfast.network.wire import Answer, Trouble
from holdfast.session.causes import Cause
from holdfast.session.lifetimes import SLACK_MS, SLACK_SHARE

STREAM: Final = "stream"
HELD_BACK: Final = "streamHeldBack"

SHORT_TOKENS: Final = 40
LONG_TOKENS: Final = 1_000
# An answer that took this long in the making cannot arrive within so small a part of it, unless
# something has collected it.
_MADE_MS: Final = 500.0
_BURST: Final = 0.05
_DELTAS_MIN: Final = 4
# Whoever is paused between two words for less than this has not gone silent.
_QUIET_MS: Final = 2_000.0
_QUIET_PART: Final = 0.4


def short_body(subject: Subject) -> bytes:
    """Return a request for a small streamed answer."""
    more = {"max_tokens": SHORT_TOKENS, "stream": True}
    return answers.body(subject, "Count from 1 to 30 in words.", **more)


def long_body(subject: Subject) -> bytes:
    """Return a request for an answer that outlasts an examination. Who has seen enough hangs up."""
    more = {"max_tokens": LONG_TOKENS, "stream": True}
    return answers.body(subject, "Count from 1 to 400 in words, all in one line.", **more)


def streamed(subject: Subject, answer: Answer | Trouble) -> Check:
    """Judge a streamed answer by what arrived and when."""
    if isinstance(answer, Trouble):
        return answers.unanswered(STREAM, answer)
    facts: dict[str, Any] = {"status": answer.status, "firstByteMs": round(answer.first_ms)}
    if answer.status >= 300:
        failure = from_response(answer.status, answer.headers, answer.body, subject.secrets)
        return answers.refused(STREAM, subject, failure, facts)
    found = event_stream.events(answer.body)
    deltas = sum(name == "content_block_delta" for name, _ in found)
    first, last = (answer.pieces[0][0], answer.pieces[-1][0]) if answer.pieces else (0.0, 0.0)
    facts |= {"events": len(found), "deltas": deltas, "pieces": len(answer.pieces)}
    facts |= {"firstPieceMs": round(first), "lastPieceMs": round(last)}
    for name, data in found:
        if name == "error":
            failure = from_event(data, None, subject.secrets)
            return answers.refused(STREAM, subject, failure, facts)
    if not any(name == "message_stop" for name, _ in found):
        return _unfinished(answer, found, deltas, facts)
    if deltas >= _DELTAS_MIN and last >= _MADE_MS and last - first <= _BURST * last:
        says = (
            f"The whole answer arrived at once after {last / 1000:.1f} s: something on the way "
            "collects the stream before it passes it on."
        )
        return Check(name=STREAM, state=State.WARNING, says=says, cause=HELD_BACK, facts=facts)
    says = f"An answer began after {first / 1000:.1f} s and arrived piece by piece."
    if deltas < _DELTAS_MIN or len(answer.pieces) < 2:
        says = "A streamed answer arrived whole; it was too short to say more."
    return Check(name=STREAM, state=State.GOOD, says=says, facts=facts)


def by_the_clock(one: tuple[Check, float], other: tuple[Check, float]) -> Check:
    """Judge two answers of one kind, each with its age in milliseconds when it ended."""
    (check, age), (again, age_again) = one, other
    facts = {**check.facts, "agesMs": [round(age), round(age_again)]}
    cut = [each.cause == Cause.CUT_STREAM for each in (check, again)]
    slack = max(SLACK_MS, age / SLACK_SHARE)
    if all(cut) and abs(age - age_again) <= slack:
        says = (
            f"Two answers were cut at the same age, {min(age, age_again) / 1000:.1f} s: something "
            "on the way ends every answer that lasts longer."
        )
        return attrs.evolve(check, says=says, cause=Cause.DURATION_CAP, facts=facts)
    worse = next((each for each in (check, again) if each.state is State.BAD), check)
    says = worse.says
    if any(cut) and not all(cut):
        says = f"{says} Another one at the same time was not: it is no limit of time."
    return attrs.evolve(worse, says=says, facts=facts)


def was_cut(check: Check) -> bool:
    """Whether somebody ended an answer before its time."""
    return check.cause == Cause.CUT_STREAM


def _unfinished(
    answer: Answer, found: list[tuple[str, str]], deltas: int, facts: dict[str, Any]
) -> Check:
    """Judge an answer without an end: it was cut, went silent, or outlasted the examination."""
    ours = answer.trouble is not None and answer.trouble.timed_out
    last = answer.pieces[-1][0] if answer.pieces else 0.0
    quiet = answer.ended_ms - last
    if not found and not ours:
        cause, says = Cause.GATEWAY_PAGE, "What came in place of a stream is none."
        if not answer.body:
            cause, says = Cause.CUT_STREAM, "The answer ended before it had begun."
    elif not ours:
        cause = Cause.CUT_STREAM
        says = f"The stream was cut after {answer.ended_ms / 1000:.1f} s."
    elif event_stream.alive(found):
        cause, says = Cause.NO_PROGRESS, answers.ALIVE
    elif deltas and quiet < min(_QUIET_MS, _QUIET_PART * answer.ended_ms):
        says = f"An answer arrived piece by piece for {answer.ended_ms / 1000:.0f} s, uncut."
        return Check(name=STREAM, state=State.GOOD, says=says, facts=facts)
    else:
        cause, says = Cause.SILENT_STREAM, f"The stream went silent after {last / 1000:.1f} s."
    return Check(name=STREAM, state=State.BAD, says=says, cause=cause, facts=facts)
