"""Calls that the API runs itself, and their results (R51, R52, R55, A04).

Law: a `*_tool_use` of an assistant message is answered by a `*_tool_result` further on in assistant
messages (R55). Without an answer it may only stand at the end of the history, where the API goes on
with it, with at most the results of client calls behind it (R51, R53). Kinds pair by their endings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import attrs

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, USER, History, Message
from holdfast.conversation.profile import Profile, is_server_result, is_server_use
from holdfast.conversation.rules.pairing import caller_id, pending_code_calls
from holdfast.conversation.rules.traits import traits
from holdfast.conversation.turns import Place, pending_server_call, places

Key: TypeAlias = tuple[bool, str]


@attrs.frozen
class ServerPairs:
    """What became of the server calls of a history: the broken halves, and what links to what.

    `waiting` are the calls without a result that the API is to go on with.
    """

    unanswered: tuple[Place, ...]
    unasked: tuple[Place, ...]
    answers: tuple[tuple[Place, Place], ...]
    waiting: tuple[Place, ...] = ()


def server_pairs(history: History) -> ServerPairs:
    """Link the server calls of a history to their results, which may come much later (R55)."""
    pending: dict[Key, Place] = {}
    interrupted: set[Key] = set()
    unanswered: list[Place] = []
    unasked: list[Place] = []
    answers: list[tuple[Place, Place]] = []
    called = False
    for number, message in enumerate(history):
        if message.role == ASSISTANT:
            begins = number == 0 or history[number - 1].role != ASSISTANT
            called = (called and not begins) or bool(traits(message).calls)
        elif not called or _ends_server_turn(message):
            interrupted.update(pending)
        for place in _server_places(message, number):
            if is_server_use(place.value.type):
                key = _key(place, "id")
                if key in pending:
                    unanswered.append(pending[key])
                interrupted.discard(key)
                pending[key] = place
                continue
            key = _key(place, "tool_use_id")
            use = pending.pop(key, None)
            if use is None:
                unasked.append(place)
            elif key in interrupted:  # the turn of the call is over: neither half counts
                unanswered.append(use)
                unasked.append(place)
            else:
                answers.append((use, place))
    if history and history[-1].role == ASSISTANT and not pending_server_call(history[-1]):
        interrupted.update(pending)  # the user has to speak next, which ends the turn
    last_turn = _last_assistant_turn(history)
    waiting: list[Place] = []
    for key, place in pending.items():
        over = key in interrupted or place.message < last_turn
        (unanswered if over else waiting).append(place)
    return ServerPairs(tuple(unanswered), tuple(unasked), tuple(answers), tuple(waiting))


def _key(place: Place, field: str) -> Key:
    """Calls of MCP servers are answered by their own kind of result, all others by the rest."""
    return place.value.type.startswith("mcp_"), place.value.text_of(field)


def impossible_waits(
    history: History, pairs: ServerPairs, profile: Profile
) -> tuple[tuple[str, Place], ...]:
    """Return the waiting calls that the next request cannot go on with, each with its rule.

    The tool is not in the request (R52), or the code that made client calls has no container (R54).
    """
    if not pairs.waiting:
        return ()
    runners = {caller_id(place.value) for place in pending_code_calls(history, profile)}
    return tuple(
        ("R54" if place.value.text_of("id") in runners else "R52", place)
        for place in pairs.waiting
        if place.value.text_of("id") in runners or _is_not_offered(place, profile)
    )


def _is_not_offered(place: Place, profile: Profile) -> bool:
    offered = profile.server_tools
    return (
        offered is not None
        and place.value.type == "server_tool_use"
        and place.value.text_of("name") not in offered
    )


def server_tool_pairs(history: History, profile: Profile) -> Iterable[Finding]:
    """R51, R52, R55: server calls and results come in pairs; what waits is still offered."""
    if not any(_server_places(message, 0) for message in history):
        return
    pairs = server_pairs(history)
    for rule, place in impossible_waits(history, pairs, profile):
        tool, tool_id = place.value.text_of("name"), place.value.text_of("id")
        if rule == "R52":
            detail = (
                f"messages.{place.message}: `{tool}` tool use with id `{tool_id}` was found "
                f"without a corresponding `{tool}_tool_result` block, but no `{tool}` tool was "
                "provided"
            )
            yield Finding("R52", place.message, place.block, detail, (tool_id,))
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
        yield Finding("R55", place.message, place.block, detail, (tool_id,))


def _last_assistant_turn(history: History) -> int:
    """Return where the last run of assistant messages begins: only there may a call be open."""
    index = len(history) - 1
    while index >= 0 and history[index].role != ASSISTANT:
        index -= 1
    while index > 0 and history[index - 1].role == ASSISTANT:
        index -= 1
    return max(index, 0)


def _server_places(message: Message, number: int) -> tuple[Place, ...]:
    if message.role != ASSISTANT:
        return ()
    return tuple(
        place
        for place in places(message, number)
        if is_server_use(place.value.type) or is_server_result(place.value.type)
    )


def _ends_server_turn(message: Message) -> bool:
    """Anything but the results of calls made beside it is refused between the halves (R51)."""
    if message.role != USER or not message.blocks:
        return True
    return any(block.type != "tool_result" for block in message.blocks)
