"""Rung 0: outputs of tools that are shown shortened, in the view only.

Law: only results are shortened, the oldest and largest before the newest; calls, prompts and words
of the model stay. What is left says how much there was and how it is read again, and a later
compaction never shows more of it than the one before (what was sent keeps its bytes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from holdfast.conversation import tokens
from holdfast.conversation.history import USER, Block, Message
from holdfast.session import view
from holdfast.session.state import SessionState

LARGE_BYTES: Final = 1_500
"""Smaller results are left alone."""

OLD_BYTES: Final = 300
"""What stays of an old result."""

NEWEST_BYTES: Final = (12_000, 4_000, 1_000)
"""What stays of the largest results of the kept tail, tried in this order."""


@attrs.frozen
class Clearing:
    """Calls with the bytes that stay of their results, and the estimated tokens this saves."""

    cleared: Mapping[str, int]
    saved: int


NOTHING: Final = Clearing({}, 0)


@attrs.frozen
class _Result:
    """A result in the view, with the entry under which it is found in full."""

    block: Block
    entry: str
    index: int

    @property
    def call(self) -> str:
        return self.block.text_of("tool_use_id")


def old(state: SessionState, keep_tokens: int, tokens_over: int) -> Clearing:
    """Return what is saved by shortening every large result before the last `keep_tokens`.

    Nothing, at little cost, when that cannot be `tokens_over`.
    """
    messages = view.messages(state)
    kept_from = _kept_from(messages, keep_tokens)
    large = [r for r in _results(messages, LARGE_BYTES) if r.index < kept_from]
    if sum(tokens.estimate_block(result.block) for result in large) < tokens_over:
        return NOTHING
    return _shortening(large, OLD_BYTES)


def newest(messages: Sequence[Message], tokens_over: int) -> Clearing:
    """Return the mildest shortening of the largest results that saves `tokens_over`, else most.

    `messages` are those of a view; all of their results may be shortened, the largest first.
    """
    found = NOTHING
    for bytes_kept in NEWEST_BYTES:
        large = _results(messages, bytes_kept + LARGE_BYTES)
        large.sort(key=lambda result: len(result.block.raw), reverse=True)
        chosen: list[_Result] = []
        saved = 0
        for result in large:
            if saved >= tokens_over:
                break
            chosen.append(result)
            saved += _saved(result, bytes_kept)
        found = _shortening(chosen, bytes_kept)
        if found.saved >= tokens_over:
            break
    return found


def merged(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return both, the smaller where both speak of a call."""
    shared = {call: min(before[call], kept) for call, kept in more.items() if call in before}
    return {**before, **more, **shared}


def _shortening(results: Sequence[_Result], bytes_kept: int) -> Clearing:
    saving = [(result, _saved(result, bytes_kept)) for result in results]
    worth = [(result, saved) for result, saved in saving if saved > 0]
    return Clearing(
        {result.call: bytes_kept for result, _ in worth}, sum(saved for _, saved in worth)
    )


def _saved(result: _Result, bytes_kept: int) -> int:
    shown = view.result_of(result.block, bytes_kept, result.entry)
    return tokens.estimate_block(result.block) - tokens.estimate_block(shown)


def _results(messages: Sequence[Message], bytes_min: int) -> list[_Result]:
    return [
        _Result(block, view.entry_of(message), index)
        for index, message in enumerate(messages)
        if message.role == USER
        for block in message.blocks
        if len(block.raw) > bytes_min and block.type == "tool_result"
    ]


def _kept_from(messages: Sequence[Message], keep_tokens: int) -> int:
    room, index = keep_tokens, len(messages)
    while index and room >= 0:
        index -= 1
        room -= messages[index].tokens
    return index + 1 if room < 0 else index
