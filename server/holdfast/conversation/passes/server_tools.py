"""Server calls and their results stay together or become text (R30, R45, R49-R52, R54, A04).

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
from holdfast.conversation.profile import (
    SERVER_TOOL_ID,
    TOOL_ID,
    TOOLSET_RESULT_BLOCKS,
    is_server_result,
)
from holdfast.conversation.rules.pairing import (
    all_calls,
    caller_is_wrong,
    pending_code_calls,
    wrong_toolsets,
)
from holdfast.conversation.rules.server_tools import ServerPairs, impossible_waits, server_pairs
from holdfast.conversation.rules.tool_changes import unresolved_changes
from holdfast.conversation.turns import Place


def pair_server_calls(history: History, context: Context, log: Log) -> History:
    """Cast the broken halves, then rename what is left with an unusable id."""
    history = _cast_broken(history, context, log)
    return _rename(history, server_pairs(history), log)


def _cast_broken(history: History, context: Context, log: Log) -> History:
    pairs = server_pairs(history)
    waits = impossible_waits(history, pairs, context.profile)
    lost = (*pairs.unanswered, *pairs.unasked, *(place for _, place in waits))
    broken = {_key(place) for place in lost}
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


def drop_stale_callers(history: History, context: Context, log: Log) -> History:
    """Take out the `caller` of a call whose code is not in the history, or not running (R49, R54).

    A call without a caller is one that the model made itself, which any request can answer.
    """
    known: set[str] = set()
    pending = {_key(place) for place in pending_code_calls(history, context.profile)}

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        if block.type == "server_tool_use":
            known.add(block.text_of("id"))
        stale = caller_is_wrong(block, known)
        if not stale and (index, position) not in pending:
            return None
        rule = "R49" if stale else "R54"
        log.note(rule, message, "took out a reference to a server call that is gone", "the call")
        return (without_fields(block, "caller"),)

    return each_block(history, mend)


def name_toolsets(history: History, _context: Context, log: Log) -> History:
    """Let every result name the toolset of its call, and hold only what its member may (R50)."""
    named = {_key(place): toolset for place, toolset in wrong_toolsets(history)}
    if not named:
        return history

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        if (index, position) not in named:
            return None
        toolset = named[index, position]
        log.note("R50", message, "named the toolset that a result belongs to", "the result")
        if toolset is None:
            return (without_fields(block, "toolset_name"),)
        return (with_fields(_fit_for_toolset(block), toolset_name=toolset),)

    return each_block(history, mend)


def _fit_for_toolset(result: Block) -> Block:
    """Turn what the result of a member may not hold into text."""
    content = result.get("content")
    if not isinstance(content, list):
        return result
    items = [
        item
        if item.get("type") in TOOLSET_RESULT_BLOCKS
        else {"type": "text", "text": casting.item_text(item)}
        for item in content
    ]
    return with_fields(result, content=items)


def cast_lost_tools(history: History, context: Context, log: Log) -> History:
    """Turn changes of tools that are not there into text (R30)."""
    lost = {_key(place) for place, _ in unresolved_changes(history, context.profile)}
    if not lost:
        return history

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        if (index, position) not in lost:
            return None
        log.note("R30", message, "turned a change of an unknown tool into text", "its words")
        return (text(casting.as_text(block)),)

    return each_block(history, mend)
