"""Calls that the API runs itself, and their results (R51, R55, A04).

Law: a `*_tool_use` of an assistant message is answered by a `*_tool_result` further on in assistant
messages (R55). Without an answer it may only stand at the end of the history, where the API goes on
with it, with at most the results of client calls behind it (R51, R53). Kinds pair by their endings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, USER, History, Message
from holdfast.conversation.profile import Profile, is_server_result, is_server_use
from holdfast.conversation.turns import Place, pending_server_call, places


@attrs.frozen
class ServerPairs:
    """What became of the server calls of a history: the broken halves, and what links to what."""

    unanswered: tuple[Place, ...]
    unasked: tuple[Place, ...]
    answers: tuple[tuple[Place, Place], ...]


def server_pairs(history: History) -> ServerPairs:
    """Link the server calls of a history to their results, which may come much later (R55)."""
    pending: dict[str, Place] = {}
    interrupted: set[str] = set()
    unanswered: list[Place] = []
    unasked: list[Place] = []
    answers: list[tuple[Place, Place]] = []
    for number, message in enumerate(history):
        if _ends_server_turn(message):
            interrupted.update(pending)
        for place in _server_places(message, number):
            if is_server_use(place.value.type):
                tool_id = place.value.text_of("id")
                if tool_id in pending:
                    unanswered.append(pending[tool_id])
                interrupted.discard(tool_id)
                pending[tool_id] = place
            elif (use := pending.pop(place.value.text_of("tool_use_id"), None)) is not None:
                answers.append((use, place))
            else:
                unasked.append(place)
    if history and history[-1].role == ASSISTANT and not pending_server_call(history[-1]):
        interrupted.update(pending)  # the user has to speak next, which ends the turn
    last_turn = _last_assistant_turn(history)
    for tool_id, place in pending.items():
        if tool_id in interrupted or place.message < last_turn:
            unanswered.append(place)
    return ServerPairs(tuple(unanswered), tuple(unasked), tuple(answers))


def server_tool_pairs(history: History, _profile: Profile) -> Iterable[Finding]:
    """R51, A04: server calls and their results come in pairs."""
    pairs = server_pairs(history)
    for place in pairs.unanswered:
        tool, tool_id = place.value.text_of("name"), place.value.text_of("id")
        detail = (
            f"messages.{place.message}: `{tool}` tool use with id `{tool_id}` was found without a "
            f"corresponding `{tool}_tool_result` block"
        )
        yield Finding("R51", place.message, place.block, detail, (tool_id,))
    for place in pairs.unasked:
        kind, tool_id = place.value.type, place.value.text_of("tool_use_id")
        detail = (
            f"messages.{place.message}.content.{place.block}: unexpected `tool_use_id` found in "
            f"`{kind}` blocks: {tool_id}. Each `{kind}` block must have a corresponding "
            "`server_tool_use` block before it."
        )
        yield Finding("R51", place.message, place.block, detail, (tool_id,))


def _last_assistant_turn(history: History) -> int:
    """Return where the last run of assistant messages begins: only there may a call be open."""
    index = len(history) - 1
    while index >= 0 and history[index].role != ASSISTANT:
        index -= 1
    while index > 0 and history[index - 1].role == ASSISTANT:
        index -= 1
    return max(index, 0)


def _server_places(message: Message, number: int) -> Iterator[Place]:
    if message.role != ASSISTANT:
        return
    for place in places(message, number):
        if is_server_use(place.value.type) or is_server_result(place.value.type):
            yield place


def _ends_server_turn(message: Message) -> bool:
    """Anything but client results between the halves is refused (R51)."""
    if message.role == ASSISTANT:
        return False
    if message.role != USER or not message.blocks:
        return True
    return any(block.type != "tool_result" for block in message.blocks)
