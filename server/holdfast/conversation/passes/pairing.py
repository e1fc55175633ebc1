"""Every call gets one id, one result, in its place (R40-R45, A01-A03, A05-A07).

Law: over the whole history, not only at its end. Calls and results are linked; illegal and repeated
ids are renamed on both halves; each turn whose results are not the first things after it is put in
order. A call keeps its place, always. Results that answer nothing become text. Bytes that are in
order are not touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from holdfast.conversation import casting
from holdfast.conversation.history import ASSISTANT, USER, Block, History, Message
from holdfast.conversation.outcomes import synthetic_result
from holdfast.conversation.passes.linking import Call, Links, link
from holdfast.conversation.passes.steps import Context, Log, derived_id, each_block, with_fields
from holdfast.conversation.profile import TOOL_ID
from holdfast.conversation.rules.pairing import all_calls
from holdfast.conversation.turns import Place, Turn, calls, has_signed_thinking, merged

ORPHAN_LABEL: Final = "Result of a tool call whose request was lost"
SECOND_LABEL: Final = "Second result for the same tool call"


def pair_calls(history: History, context: Context, log: Log) -> History:
    """Link, rename, complete and order the client tool calls of a history."""
    history = _drop_repeats(history, log)
    turns = merged(history)
    links = link(turns)
    pairing = _Pairing(history, context, log)
    pairing.rename(links.calls)
    pairing.cast_left_over(links)
    by_turn: dict[int, list[Call]] = defaultdict(list)
    for call in links.calls:
        by_turn[call.turn].append(call)
    for number, its_calls in by_turn.items():
        following = turns[number + 1] if number + 1 < len(turns) else None
        if following is not None and following.role != USER:
            following = None
        pairing.order(turns[number], following, its_calls)
    return pairing.applied()


def _drop_repeats(history: History, log: Log) -> History:
    """Drop a call that stands twice, byte for byte, in one turn without signed thinking (A05)."""
    repeats = {
        (place.message, place.block)
        for turn in merged(history)
        if turn.role == ASSISTANT and not has_signed_thinking(turn)
        for place in _repeats(calls(turn))
    }

    def mend(message: Message, index: int, _block: Block, position: int) -> Iterable[Block] | None:
        if (index, position) not in repeats:
            return None
        log.note("R44", message, "dropped the second copy of a call", "the first copy")
        return ()

    return each_block(history, mend) if repeats else history


def _repeats(found: Sequence[Place]) -> Iterator[Place]:
    seen: set[Block] = set()
    for place in found:
        if place.value in seen:
            yield place
        seen.add(place.value)


@attrs.define
class _Pairing:
    """The edits to one history: decided call by call, applied once."""

    history: History
    context: Context
    log: Log
    replaced: dict[tuple[int, int], tuple[Block, ...]] = attrs.field(factory=dict)
    in_front: dict[int, list[Block]] = attrs.field(factory=dict)
    inserted: dict[int, Message] = attrs.field(factory=dict)

    def applied(self) -> History:
        """Return the edited history; the same object when nothing was decided."""
        if not (self.replaced or self.in_front or self.inserted):
            return self.history
        edited: list[Message] = []
        for index, message in enumerate(self.history):
            if index in self.inserted:
                edited.append(self.inserted[index])
            blocks = list(self.in_front.get(index, ()))
            for position, block in enumerate(message.blocks):
                blocks.extend(self.replaced.get((index, position), (block,)))
            edited.append(attrs.evolve(message, blocks=tuple(blocks)))
        if len(self.history) in self.inserted:
            edited.append(self.inserted[len(self.history)])
        return tuple(edited)

    def rename(self, asked: Sequence[Call]) -> None:
        """Give every call its final id: its own when it is legal and new, else a derived one."""
        taken: set[str] = set()
        seen: dict[str, int] = defaultdict(int)
        by_key = {call.key: call for call in asked}
        for place in all_calls(self.history):
            call = by_key.get((place.message, place.block))
            if call is None:  # a server call: renamed by its own pass
                taken.add(place.value.text_of("id"))
                continue
            legal = TOOL_ID.fullmatch(call.found_id) is not None
            if legal and call.found_id not in taken:
                call.new_id = call.found_id
            else:
                call.new_id = derived_id(call.found_id, seen[call.found_id], taken)
                self.replaced[call.key] = (with_fields(call.place.value, id=call.new_id),)
                self.log.note(
                    "R44" if legal else "R45",
                    self.history[call.place.message],
                    f"renamed the call id {call.found_id!r} to {call.new_id!r}",
                    "the call and its result",
                )
            seen[call.found_id] += 1
            taken.add(call.new_id)

    def cast_left_over(self, links: Links) -> None:
        """Turn results that answer no call into text; drop copies of a result that is there."""
        known = {call.found_id for call in links.calls}
        used = {call.result.value for call in links.calls if call.result}
        for place in links.left:
            message = self.history[place.message]
            if place.value in used:
                self.replaced[place.message, place.block] = ()
                self.log.note("R43", message, "dropped a copy of a result", "the first copy")
                continue
            second = place.value.text_of("tool_use_id") in known
            label = SECOND_LABEL if second else ORPHAN_LABEL
            cast = casting.result_as_blocks(place.value.data, label)
            self.replaced[place.message, place.block] = cast
            action = "turned a result that answers no call into text"
            self.log.note("R43" if second else "R42", message, action, "its content")

    def order(self, turn: Turn, following: Turn | None, its_calls: Sequence[Call]) -> None:
        """Make the results of one turn the first things after it, unless they already are."""
        open_ids = self.context.open_ids
        missing = [c for c in its_calls if c.result is None and c.found_id not in open_ids]
        here, elsewhere = _split(following, its_calls)
        if not missing and not elsewhere and _leads(following, here):
            self._rename_results(here)
            return
        results = [_renamed_result(call) for call in (*here, *elsewhere)]
        for call in (*here, *elsewhere):
            self.replaced[_result_key(call)] = ()
        if elsewhere or not _leads(following, here):
            action = "put the results right after their calls"
            rule = "R40" if elsewhere else "R41"
            self.log.note(rule, self.history[turn.stop - 1], action, "every result")
        results.extend(self._invented(missing))
        if following is not None:
            self.in_front[following.start] = results
        elif results:
            self.inserted[turn.stop] = Message(USER, tuple(results))

    def _rename_results(self, answered: Sequence[Call]) -> None:
        for call in answered:
            block = _renamed_result(call)
            if call.result and block is not call.result.value:
                self.replaced[_result_key(call)] = (block,)

    def _invented(self, missing: Sequence[Call]) -> Iterator[Block]:
        for call in missing:
            named = with_fields(call.place.value, id=call.new_id)
            yield synthetic_result(named, self.context.outcomes.get(call.found_id))
            message = self.history[call.place.message]
            action = f"inserted a result for the call {call.new_id}"
            self.log.note("R40", message, action, "the call")


def _split(following: Turn | None, its_calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """Return the answered calls whose result stands in the next user turn, and the others."""
    span = range(following.start, following.stop) if following else range(0)
    here = [call for call in its_calls if call.result and call.result.message in span]
    elsewhere = [call for call in its_calls if call.result and call.result.message not in span]
    return sorted(here, key=_result_key), elsewhere


def _leads(following: Turn | None, here: Sequence[Call]) -> bool:
    """Say whether the results of `here` are the first blocks of the turn."""
    leading = following.places[: len(here)] if following else ()
    return tuple(call.result for call in here) == leading


def _renamed_result(call: Call) -> Block:
    assert call.result is not None, "only answered calls have a result"
    block = call.result.value
    same = block.text_of("tool_use_id") == call.new_id
    return block if same else with_fields(block, tool_use_id=call.new_id)


def _result_key(call: Call) -> tuple[int, int]:
    assert call.result is not None, "only answered calls have a result"
    return call.result.message, call.result.block
