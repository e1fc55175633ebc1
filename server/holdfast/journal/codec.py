"""Events to records and back.

Law: `decode(encode(recorded)) == recorded`. A record of a type or version that this release does
not know is kept in the journal, shown to nobody and changes nothing: `decode` gives `UnknownEvent`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast.journal.store import Record
from holdfast.session.events import EVENT_TYPES, Event, type_of
from holdfast.session.inputs import Recorded

_encoder: Final = msgspec.json.Encoder()
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {}


class UnknownEvent(Event, frozen=True):
    """A record that a newer release wrote, or that cannot be read any more."""

    name: str
    record_version: int


def encode(recorded: Recorded) -> Record:
    """Turn a folded event into a journal record."""
    event = recorded.event
    return Record(
        seq=recorded.seq,
        at_ms=recorded.at_ms,
        type=type_of(event),
        version=event.VERSION,
        payload=_encoder.encode(event),
    )


def decode(record: Record) -> Recorded:
    """Read a journal record. Total: what cannot be read is an `UnknownEvent`."""
    kind = EVENT_TYPES.get(record.type)
    if kind is None or record.version > kind.VERSION:
        event: Event = UnknownEvent(name=record.type, record_version=record.version)
        return Recorded(record.seq, record.at_ms, event)
    try:
        return Recorded(
            record.seq, record.at_ms, _decoder(record.type, kind).decode(record.payload)
        )
    except msgspec.MsgspecError:
        event = UnknownEvent(name=record.type, record_version=record.version)
        return Recorded(record.seq, record.at_ms, event)


def _decoder(name: str, kind: type[Event]) -> msgspec.json.Decoder[Any]:
    found = _decoders.get(name)
    if found is None:
        found = _decoders[name] = msgspec.json.Decoder(kind)
    return found
