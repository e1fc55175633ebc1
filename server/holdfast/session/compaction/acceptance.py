"""The acceptance bar: which summaries may stand for a history (B08, B14).

Law: a summary that a model wrote is complete text, smaller than what it stands for, no copy of it,
and names something of the work that is open. What does not pass says why, in a stable word, and the
next rung is taken; no minimum of savings is demanded beyond being smaller (B12).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from holdfast.conversation import tokens
from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session.compaction import planning
from holdfast.session.state import SessionState

SUMMARY_CHARS_MIN: Final = 40
SUMMARY_CHARS_MOST: Final = 200
"""No summary has to be longer than this, whatever it stands for."""
CHARS_PER_INPUT_TOKEN: Final = 1 / 1_000
CHUNK_CHARS_MIN: Final = 20

SAMPLES: Final = 24
SAMPLE_WORDS: Final = 12
SAME_SHARE: Final = 0.9
"""A summary is a copy when so many samples of it stand word for word in what it stands for."""
SOURCE_CHARS: Final = 1_000_000
"""As much of the newest covered words is compared."""

_COMPLETE: Final = frozenset({"end_turn", "compaction"})
_REASONS: Final = {"tool_use": "toolCall"}
_CHANGING: Final = frozenset({"edit", "write"})
_WORD: Final = re.compile(r"\w{4,}")


class Unacceptable(Exception):
    """A summary came but does not pass the acceptance bar; the reason is a stable word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@attrs.frozen
class Bar:
    """What a summary is held to. Sizes in estimated tokens and characters.

    `files` and `tasks` are the names and words of which it must name one, when there are any;
    `source` is what it must not be a copy of, `previous` the summary that it must go beyond.
    """

    covered_tokens: int
    chars_min: int = SUMMARY_CHARS_MIN
    budget_tokens: int | None = None
    files: frozenset[str] = frozenset()
    tasks: tuple[frozenset[str], ...] = ()
    source: str = attrs.field(default="", repr=False)
    previous: str = attrs.field(default="", repr=False)


def bar_of(
    state: SessionState, started: ev.CompactionStarted, budget_tokens: int | None = None
) -> Bar:
    """Return the bar for a summary of all that a compaction covers."""
    previous, messages = planning.covered(state, started)
    size = tokens.estimate_text(previous) + tokens.estimate(messages)
    scaled = int(size * CHARS_PER_INPUT_TOKEN)
    open_tasks = (t.text for t in state.todos if t.status != "completed")
    return Bar(
        covered_tokens=size,
        chars_min=min(SUMMARY_CHARS_MOST, max(SUMMARY_CHARS_MIN, scaled)),
        budget_tokens=budget_tokens,
        files=frozenset(_files(messages)),
        tasks=tuple(words for words in map(_words, open_tasks) if words),
        source=_source(messages),
        previous=" ".join(previous.split()),
    )


def chunk_bar(chunk_text: str) -> Bar:
    """Return the milder bar for the summary of one chunk: complete, not empty, smaller."""
    return Bar(tokens.estimate_text(chunk_text), chars_min=CHUNK_CHARS_MIN)


def check(summary: str, stop_reason: str, bar: Bar) -> None:
    """Raise `Unacceptable` when a summary does not pass.

    Reasons: `empty`, `refusal`, `toolCall`, `max_tokens` and other stop reasons by their names,
    `notSmaller`, `overBudget`, `tooSimilar`, `namesNothing`.
    """
    said = summary.strip()
    if stop_reason not in _COMPLETE:
        raise Unacceptable(_REASONS.get(stop_reason, stop_reason or "incomplete"))
    if len(said) < bar.chars_min:
        raise Unacceptable("empty", said)
    size = tokens.estimate_text(said)
    if size >= bar.covered_tokens:
        raise Unacceptable("notSmaller", f"{size} tokens stand for {bar.covered_tokens}")
    if bar.budget_tokens is not None and size > bar.budget_tokens:
        raise Unacceptable("overBudget", f"{size} of {bar.budget_tokens} tokens")
    if _is_copy(said, bar):
        raise Unacceptable("tooSimilar", "it repeats what it stands for word for word")
    if (bar.files or bar.tasks) and not _names_work(said.lower(), bar):
        raise Unacceptable("namesNothing", "no open task and no changed file is named")


def _is_copy(said: str, bar: Bar) -> bool:
    words = said.split()
    if " ".join(words) == bar.previous:
        return True
    samples = _samples(words)
    if not samples:
        return False
    found = sum(sample in bar.source for sample in samples)
    return found >= SAME_SHARE * len(samples)


def _samples(words: list[str]) -> list[str]:
    """Return runs of words, spread evenly; none of a text that is too short to tell."""
    last = len(words) - SAMPLE_WORDS
    if last < SAMPLES:
        return []
    starts = (last * number // (SAMPLES - 1) for number in range(SAMPLES))
    return [" ".join(words[start : start + SAMPLE_WORDS]) for start in starts]


def _source(messages: Iterable[Message]) -> str:
    """Return the newest words of a history, with single spaces."""
    parts: list[str] = []
    room = SOURCE_CHARS
    for message in reversed(tuple(messages)):
        for block in reversed(message.blocks):
            said = " ".join(block.text_of("text").split()) if room > 0 else ""
            parts.append(said[:room])
            room -= len(said)
        if room <= 0:
            break
    return " ".join(part for part in reversed(parts) if part)


def _files(messages: Iterable[Message]) -> Iterator[str]:
    """Yield the names of the files that were changed."""
    for message in messages:
        for block in message.blocks:
            if block.type == "tool_use" and block.text_of("name") in _CHANGING:
                arguments = block.get("input")
                path = arguments.get("path") if isinstance(arguments, dict) else None
                if isinstance(path, str) and path.strip():
                    yield posixpath.basename(path.strip()).lower()


def _words(task: str) -> frozenset[str]:
    return frozenset(_WORD.findall(task.lower()))


def _names_work(said: str, bar: Bar) -> bool:
    if any(name in said for name in bar.files):
        return True
    words = frozenset(_WORD.findall(said))
    return any(2 * len(task & words) >= len(task) for task in bar.tasks)
