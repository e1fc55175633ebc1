"""A small notation for request bodies, shared by the tests of the simulator."""

from __future__ import annotations

from typing import Any

from differential.pictures import image, pdf, png
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Accepted, Validator

Json = dict[str, Any]

__all__ = ["image", "pdf", "png"]

KEY_HEADERS = {"x-api-key": "sk-test", "anthropic-version": "2026-10-21"}
TOOL = {
    "name": "read",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}


def text(value: str, **extra: Any) -> Json:
    return {"type": "text", "text": value, **extra}


def use(identifier: str, name: str = "read", **extra: Any) -> Json:
    return {"type": "tool_use", "id": identifier, "name": name, "input": {}, **extra}


def result(identifier: str, content: Any = "done", **extra: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": identifier, "content": content, **extra}


def search(identifier: str = "srvtoolu_1") -> Json:
    return {"type": "server_tool_use", "id": identifier, "name": "web_search", "input": {}}


def found(identifier: str = "srvtoolu_1") -> Json:
    return {"type": "web_search_tool_result", "tool_use_id": identifier, "content": []}


def user(*content: Json | str) -> Json:
    return {"role": "user", "content": _content(content)}


def assistant(*content: Json | str) -> Json:
    return {"role": "assistant", "content": _content(content)}


def system(*content: Json | str, **extra: Any) -> Json:
    return {"role": "system", "content": _content(content), **extra}


def _content(content: tuple[Json | str, ...]) -> Any:
    if len(content) == 1 and isinstance(content[0], str):
        return content[0]
    return [text(item) if isinstance(item, str) else item for item in content]


def body(*messages: Json, **fields: Any) -> Json:
    """A valid body with these messages; a field given as None is left out."""
    made = {
        "model": "claude-opus-5-5",
        "max_tokens": 1024,
        "messages": list(messages) or [user("hello")],
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def check(
    value: Json, envelope: Envelope | None = None, account: Account | None = None
) -> Accepted:
    """Check a body as a fresh simulator does. Raises `Refusal`."""
    validator = Validator(account or Account(), Signer(), Ledger())
    return validator.check(value, envelope or Envelope())


def refusal_of(
    value: Json, envelope: Envelope | None = None, account: Account | None = None
) -> Refusal | None:
    """Return how a body is refused, or None when it is accepted."""
    try:
        check(value, envelope, account)
    except Refusal as refusal:
        return refusal
    return None
