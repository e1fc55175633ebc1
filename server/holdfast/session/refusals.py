"""What a refusal says about the place it speaks of.

Law: total and pure. The API's words are read for two things only: where the fault is
(`messages.N.content.M`, `tools.K`, ids of calls), and which rule it most likely is, by the stable
fragments of specification §4.4 and §8.1. Both are guesses: whatever is done with them is checked
afterwards, and words that say nothing give a reading that says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import attrs

from holdfast.conversation import turns
from holdfast.conversation.history import History
from holdfast.session.failures import Failure, FailureKind

TOKENS_MIN: Final = 1_000
"""An answer must have at least this much room; a window that is said to be smaller is misread."""

GUESSED_WINDOW_MIN: Final = 4_000
"""No refusal without a number is taken for one of the window when less was sent."""

GUESSED_SHARE: Final = 0.95
"""So much of what was refused is taken for the window when no number is named."""

MARGIN_TOKENS: Final = 16
"""Kept free when an answer is made smaller: some servers are over by exactly one token (A24)."""


class Family(StrEnum):
    """What kind of remedy a rule asks for."""

    BINDING = "binding"  # thinking that is bound to another history (R72)
    THINKING = "thinking"
    MEDIA = "media"
    PAIRING = "pairing"
    TOOL = "tool"  # a tool's definition
    ROLES = "roles"  # who speaks when
    HEADER = "header"  # a beta that the endpoint does not know
    FILTERED = "filtered"  # the content was refused, not the request's form (A35)
    UNKNOWN = "unknown"


@attrs.frozen
class Refusal:
    """A refusal as far as it was understood. Indices are those of the request that was sent, or of
    the history where its turns were joined (`before_joining`).

    `fragment` is what the words have in common with every other refusal of the same cause: the
    message without its position, numbers and ids.
    """

    family: Family = Family.UNKNOWN
    rule: str = ""
    message: int | None = None
    block: int | None = None
    tool: int | None = None
    ids: tuple[str, ...] = ()
    fragment: str = ""
    words: str = ""

    @property
    def is_placed(self) -> bool:
        """Whether a message or a tool is named."""
        return self.message is not None or self.tool is not None


@attrs.frozen
class _Rule:
    family: Family
    rule: str
    pattern: re.Pattern[str]


def _rule(family: Family, rule: str, *alternatives: str) -> _Rule:
    return _Rule(family, rule, re.compile("|".join(alternatives), re.IGNORECASE))


_RULES: Final[Sequence[_Rule]] = (
    _rule(Family.FILTERED, "A35", "blocked by content filter", "content filtering policy"),
    _rule(Family.HEADER, "R4", r"for the .{0,3}anthropic-beta.{0,3} header"),
    _rule(Family.HEADER, "R78", r"block_binding: Extra inputs"),
    _rule(Family.BINDING, "R72", "bound to a different conversation"),
    _rule(Family.THINKING, "R70", r"blocks in the latest assistant message cannot be modified"),
    _rule(Family.THINKING, "R71", r"invalid .{0,3}(?:signature|data).{0,3} in .{0,3}\w*thinking"),
    _rule(Family.THINKING, "R71", r"thinking\.signature"),
    _rule(Family.THINKING, "R68", r"expected .{0,3}thinking.{0,3} or .{0,3}redacted_thinking"),
    _rule(Family.THINKING, "R69", r"cannot contain .{0,3}thinking"),
    _rule(Family.THINKING, "R39", r"final block in an assistant message cannot be .{0,3}thinking"),
    _rule(Family.MEDIA, "R60", "image dimensions exceed", "many-image requests"),
    _rule(Family.MEDIA, "R61", r"image exceeds .{1,20} maximum"),
    _rule(Family.MEDIA, "R59", "does not match the provided media type", "not process image"),
    _rule(Family.MEDIA, "R62", r"A maximum of \d+ (?:images|PDF pages)"),
    _rule(Family.MEDIA, "R63", "The PDF specified was not valid", "password.protected"),
    _rule(Family.MEDIA, "R64", "Unable to download the file"),
    _rule(Family.MEDIA, "R59", r"(?:image|pdf|document)\.source"),
    _rule(Family.PAIRING, "R40", r"without .{0,3}tool_result.{0,3} blocks"),
    _rule(Family.PAIRING, "R42", r"unexpected .{0,3}tool_use_id"),
    _rule(Family.PAIRING, "R43", "must have a single result"),
    _rule(Family.PAIRING, "R44", "ids must be unique"),
    _rule(Family.PAIRING, "R51", r"was found without a corresponding"),
    _rule(Family.PAIRING, "R52", r"tool was provided"),
    _rule(Family.ROLES, "R20", "roles must alternate"),
    _rule(Family.ROLES, "R22", "assistant message prefill", "must end with a user message"),
    _rule(Family.ROLES, "R28", r"role .{0,3}system.{0,3} is not supported", "unexpected role"),
)
"""The stable fragments, the more telling ones first."""

_MESSAGE: Final = re.compile(
    r"\bmessages?(?:\.|\[)(\d{1,6})\]?(?:\.content(?:\.|\[)(\d{1,6})\]?)?", re.IGNORECASE
)
_TOOL: Final = re.compile(r"\btools(?:\.|\[)(\d{1,6})\]?", re.IGNORECASE)
_IDS: Final = re.compile(r"\b(?:toolu|srvtoolu|call|tool|mcptoolu)_[A-Za-z0-9_-]{1,200}")
_NAMES: Final = frozenset({"tool_use", "tool_result", "tool_use_id", "tool_choice", "tool_call"})
_PLACES: Final = re.compile(r"[`'\"\[]?\b(?:messages?|tools)[.\[]\d[\w.\[\]]*:?|\d+")
_FRAGMENT_CHARS_MAX: Final = 160

_OUTPUT_CAP: Final = re.compile(
    r"max_tokens: (\d+) > (\d+), which is the maximum allowed number of output tokens"
)
_OVER_WINDOW: Final = re.compile(r"context limit: (\d+) \+ (\d+) > (\d+)")
_TOO_LONG: Final = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")
_NO_MARKS: Final = re.compile(r"\bcache_control: Extra inputs are not permitted")
_BYTES: Final = re.compile(
    r"(?:max(?:imum)?|limit|exceed\w*)\D{0,40}?(\d+(?:\.\d+)?)\s?"
    r"(bytes|[KM]i?B|kilobytes|megabytes)\b",
    re.IGNORECASE,
)
_UNITS: Final[Mapping[str, int]] = {
    "bytes": 1,
    "kb": 1_000,
    "kib": 1 << 10,
    "kilobytes": 1_000,
    "mb": 1_000_000,
    "mib": 1 << 20,
    "megabytes": 1_000_000,
}


def read(failure: Failure) -> Refusal:
    """Read the words of a refusal; those of the body when its message says nothing (A26).

    A gateway may quote the API's own error as text inside its own, so all of it is searched.
    """
    words = f"{failure.message}\n{failure.raw}"
    known = next((rule for rule in _RULES if rule.pattern.search(words)), None)
    place = _MESSAGE.search(words)
    tool = _TOOL.search(words) if place is None else None
    family = known.family if known is not None else Family.UNKNOWN
    return Refusal(
        family=Family.TOOL if tool is not None and known is None else family,
        rule=known.rule if known is not None else "",
        message=int(place[1]) if place is not None else None,
        block=int(place[2]) if place is not None and place[2] is not None else None,
        tool=int(tool[1]) if tool is not None else None,
        ids=tuple(dict.fromkeys(i for i in _IDS.findall(words) if i not in _NAMES)),
        fragment=fragment(failure),
        words=failure.message,
    )


def before_joining(refusal: Refusal, history: History) -> Refusal:
    """Return a refusal of a request whose turns were joined, with its place in the history (R20).

    What cannot be placed there names no place any more.
    """
    if refusal.message is None:
        return refusal
    place = turns.place_before_joining(history, refusal.message, refusal.block)
    message, block = place or (None, None)
    return attrs.evolve(refusal, message=message, block=block)


def fragment(failure: Failure) -> str:
    """Return the words without position, numbers and ids: the same for the same cause."""
    words = _IDS.sub("", _PLACES.sub("", failure.message))
    return " ".join(words.split())[:_FRAGMENT_CHARS_MAX]


# -- numbers ---------------------------------------------------------------------------------------


@attrs.frozen
class Lesson:
    """What a refusal teaches about the endpoint's limits; None is nothing.

    `answer_tokens` is what an answer to this request may have, `output_tokens` what any answer of
    the model may have, `window_tokens` the model's window, `body_bytes` a request's size. With
    `no_cache_marks` the endpoint does not know marks of the prompt cache (R82), with `turns_joined`
    it takes one message for each turn (R20).
    """

    answer_tokens: int | None = None
    output_tokens: int | None = None
    window_tokens: int | None = None
    body_bytes: int | None = None
    no_cache_marks: bool = False
    turns_joined: bool = False


def lesson(failure: Failure, sent_bytes: int = 0, sent_tokens: int = 0) -> Lesson:
    """Read what a refusal says of the endpoint (A24, A25). `sent_...`: how large it was.

    One for its length that names no number still says that less than this fits (B06, B19).
    """
    words = failure.message
    if _NO_MARKS.search(words):
        return Lesson(no_cache_marks=True)
    if failure.kind is FailureKind.INVALID_REQUEST and read(failure).rule == "R20":
        return Lesson(turns_joined=True)
    if found := _OUTPUT_CAP.search(words):
        return Lesson(output_tokens=_enough(int(found[2])))
    if found := _OVER_WINDOW.search(words):
        window = int(found[3])
        room = _enough(window - int(found[1]) - MARGIN_TOKENS)
        return Lesson(answer_tokens=room, window_tokens=_enough(window))
    if found := _TOO_LONG.search(words):
        return Lesson(window_tokens=_enough(int(found[2])))
    if failure.kind is FailureKind.TOO_LONG and sent_tokens >= GUESSED_WINDOW_MIN:
        return Lesson(window_tokens=int(sent_tokens * GUESSED_SHARE))
    if failure.kind is FailureKind.TOO_LARGE:
        return Lesson(body_bytes=_byte_cap(words, sent_bytes))
    return Lesson()


def _enough(tokens: int) -> int | None:
    return tokens if tokens >= TOKENS_MIN else None


def _byte_cap(words: str, sent_bytes: int) -> int | None:
    """Return what a request may have from now on: what the words say, else less than was sent."""
    found = _BYTES.search(words)
    said = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if 0 < said < (sent_bytes or said + 1):
        return said
    return sent_bytes // 2 or None
