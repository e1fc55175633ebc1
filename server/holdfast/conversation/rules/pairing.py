"""Calls and results of client tools (R40-R44, R48-R50, R54).

Law: every `tool_use` is answered exactly once, by a `tool_result` in the run of results that
opens the next user turn. The run crosses message borders; the first other block ends it (R40,
R41).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, USER, Block, History, Role
from holdfast.conversation.profile import (
    CODE_CALLERS,
    TOOLSET_RESULT_BLOCKS,
    Profile,
    is_server_result,
    is_server_use,
)
from holdfast.conversation.rules.blanks import is_blank
from holdfast.conversation.rules.flaws import Flaw, findings, quoted
from holdfast.conversation.turns import Place, Turn, calls, leading_results, merged, places


def call_ids(history: History, _profile: Profile) -> Iterable[Finding]:
    """R44: every call has an id of its own, the API's calls and the client's together."""
    seen: set[str] = set()
    for place in all_calls(history):
        tool_id = place.value.text_of("id")
        if tool_id in seen:
            where = f"messages.{place.message}.content.{place.block}"
            detail = f"{where}: `tool_use` ids must be unique"
            yield Finding("R44", place.message, place.block, detail, (tool_id,))
        seen.add(tool_id)


def all_calls(history: History) -> Iterator[Place]:
    """Yield every call of the assistant, whoever runs it, in order."""
    for number, message in enumerate(history):
        if message.role == ASSISTANT:
            for place in places(message, number):
                if place.value.type == "tool_use" or is_server_use(place.value.type):
                    yield place


def call_pairs(history: History, _profile: Profile) -> Iterable[Finding]:
    """R40, R41, R42, R43: each call has one result, in its place."""
    turns = merged(history)
    for number, turn in enumerate(turns):
        if turn.role == ASSISTANT:
            following = turns[number + 1] if number + 1 < len(turns) else None
            yield from _unanswered(turn, following)
        elif turn.role == USER:
            previous = turns[number - 1] if number else None
            yield from _unasked(turn, previous)


def _unanswered(turn: Turn, following: Turn | None) -> Iterator[Finding]:
    results = leading_results(following) if following and following.role == USER else ()
    answered = {place.value.text_of("tool_use_id") for place in results}
    missing = [p for p in calls(turn) if p.value.text_of("id") not in answered]
    if missing:
        ids = tuple(place.value.text_of("id") for place in missing)
        index = missing[0].message
        yield Finding("R40", index, missing[0].block, unanswered_text(index, ids), ids)


def unanswered_text(message: int, ids: tuple[str, ...]) -> str:
    """Return the API's sentence of R40 for the calls `ids` of one message."""
    return (
        f"messages.{message}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` "
        "block in the next message."
    )


