"""Sentences by which somebody seems to have decided or required something.

Law: a heuristic, called one where it is shown (P12). A sentence is picked by its wording alone:
nobody judges whether it was kept to, and what is worded otherwise is missed. Bounded: the newest
texts are looked at first, and only so many bytes of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import attrs

from holdfast.conversation.activity.facts import Decision

FOUND_MAX: Final = 60
LOOKED_AT_CHARS_MAX: Final = 120_000
ONE_TEXT_CHARS_MAX: Final = 6_000
PER_TEXT_MAX: Final = 3
ANSWER_CHARS_MAX: Final = 800
SHOWN_OF_A_REQUEST_CHARS: Final = 200
"""The beginning of a request stands in the list of requests already."""
_SENTENCE_CHARS_MIN: Final = 30
_SENTENCE_CHARS_MAX: Final = 320

_ENDS: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_BY_USER: Final = re.compile(
    r"\b(must|should|shouldn't|don't|do not|never|always|instead|prefer|rather|make sure|ensure|"
    r"let's|lets|we need|no need|has to|have to|only|avoid|required?|want|keep)\b",
    re.IGNORECASE,
)
_BY_ASSISTANT: Final = re.compile(
    r"\b(decided|decision|I(?:'ll| will) (?:use|keep|go with|leave|switch|skip)|going with|agreed|"
    r"chose|chosen|opted|instead of|rather than|switched|root cause|the (?:problem|cause|reason|"
    r"bug|fix) (?:is|was))\b",
    re.IGNORECASE,
)


@attrs.frozen
class Words:
    """A text that somebody said, and the number of the request that it belongs to.

    An answer to a question, or to a plan, is a decision as it stands.
    """

    by: Literal["user", "assistant"]
    text: str
    request: int
    is_decision: bool = False


def decisions(said: Iterable[Words]) -> tuple[Decision, ...]:
    """Return the decisions in some texts, which come newest first; the result is oldest first."""
    found: list[Decision] = []
    looked_at = 0
    seen: set[str] = set()
    for words in said:
        if len(found) >= FOUND_MAX or looked_at >= LOOKED_AT_CHARS_MAX:
            break
        looked_at += min(len(words.text), ONE_TEXT_CHARS_MAX)
        new = [s for s in _picked(words) if s not in seen][:PER_TEXT_MAX]
        seen.update(new)
        found += [Decision(words.by, sentence, words.request) for sentence in reversed(new)]
    return tuple(reversed(found[:FOUND_MAX]))


def _picked(words: Words) -> Iterator[str]:
    text = words.text[:ONE_TEXT_CHARS_MAX]
    if words.is_decision:
        yield text[:ANSWER_CHARS_MAX].strip()
        return
    if words.by == "user":
        text, cue = text[SHOWN_OF_A_REQUEST_CHARS:], _BY_USER
    else:
        cue = _BY_ASSISTANT
    if not cue.search(text):
        return
    for piece in _ENDS.split(text):
        sentence = piece.strip(" -*#>\t")
        if _SENTENCE_CHARS_MIN <= len(sentence) <= _SENTENCE_CHARS_MAX and cue.search(sentence):
            yield sentence
