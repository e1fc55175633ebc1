"""Conversions between the agent's values and the wire.

Law: camelCase outside, snake_case inside. A field `..._at_ms` is called `...At` outside (wall
clock, milliseconds); a field that is None is left out. Events and blocks keep their own JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from holdfast.conversation import encoding

if TYPE_CHECKING:  # It loads after `initialize` (S1).
    from holdfast.agent.api import SessionEntry, SessionView, Status
    from holdfast.session.inputs import Recorded
    from holdfast.session.items import Change

_encoder: Final = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Return `value` (plain data, msgspec values) as JSON. Raises `TypeError`.

    Lone surrogates, which only a foreign decoder lets in, become U+FFFD.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return encoding.encode(msgspec.to_builtins(value)).encode()


def plain(value: Any) -> Any:
    """Return the agent's values as plain data in the wire's names."""
    kind: Any = type(value)
    if attrs.has(kind):
        members = ((name, getattr(value, field)) for field, name in _names(kind))
        return {name: plain(member) for name, member in members if member is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def camel(name: str) -> str:
    """Return a field's name on the wire."""
    name = re.sub("_at_ms$", "_at", name)
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


@cache
def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, camel(field.name)) for field in attrs.fields(kind))


def state_result(view: SessionView) -> dict[str, Any]:
    """Return the result of `holdfast.session.state`."""
    return {
        **plain(view.status),
        "seq": view.seq,
        "usage": plain(view.usage),
        "questions": plain(view.questions),
        "todos": plain(view.todos),
        "queue": plain(view.queue),
    }


def event_item(record: Recorded) -> dict[str, Any]:
    """Return one event as `holdfast.session.open` lists it; the event encodes itself."""
    return {"seq": record.seq, "atMs": record.at_ms, "event": record.event}


def event_notification(session_id: bytes, record: Recorded) -> bytes:
    """Return the body of one `holdfast/event`. `session_id` is encoded once by the caller."""
    return (
        b'{"jsonrpc":"2.0","method":"holdfast/event","params":{"sessionId":%b,"seq":%d,"atMs":%d,'
        b'"event":%b}}' % (session_id, record.seq, record.at_ms, encode(record.event))
    )


def sessions_notification(entries: Sequence[SessionEntry], removed: Sequence[str]) -> bytes:
    """Return the body of one `holdfast/sessions`."""
    params = {"sessions": plain(entries), "removed": removed}
    return encode({"jsonrpc": "2.0", "method": "holdfast/sessions", "params": params})


def items_notification(
    session_id: str, seq: int, changes: Sequence[Change], session: SessionView | None
) -> bytes:
    """Return the body of one `holdfast/items`; items encode themselves."""
    params: dict[str, Any] = {"sessionId": session_id, "seq": seq, "changes": changes}
    if session is not None:
        params["session"] = plain(session)
    return encode({"jsonrpc": "2.0", "method": "holdfast/items", "params": params})


def status_notification(status: Status) -> bytes:
    """Return the body of one `holdfast/status`."""
    return encode({"jsonrpc": "2.0", "method": "holdfast/status", "params": plain(status)})