def _unasked(turn: Turn, previous: Turn | None) -> Iterator[Finding]:
    asked = {p.value.text_of("id") for p in calls(previous)} if previous else set()
    seen: set[str] = set()
    for place in turn.places:
        if place.value.type != "tool_result":
            continue
        tool_id = place.value.text_of("tool_use_id")
        where = f"messages.{place.message}.content.{place.block}"
        if tool_id not in asked:
            detail = (
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {tool_id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
            yield Finding("R42", place.message, place.block, detail, (tool_id,))
        elif tool_id in seen:
            detail = (
                f"{where}: each tool_use must have a single result. Found multiple `tool_result` "
                f"blocks with id: {tool_id}"
            )
            yield Finding("R43", place.message, place.block, detail, (tool_id,))
        seen.add(tool_id)


def error_results(history: History, profile: Profile) -> Iterable[Finding]:
    """R48: a result that is an error says so, in text."""
    return findings(history, profile, error_flaws)


def error_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return whether an error result is empty or holds more than text."""
    data = block.data
    if block.type != "tool_result" or data.get("is_error") is not True:
        return ()
    content = data.get("content")
    if content is None or is_blank(content) or content == []:
        return (Flaw("R48", ".tool_result: content cannot be empty if `is_error` is true"),)
    if isinstance(content, list) and any(not _is_text(item) for item in content):
        return (Flaw("R48", ".tool_result: all content must be text if `is_error` is true"),)
    return ()


def _is_text(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "text"


def callers(history: History, _profile: Profile) -> Iterable[Finding]:
    """R49: a call says who made it: the model, or the code of a server call in the history."""
    known: set[str] = set()
    for number, message in enumerate(history):
        for position, block in enumerate(message.blocks):
            if block.type == "server_tool_use":
                known.add(block.text_of("id"))
            if caller_is_wrong(block, known):
                source = caller_id(block) or "unknown"
                detail = f"messages.{number}.content.{position}: source tool {source} not found"
                yield Finding("R49", number, position, detail)


def caller_is_wrong(block: Block, known: set[str]) -> bool:
    """Say whether a block names a caller that cannot be, given the server calls before it."""
    if "caller" not in block.data or not _may_have_caller(block.type):
        return False
    caller = block.get("caller")
    if not isinstance(caller, Mapping):
        return True
    if caller.get("type") == "direct":
        return caller.keys() != {"type"}
    made_by_code = is_called_by_code(block) and caller.keys() == {"type", "tool_id"}
    return not made_by_code or caller_id(block) not in known


def _may_have_caller(kind: str) -> bool:
    return kind == "tool_use" or is_server_use(kind) or is_server_result(kind)


def is_called_by_code(block: Block) -> bool:
    """Say whether a call was made by code that the API runs (R54)."""
    caller = block.get("caller")
    kind = caller.get("type") if isinstance(caller, Mapping) else None
    return isinstance(kind, str) and kind in CODE_CALLERS


def code_calls(history: History, profile: Profile) -> Iterable[Finding]:
    """R54: calls made by code that still runs can only be answered into its container."""
    for place in pending_code_calls(history, profile):
        yield Finding(
            "R54",
            place.message,
            place.block,
            "container_id is required when there are pending tool uses generated by code execution "
            "with tools.",
            (place.value.text_of("id"),),
        )


def pending_code_calls(history: History, profile: Profile) -> tuple[Place, ...]:
    """Return the calls made by code that wait for the answer which the next request brings."""
    if profile.containers_allowed or not any(is_called_by_code(b) for b in _last_said(history)):
        return ()
    turns = merged(history)
    last = next((turn for turn in reversed(turns) if turn.role == ASSISTANT), None)
    return tuple(place for place in calls(last) if is_called_by_code(place.value)) if last else ()


def _last_said(history: History) -> Iterator[Block]:
    """Yield the blocks of the last assistant turn."""
    end = len(history)
    while end and history[end - 1].role != ASSISTANT:
        end -= 1
    while end and history[end - 1].role == ASSISTANT:
        yield from history[end - 1].blocks
        end -= 1


def toolset_results(history: History, _profile: Profile) -> Iterable[Finding]:
    """R50: the result of a toolset's member names the toolset, and holds only what it may."""
    for place, toolset in wrong_toolsets(history):
        where = f"messages.{place.message}.content.{place.block}.tool_result"
        detail = f"{where}.toolset_name: Input should be {toolset!r}"
        if place.value.get("toolset_name") == toolset:
            detail = f"{where}.content: a toolset's results hold {quoted(TOOLSET_RESULT_BLOCKS)}"
        yield Finding("R50", place.message, place.block, detail)


def wrong_toolsets(history: History) -> Iterator[tuple[Place, str | None]]:
    """Yield the results that name another toolset than their call, or hold what no member may.

    With the toolset of the call, `None` when it is a member of none.
    """
    if not any("toolset_name" in b.data for m in history for b in m.blocks):
        return
    toolsets = {p.value.text_of("id"): p.value.get("toolset_name") for p in all_calls(history)}
    for number, message in enumerate(history):
        for place in places(message, number):
            if message.role == USER and place.value.type == "tool_result":
                toolset = toolsets.get(place.value.text_of("tool_use_id"))
                named = place.value.get("toolset_name") == toolset
                if not named or (toolset is not None and not _fits_toolset(place.value)):
                    yield place, toolset


def _fits_toolset(result: Block) -> bool:
    content = result.get("content")
    return not isinstance(content, list) or all(
        isinstance(item, Mapping) and item.get("type") in TOOLSET_RESULT_BLOCKS for item in content
    )


def caller_id(block: Block) -> str | None:
    """Return the id of the server call that a block says it was made by, if any."""
    caller = block.get("caller")
    source = caller.get("tool_id") if isinstance(caller, Mapping) else None
    return source if isinstance(source, str) else None
