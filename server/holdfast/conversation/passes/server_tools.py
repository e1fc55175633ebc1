"""Server calls and their results stay together or become text (R45, R49, R51, A04).

Law: no result of a server tool is ever invented: it is encrypted and checked. The half that
exists is turned into text where it stands. Illegal and repeated ids are renamed on both halves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from holdfast.conversation import casting
from holdfast.conversation.history import Block, History, Message, text
from holdfast.conversation.passes.steps import (
    Context,
    Log,
    derived_id,
    each_block,
    with_fields,
    without_fields,
)
from holdfast.conversation.profile import SERVER_TOOL_ID, TOOL_ID, is_server_result
from holdfast.conversation.rules.pairing import all_calls, caller_is_wrong
from holdfast.conversation.rules.server_tools import ServerPairs, server_pairs
from holdfast.conversation.turns import Place


def pair_server_calls(history: History, _context: Context, log: Log) -> History:
    """Cast the broken halves, then rename what is left with an unusable id."""
    history = _cast_broken(history, server_pairs(history), log)
    return _rename(history, server_pairs(history), log)


def _cast_broken(history: History, pairs: ServerPairs, log: Log) -> History:
    broken = {(p.message, p.block) for p in (*pairs.unanswered, *pairs.unasked)}
    if not broken:
        return history

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        if (index, position) not in broken:
            return None
        log.note(
            "R51", message, f"turned half a server call (`{block.type}`) into text", "its text"
        )
        return (text(casting.as_text(block)),)

    return each_block(history, mend)


def _rename(history: History, pairs: ServerPairs, log: Log) -> History:
    answer_of = {_key(use): _key(answer) for use, answer in pairs.answers}
    new_ids: dict[tuple[int, int], str] = {}
    for place, new_id in _new_ids(history):
        new_ids[_key(place)] = new_id
        if _key(place) in answer_of:
            new_ids[answer_of[_key(place)]] = new_id
    if not new_ids:
        return history

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        new_id = new_ids.get((index, position))
        if new_id is None:
            return None
        if is_server_result(block.type):
            return (with_fields(block, tool_use_id=new_id),)
        log.note("R45", message, f"renamed a server call to {new_id!r}", "the call and its result")
        return (with_fields(block, id=new_id),)

    return each_block(history, mend)


def _key(place: Place) -> tuple[int, int]:
    return place.message, place.block


def _new_ids(history: History) -> Iterable[tuple[Place, str]]:
    """Yield the server calls that need another id: an illegal one, or one of an earlier call."""
    taken: set[str] = set()
    seen: dict[str, int] = defaultdict(int)
    for place in all_calls(history):
        old = place.value.text_of("id")
        new = old
        if place.value.type != "tool_use":
            server = place.value.type == "server_tool_use"
            legal = (SERVER_TOOL_ID if server else TOOL_ID).fullmatch(old) is not None
            if not legal or old in taken:
                new = derived_id(old, seen[old], taken, "srvtoolu_" if server else "mcptoolu_")
                yield place, new
        seen[old] += 1
        taken.add(new)


def drop_stale_callers(history: History, _context: Context, log: Log) -> History:
    """Take out the `caller` of a call whose code is not in the history (R49)."""
    known: set[str] = set()

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        if block.type == "server_tool_use":
            known.add(block.text_of("id"))
        if not caller_is_wrong(block, known):
            return None
        log.note("R49", message, "took out a reference to a server call that is gone", "the call")
        return (without_fields(block, "caller"),)

    return each_block(history, mend)
