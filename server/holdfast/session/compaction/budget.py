"""The budget: how many tokens and bytes a request has, and how many it may have.

Law: everything here counts the same thing, the whole context: system prompt, tools, messages and
the last answer. What the API has counted goes before any estimate, as long as it can be true
(B05): not above the window by a fifth, not nothing, and not another model's when ours is higher.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from holdfast.conversation import tokens
from holdfast.conversation.history import Message
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import sizes, view
from holdfast.session.state import SessionState

ANSWER_TOKENS: Final = 8_000
"""Kept free above the hard mark for an answer, and above the soft mark for a summary; in a small
window an eighth of it."""

IMPOSSIBLE: Final = 1.2
"""A count above this part of the window cannot be true for a request that was answered."""

CALIBRATED_TOKENS: Final = 1_000
"""Estimates are corrected once so many tokens were compared."""

GUESSED: Final = 1.15
"""An estimate may be too high by so much; what was counted may not."""


@attrs.frozen
class Marks:
    """Tokens of context. From `soft` on a compaction is prepared beside the session, from `hard` on
    a request waits for one, `target` is what one aims at, `window` is all there is.
    """

    window: int
    hard: int
    soft: int
    target: int


def marks(limits: inp.Limits) -> Marks:
    """Return the marks of a model's window, with room for an answer and for a summariser."""
    window = limits.window_tokens
    answer = min(limits.max_output_tokens, ANSWER_TOKENS, window // 8)
    hard = max(1, min(int(window * limits.hard_mark), window - answer))
    summary = min(ANSWER_TOKENS, window // 8)
    soft = max(1, min(int(window * limits.soft_mark), hard - summary))
    return Marks(window, hard, soft, soft * 2 // 3)


def keep_tokens(state: SessionState, limits: inp.Limits) -> int:
    """Return how much of the recent history a compaction keeps verbatim, in estimated tokens."""
    found = marks(limits)
    free = found.target - overhead_tokens(state, limits) - min(ANSWER_TOKENS, found.window // 8)
    wished = int(limits.window_tokens * limits.keep_fraction)
    return max(0, min(wished, int(free / ratio(state))))


def model_of(state: SessionState, limits: inp.Limits) -> str:
    """Return the model that answers next."""
    return state.model or limits.model


def context_tokens(state: SessionState, limits: inp.Limits) -> int:
    """Return the tokens of the next request: what was counted last, and what came since."""
    counted = counted_tokens(state, limits)
    if counted is None:
        return estimated_tokens(state, limits, view.messages(state))
    if state.usage_model and state.usage_model != model_of(state, limits):
        return max(counted, estimated_tokens(state, limits, view.messages(state)))
    return counted


def counted_tokens(state: SessionState, limits: inp.Limits) -> int | None:
    """Return the context by the API's own count; None when it has none that can be true."""
    usage = state.usage
    if usage is None or not can_be_true(usage, limits):
        return None
    since = state.messages[state.usage_messages :]
    return usage.context_tokens + scaled(state, tokens.estimate(since))


def can_be_true(usage: ev.Usage, limits: inp.Limits) -> bool:
    """Say whether a count is one: there was a prompt, and it did not exceed the window by much."""
    return usage.output_tokens < usage.context_tokens <= limits.window_tokens * IMPOSSIBLE


def estimated_tokens(state: SessionState, limits: inp.Limits, messages: tuple[Message, ...]) -> int:
    """Return the tokens of a request with these messages, estimated and corrected."""
    return overhead_tokens(state, limits) + scaled(state, tokens.estimate(messages))


def overhead_tokens(state: SessionState, limits: inp.Limits) -> int:
    """Return the estimated tokens of what is sent besides messages: system prompt and tools."""
    return limits.overhead_tokens + tokens.estimate_text(state.system)


def scaled(state: SessionState, estimated: int) -> int:
    """Correct an estimate by what the API counts for this session's messages."""
    return math.ceil(estimated * ratio(state))


def ratio(state: SessionState) -> float:
    """Return counted over estimated tokens, within reason; 1 while little was compared."""
    known = state.calibration
    if known.estimated < CALIBRATED_TOKENS:
        return 1.0
    return min(max(known.counted / known.estimated, tokens.RATIO_MIN), tokens.RATIO_MAX)


def is_over_window(state: SessionState, limits: inp.Limits, context: int) -> bool:
    """Say whether the request must be refused, even if what is only estimated is less than that."""
    usage = state.usage
    sure = 0
    if usage is not None and counted_tokens(state, limits) is not None:
        sure = min(usage.context_tokens, context)
    return sure + (context - sure) / GUESSED >= limits.window_tokens


def bytes_max(state: SessionState, limits: inp.Limits) -> int:
    """Return how many bytes the messages of one request may have."""
    most = min(limits.profile.body_bytes_max, state.body_bytes_max or sizes.NO_LIMIT)
    return most - limits.overhead_bytes


def is_heavy(state: SessionState, limits: inp.Limits, at_most: int) -> bool:
    """Say whether a request passes the soft mark in bytes, which may be few tokens (A25).

    `at_most` is a size that it does not exceed; only when that is too much it is measured.
    """
    most = int(bytes_max(state, limits) * limits.soft_mark)
    return at_most > most and tokens.history_bytes(view.messages(state)) > most
