"""Where a history is cut: what a compaction covers, and what stays verbatim.

Law: a cut never separates a call from its result, and leaves open calls in the tail (B09). What is
covered is a prefix; the cut is named by a record, so that it stays true when the history grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from holdfast.conversation.cut_points import NothingToCompact, cut_points, cuts_within_turn
from holdfast.conversation.history import SYSTEM, USER, History, Message
from holdfast.session import events as ev
from holdfast.session import view
from holdfast.session.compaction import facts
from holdfast.session.origins import index_of
from holdfast.session.state import Compaction, SessionState

_BY_A_MODEL: Final = frozenset({ev.Rung.SUMMARY, ev.Rung.CHUNKS, ev.Rung.ON_DEMAND})


def plan(state: SessionState, keep_tokens: int) -> int | None:
    """Return the index of the first message that stays verbatim; None when nothing can go.

    Prefers a cut before a prompt, and one that can carry a signed block; inside a long tool loop
    it is before an assistant message. The tail is at most `keep_tokens` (an estimate) when a legal
    cut allows that. Messages of one record are not separated: the record names the cut.
    """
    start_at = covered_until(state)
    tail = tuple(state.messages[start_at:])
    found = {*_cuts(cut_points, tail), *_cuts(cuts_within_turn, tail)}
    legal = sorted(i for i in found if tail[i].origin != tail[i - 1].origin)
    if not legal:
        return None
    sizes = _tail_tokens(tail)
    fitting = [i for i in legal if sizes[i] <= keep_tokens] or legal[-1:]
    return start_at + _preferred(tail, fitting)


def _preferred(tail: Sequence[Message], fitting: list[int]) -> int:
    prompts = [i for i in fitting if tail[i].role == USER]
    signable = [i for i in fitting if _is_signable(tail, i)]
    both = [i for i in prompts if i in signable]
    return (both or prompts or signable or fitting)[0]


def _tail_tokens(tail: Sequence[Message]) -> list[int]:
    sizes = [0] * (len(tail) + 1)
    for index in range(len(tail) - 1, -1, -1):
        sizes[index] = sizes[index + 1] + tail[index].tokens
    return sizes


def _cuts(find: Callable[[History], tuple[int, ...]], history: History) -> tuple[int, ...]:
    try:
        return find(history)
    except NothingToCompact:
        return ()


def _is_signable(messages: Sequence[Message], cut: int) -> bool:
    """Whether a signed block may stand for all before a cut: the speaker changes there (§6)."""
    return messages[cut].role not in {messages[cut - 1].role, SYSTEM}


def covered_until(state: SessionState) -> int:
    """Return the index of the first message that the view still shows."""
    return view.cut_index(state, state.in_force) if state.in_force else 0


def _base(state: SessionState) -> Compaction | None:
    """Return the newest compaction that a model wrote and that is in force, or lies below.

    What was made without a model is made anew from the history: a digest of a digest would lose
    more each time, and chunks that were summarised before a digest are used again.
    """
    found = (c for c in reversed(state.compactions) if c.rung in _BY_A_MODEL)
    return next(found, None)


def covered(state: SessionState, started: ev.CompactionStarted) -> tuple[str, tuple[Message, ...]]:
    """Return what a compaction must summarise: an earlier summary, and the messages behind it."""
    cut = index_of(state.messages, started.cut_origin)
    base = _base(state)
    begin = view.cut_index(state, base) if base else 0
    return facts.bare(base.summary) if base else "", tuple(state.messages[begin:cut])


def on_demand(state: SessionState, started: ev.CompactionStarted) -> History | None:
    """Return the messages to send for the API's own compaction, as they have been sent before.

    None when a signed block could not stand for them: nothing would be replaced, the speaker does
    not change at the cut, or a call is open before it (R95).
    """
    cut = index_of(state.messages, started.cut_origin)
    if not cut or not _is_signable(state.messages, cut):
        return None
    head = view.of(state, state.in_force, state.unbound_origin, until=cut)
    if not head or head[-1].role == state.messages[cut].role:
        return None  # Facts of an earlier block stand there; the speaker must change (§6).
    if any(block.type == "tool_use" for block in head[-1].blocks):
        return None
    return head
