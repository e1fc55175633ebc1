"""The request view: what of a session is sent to the model.

Law: a pure function of the state, append-only between compactions. A message once accepted by the
API keeps its bytes; only a compaction, a repair or a rewind changes what came before, and each of
those is a record. What a compaction covers is found by its record, never by a position (B22), and
what came behind that record is shown even when a repair has left nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import attrs

from holdfast.conversation import casting
from holdfast.conversation.clipping import clip
from holdfast.conversation.history import ASSISTANT, USER, Block, History, Message, text
from holdfast.session.origins import end_of, first_from
from holdfast.session.state import Compaction, SessionState


def messages(state: SessionState) -> History:
    """Return the messages of the next request."""
    return of(state, state.in_force, state.unbound_origin)


def of(
    state: SessionState,
    compaction: Compaction | None,
    unbound_origin: str,
    until: int | None = None,
) -> History:
    """Return the messages as they would be sent under a compaction, up to the index `until`.

    Thinking up to the record `unbound_origin` is left out.
    """
    cut = cut_index(state, compaction) if compaction else 0
    end = len(state.messages) if until is None else until
    bound = max(cut, end_of(state.messages, unbound_origin))
    if compaction is None:
        return _part(state, cut, end, bound)
    facts = _facts(compaction)
    known = end_of(state.messages, compaction.known_origin)
    if facts and cut <= known <= end:
        kept = (*_part(state, cut, known, bound), *facts, *_part(state, known, end, bound))
    else:
        kept = _part(state, cut, end, bound)
    shown = tuple(_shortened(compaction.cleared, kept))
    return (*_leading(compaction, shown), *shown)


def _part(state: SessionState, begin: int, end: int, bound: int) -> History:
    """Return messages as they are sent: before the index `bound` without their thinking."""
    middle = max(begin, min(bound, end))
    old = (message.unbound or message for message in state.messages[begin:middle])
    return (*(m for m in old if m.blocks), *state.messages[middle:end])


def cut_index(state: SessionState, compaction: Compaction) -> int:
    """Return the index of the first message that the compaction keeps verbatim."""
    if not compaction.cut_origin:
        return end_of(state.messages, compaction.known_origin)
    return first_from(state.messages, compaction.cut_origin)


def without_thinking(message: Message) -> Message:
    """Leave out thinking that was bound to a prefix which is no longer sent (R72, R74)."""
    return message.unbound or message


# -- what a compaction shows -----------------------------------------------------------------------


def _leading(compaction: Compaction, shown: History) -> History:
    """Return the message that stands for what is covered; none when nothing is.

    A signed block stands alone, said by the other role than the first message that is kept (§6).
    """
    if compaction.block is not None:
        role = ASSISTANT if not shown or shown[0].role == USER else USER
        return (Message(role, (compaction.block,), compaction.origin),)
    if not compaction.summary:
        return ()
    return (Message(USER, (text(compaction.summary),), compaction.origin),)


def _facts(compaction: Compaction) -> History:
    """Return the facts that stand behind a signed block; in a summary they are part of its text."""
    if compaction.block is None or not compaction.facts:
        return ()
    return (Message(USER, (text(compaction.facts),), compaction.facts_origin),)


def _shortened(cleared: Mapping[str, int], shown: Iterable[Message]) -> Iterator[Message]:
    if not cleared:
        yield from shown
        return
    for message in shown:
        yield shortened(message, cleared) if message.role == USER else message


def shortened(message: Message, cleared: Mapping[str, int]) -> Message:
    """Show the results of some calls with so many bytes of each; the rest stays as it is."""
    blocks = tuple(
        result_of(block, cleared[block.text_of("tool_use_id")], entry_of(message))
        if block.type == "tool_result" and block.text_of("tool_use_id") in cleared
        else block
        for block in message.blocks
    )
    return message if blocks == message.blocks else attrs.evolve(message, blocks=blocks)


def entry_of(message: Message) -> str:
    """Return the number under which a person or the model can recall a message in full."""
    return message.origin.partition(".")[0]


@lru_cache(maxsize=4096)
def result_of(result: Block, bytes_kept: int, entry: str) -> Block:
    """Return a result with at most `bytes_kept` bytes of its output, saying where all of it is."""
    parts = [casting.item_text(item) for item in casting.items(result.get("content"))]
    said = "\n".join(parts)
    size = len(said.encode(errors="replace"))
    where = f"`recall_read` with entry {entry} shows it" if entry else "it is kept in the journal"
    note = f"[Output left out here to save room: {size} bytes in all; {where}.]"
    kept = clip(said, bytes_kept) if bytes_kept else ""
    return Block.of({**result.data, "content": f"{kept}\n{note}" if kept.strip() else note})
