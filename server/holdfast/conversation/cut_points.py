"""Where a history may be cut in two, computed from the rules.

Law: a cut never separates a call from its result, client's or server's, and both sides stay
legal: the head followed by a prompt, and the tail behind a summary said by the user. A cut lies
before a user message that carries no result, so the tail begins with something a person said.
Inside a long turn, where there is no such message, `cuts_within_turn` gives the places between
two rounds of tools.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, History
from holdfast.conversation.profile import is_server_result, is_server_use


@attrs.frozen(kw_only=True)
class NothingToCompact(Exception):
    """No legal cut leaves as much in the tail as was asked for."""

    keep_tokens: int
    tail_tokens_max: int

    def __str__(self) -> str:
        return (
            f"no legal cut keeps {self.keep_tokens} tokens; the longest tail behind one has "
            f"{self.tail_tokens_max}"
        )


def cut_points(history: History, keep_tokens: int = 0) -> tuple[int, ...]:
    """Return the indices where a valid history may be cut, newest first.

    `history[:i]` is the head that may be replaced, `history[i:]` the tail that stays verbatim, of
    at least `keep_tokens` estimated tokens (not bytes). Index 0 is never returned. Raises
    `NothingToCompact` when no legal cut keeps as much.
    """
    return _keeping(history, _before_prompts(history), keep_tokens)


def cuts_within_turn(history: History, keep_tokens: int = 0) -> tuple[int, ...]:
    """Return the indices before an assistant message whose earlier calls are all answered.

    For histories that are one long turn, where `cut_points` finds nothing or too little. Newest
    first; the same meaning of `keep_tokens`, the same error.
    """
    return _keeping(history, _between_rounds(history), keep_tokens)


def _keeping(history: History, legal: list[int], keep_tokens: int) -> tuple[int, ...]:
    if legal and keep_tokens <= 0:
        return tuple(reversed(legal))
    tails = _tail_tokens(history)
    kept = tuple(index for index in reversed(legal) if tails[index] >= keep_tokens)
    if not kept:
        longest = max((tails[index] for index in legal), default=0)
        raise NothingToCompact(keep_tokens=keep_tokens, tail_tokens_max=longest)
    return kept


def _tail_tokens(history: History) -> list[int]:
    tails = [0] * (len(history) + 1)
    for index in range(len(history) - 1, -1, -1):
        tails[index] = tails[index + 1] + history[index].tokens
    return tails


def _before_prompts(history: History) -> list[int]:
    return [
        index
        for index in _balanced(history)
        if history[index].role == USER
        and all(block.type != "tool_result" for block in history[index].blocks)
    ]


def _between_rounds(history: History) -> list[int]:
    return [
        index
        for index in _balanced(history)
        if history[index].role == ASSISTANT and history[index - 1].role == USER
    ]


def _balanced(history: History) -> Iterator[int]:
    """Yield the indices with no open call before them, and no system group around them."""
    waiting: set[str] = set()
    for index, message in enumerate(history):
        if index and not waiting and message.role != SYSTEM:
            yield index
        for block in message.blocks:
            kind = block.type
            if kind == "text":
                continue
            if kind == "tool_use" or is_server_use(kind):
                waiting.add(block.text_of("id"))
            elif kind == "tool_result" or is_server_result(kind):
                waiting.discard(block.text_of("tool_use_id"))
