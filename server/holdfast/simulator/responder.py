"""The default responder: a sensible answer to a request that no step of the script matches.

Law: the answer depends on the request alone. It is an oracle for what survived in a history: a
"secret word" named anywhere in it is known, one that was lost is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from holdfast.simulator.rules.request import JsonObject, content_blocks
from holdfast.simulator.script import Facts, RequestKind, Respond, TextItem

_ECHO_CHARS: Final = 80
_GIST_MAX: Final = 10
_SECRET: Final = re.compile(r"secret word is\W{0,3}([\w-]+)", re.IGNORECASE)
_QUESTION: Final = "secret word"


def facts_of(kind: RequestKind, body: JsonObject, raw: bytes) -> Facts:
    """Return what a script's conditions look at. `raw` is the body as it was sent."""
    last = _last_user_turn(body.get("messages") or [])
    return Facts(
        kind=kind,
        last_user="\n".join(block["text"] for block in last if block["type"] == "text"),
        last_result="\n".join(
            text for block in last if block["type"] == "tool_result" for text in _texts(block)
        ),
        body=raw.decode("utf-8", "replace"),
        body_bytes=len(raw),
        system=system_text(body),
        model=str(body.get("model", "")),
        has_tools=bool(body.get("tools")),
        has_tool_results=any(block["type"] == "tool_result" for block in last),
        has_compaction=body.get("compaction") is not None,
        stream=body.get("stream") is True,
    )


def _last_user_turn(messages: list[JsonObject]) -> list[JsonObject]:
    turn: list[JsonObject] = []
    for message in reversed(messages):
        if message["role"] == "user":
            turn = [*content_blocks(message), *turn]
        elif turn or message["role"] == "assistant":
            break
    return turn


def default_respond(body: JsonObject, facts: Facts) -> Respond:
    """Return the default answer to a request for a message."""
    secrets = [found[1] for text in _texts(body) for found in _SECRET.finditer(text)]
    if facts.has_compaction:
        kept = f" The secret word is {secrets[-1]}." if secrets else ""
        text = f"A conversation of {len(body['messages'])} messages took place.{kept}{_gist(body)}"
    elif _QUESTION in facts.last_user.lower() and not _SECRET.search(facts.last_user):
        text = f"The secret word is {secrets[-1]}." if secrets else "I do not know a secret word."
    elif facts.last_user.strip():
        text = f"You said: {facts.last_user[:_ECHO_CHARS]}"
    elif facts.last_result.strip():
        text = f"The tool answered: {facts.last_result[:_ECHO_CHARS]}"
    else:
        text = "I have nothing to add."
    return Respond(content=(TextItem(text=text),))


def system_text(body: JsonObject) -> str:
    """Return the system prompt as one text."""
    return "\n".join(_texts(body.get("system")))


def _gist(body: JsonObject) -> str:
    """Name what a summary should name: what was asked for last, and the files that calls named."""
    users = [m for m in body["messages"] if m["role"] == "user"]
    asked = [text[:_ECHO_CHARS] for m in users for text in _own_texts(m)][-_GIST_MAX:]
    inputs = [block.get("input") or {} for m in body["messages"] for block in content_blocks(m)]
    paths = [given["path"] for given in inputs if isinstance(given.get("path"), str)]
    named = list(dict.fromkeys(paths))[-_GIST_MAX:]
    gist = f" Asked for: {'; '.join(asked)}." if asked else ""
    return gist + (f" Files: {', '.join(named)}." if named else "")


def _own_texts(message: JsonObject) -> Iterator[str]:
    return (block["text"] for block in content_blocks(message) if block["type"] == "text")


def filled(respond: Respond, facts: Facts) -> Respond:
    """Return an answer with `{last_user}` filled into its texts."""
    items = tuple(
        TextItem(text=item.text.replace("{last_user}", facts.last_user), chunk=item.chunk)
        if isinstance(item, TextItem)
        else item
        for item in respond.content
    )
    return msgspec.structs.replace(respond, content=items)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in system, messages, results and compaction blocks, in order."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case {"messages": messages}:
            yield from _texts(value.get("system"))
            yield from _texts(messages)
        case {"text": str(text)}:
            yield text
        case {"content": content}:
            yield from _texts(content)
        case _:
            return
