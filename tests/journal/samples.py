"""What the journal's tests write, and nothing that takes long to import."""

from __future__ import annotations

from holdfast.journal.store import Durability, Record, SessionSummary

BARRIER, LAZY = Durability.BARRIER, Durability.LAZY
NOW_MS = 1_700_000_000_000


def a_summary(session_id: str = "s1", *, at_ms: int = NOW_MS) -> SessionSummary:
    return SessionSummary(
        session_id=session_id,
        title="First title",
        workspace_uri="file:///project",
        model="model-a",
        phase="idle",
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
        head_seq=0,
    )


def a_record(seq: int, payload: bytes = b"{}") -> Record:
    return Record(seq=seq, at_ms=NOW_MS + seq, type="prompt", version=1, payload=payload)


def json_of(size: int) -> bytes:
    """A payload of that many characters; like all payloads it is JSON."""
    return b'"%s"' % (b"x" * size)


def records(first: int, last: int) -> list[Record]:
    return [a_record(seq, b'{"n":%d}' % seq) for seq in range(first, last + 1)]
