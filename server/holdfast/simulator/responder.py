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
        system="\n".join(_texts(body.get("system"))),
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
        text = f"A conversation of {len(body['messages'])} messages took place.{kept}"
    elif _QUESTION in facts.last_user.lower() and not _SECRET.search(facts.last_user):
        text = f"The secret word is {secrets[-1]}." if secrets else "I do not know a secret word."
    elif facts.last_user.strip():
        text = f"You said: {facts.last_user[:_ECHO_CHARS]}"
    elif facts.last_result.strip():
        text = f"The tool answered: {facts.last_result[:_ECHO_CHARS]}"
    else:
        text = "I have nothing to add."
    return Respond(content=(TextItem(text=text),))


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
