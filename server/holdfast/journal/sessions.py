"""Sessions and their records as rows.

Law: a session's head moves only together with the records that move it, under a current lease.
Every function here runs inside the caller's transaction; those that refuse have changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from holdfast.journal import blobs
from holdfast.journal.schema import DAMAGE, SEQ_BITS, SEQ_MASK, rows, unknown_session
from holdfast.journal.store import (
    Lease,
    LeaseLost,
    Record,
    SessionSummary,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    SummaryChange,
)

_SUMMARY: Final = """
SELECT session_id, title, workspace_uri, model, phase, created_at_ms, updated_at_ms, head_seq,
       archived
FROM sessions
"""
# One statement checks the lease and the head, moves the head and changes the summary.
_MOVE_HEAD: Final = """
UPDATE sessions SET
    head_seq = head_seq + ?,
    updated_at_ms = coalesce(?, updated_at_ms),
    title = coalesce(?, title),
    model = coalesce(?, model),
    phase = coalesce(?, phase),
    archived = coalesce(?, archived)
WHERE session_id = ?
  AND head_seq = coalesce(?, head_seq)
  AND EXISTS (SELECT 1 FROM leases
              WHERE generation = ? AND leases.session_key = sessions.session_key)
"""
_INSERT_RECORD: Final = """
INSERT INTO records (record_key, at_ms, type, version, payload)
VALUES ((SELECT session_key FROM leases WHERE generation = ?) << ? | ?, ?, ?, ?, ?)
"""
_GAPS: Final = """
SELECT session_id, head_seq,
       (SELECT count(*) FROM records
        WHERE record_key BETWEEN session_key << :bits AND session_key << :bits | :mask) AS present
FROM sessions WHERE present != head_seq
"""
_NO_CHANGE: Final = SummaryChange()
_any_json: Final = msgspec.json.Decoder(msgspec.Raw)  # checks the syntax, builds nothing


def insert(connection: apsw.Connection, summary: SessionSummary) -> None:
    """Insert an empty session. Raises `ValueError` when the id is taken."""
    connection.execute(
        """INSERT INTO sessions (session_id, title, workspace_uri, model, phase, created_at_ms,
                                 updated_at_ms, head_seq, archived)
           VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING""",
        (
            summary.session_id,
            summary.title,
            summary.workspace_uri,
            summary.model,
            summary.phase,
            summary.created_at_ms,
            summary.updated_at_ms,
            int(summary.archived),
        ),
    )
    if not connection.changes():
        raise ValueError(f"There is already a session {summary.session_id!r}.")


def require_contiguous(records: Sequence[Record]) -> None:
    """Raise `ValueError` unless the records' seqs follow each other, from 1 on."""
    for before, record in enumerate(records, start=records[0].seq - 1 if records else 0):
        if record.seq != before + 1 or record.seq < 1:
            raise ValueError(f"Record {record.seq} does not follow record {before}.")


class Append:
    """One append, as the writer runs it: all of its records or none.

    `lost_tails` is the writer's memory of appends that failed: by the lease's generation, the last
    seq that was meant to be written. An append that follows such a lost one could only be refused
    for its seq, which would blame the caller; it fails for the reason of the one before instead.
    """

    def __init__(
        self,
        lease: Lease,
        records: Sequence[Record],
        change: SummaryChange | None,
        lost_tails: dict[int, int],
    ) -> None:
        self._lease = lease
        self._records = tuple(records)
        self._change = change or _NO_CHANGE
        self._lost_tails = lost_tails

    def __call__(self, connection: apsw.Connection) -> None:
        """Run in the writer's transaction.

        Raises `SessionUnknown`, `LeaseLost`, `StoreUnavailable`, `ValueError`.
        """
        records, change, generation = self._records, self._change, self._lease.generation
        connection.execute(
            _MOVE_HEAD,
            (
                len(records),
                records[-1].at_ms if records else None,
                change.title,
                change.model,
                change.phase,
                change.archived,
                self._lease.session_id,
                records[0].seq - 1 if records else None,
                generation,
            ),
        )
        if not connection.changes():
            raise self._refusal(connection)
        connection.executemany(
            _INSERT_RECORD,
            [(generation, SEQ_BITS, r.seq, r.at_ms, r.type, r.version, r.payload) for r in records],
        )
        self._lost_tails.pop(generation, None)

    def lost(self) -> None:
        """Note that this append failed in the store, so that its followers fail with it."""
        if self._records:
            generation, tail = self._lease.generation, self._records[-1].seq
            self._lost_tails[generation] = max(tail, self._lost_tails.get(generation, 0))

    def _refusal(self, connection: apsw.Connection) -> StoreError | ValueError:
        """Say why nothing was changed."""
        session_id, generation = self._lease.session_id, self._lease.generation
        try:
            _, head = require_lease(connection, self._lease)
        except StoreError as error:
            return error
        first = self._records[0].seq  # without records only the lease can be refused
        if head < first - 1 <= self._lost_tails.get(generation, 0):
            self.lost()
            return StoreUnavailable(
                f"Record {first} of session {session_id!r} follows one that could not be written."
            )
        return ValueError(f"Record {first} does not follow the head {head} of {session_id!r}.")


def require_lease(connection: apsw.Connection, lease: Lease) -> tuple[int, int]:
    """Return the session's key and head. Raises `SessionUnknown` and `LeaseLost`."""
    found = rows(
        connection,
        """SELECT session_key, head_seq, generation FROM sessions LEFT JOIN leases
           USING (session_key) WHERE session_id = ?""",
        (lease.session_id,),
    )
    if not found:
        raise unknown_session(connection, lease.session_id)
    session_key, head, generation = found[0]
    if generation != lease.generation:
        raise LeaseLost(lease.session_id)
    if not isinstance(session_key, int) or not isinstance(head, int):
        raise _damaged_row(lease.session_id)
    return session_key, head


def delete(connection: apsw.Connection, lease: Lease) -> None:
    """Delete a session, its records and its lease. Raises `SessionUnknown` and `LeaseLost`."""
    session_key, _ = require_lease(connection, lease)
    connection.execute(
        "DELETE FROM records WHERE record_key BETWEEN ? AND ?",
        (session_key << SEQ_BITS, session_key << SEQ_BITS | SEQ_MASK),
    )
    connection.execute("DELETE FROM sessions WHERE session_key = ?", (session_key,))


def read(
    connection: apsw.Connection, session_id: str, after_seq: int, limit: int | None
) -> list[Record]:
    """Return records after a seq, in order. Raises `SessionUnknown`.

    Raises `StoreDamaged` when one is missing or is not what was written, as far as that shows:
    not every damaged page shows itself to SQLite.
    """
    found: list[tuple[Any, ...]] = []
    with connection:  # one snapshot for the session and its records
        session_key, head = _session(connection, session_id)
        base = session_key << SEQ_BITS
        found = rows(
            connection,
            """SELECT record_key, at_ms, type, version, payload FROM records
               WHERE record_key > ? AND record_key <= ? ORDER BY record_key LIMIT ?""",
            (
                base | min(max(after_seq, 0), SEQ_MASK),
                base | SEQ_MASK,
                -1 if limit is None else max(limit, 0),
            ),
        )
    first = max(after_seq, 0)
    expected = max(head - first, 0) if limit is None else min(max(head - first, 0), max(limit, 0))
    if len(found) != expected or (found and found[-1][0] != base | first + expected):
        raise StoreDamaged(f"Records of session {session_id!r} are missing after {first}.")
    return [_record(row) for row in found]


def _record(row: tuple[Any, ...]) -> Record:
    """Check a row before it is believed: on a damaged page even a STRICT table's values change."""
    match row:
        case (int(key), int(at_ms), str(kind), int(version), bytes(payload)) if is_json(payload):
            return Record(key & SEQ_MASK, at_ms, kind, version, payload)
        case _:
            raise StoreDamaged(f"The record with key {row[0]} is not what was written.")


def is_json(payload: object) -> bool:
    """Whether a payload is JSON. The zeroes and the noise of a damaged page are not."""
    if not isinstance(payload, bytes):
        return False
    try:
        _any_json.decode(payload)
        payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def summaries(connection: apsw.Connection) -> list[SessionSummary]:
    """Return all sessions, the last changed first."""
    found = rows(connection, _SUMMARY + "ORDER BY updated_at_ms DESC, session_key DESC")
    return [_summary(row) for row in found]


def summary(connection: apsw.Connection, session_id: str) -> SessionSummary:
    """Return one session's summary. Raises `SessionUnknown`."""
    found = rows(connection, _SUMMARY + "WHERE session_id = ?", (session_id,))
    if not found:
        raise unknown_session(connection, session_id)
    return _summary(found[0])


def problems(connection: apsw.Connection) -> list[str]:
    """Return what is wrong with the database, in words; an empty list when nothing is."""
    try:
        found = [line for (line,) in rows(connection, "PRAGMA quick_check") if line != "ok"]
        gaps = rows(connection, _GAPS, {"bits": SEQ_BITS, "mask": SEQ_MASK})
        altered = [
            f"Record {key & SEQ_MASK} of the session with key {key >> SEQ_BITS} is not JSON."
            for key, payload in connection.execute("SELECT record_key, payload FROM records")
            if not is_json(payload)
        ]
        altered += [
            f"Blob {digest} is not what was stored."
            for digest, content in connection.execute("SELECT digest, content FROM blobs")
            if not blobs.is_sound(digest, content)
        ]
    except DAMAGE as error:
        return [f"The file is too damaged to be checked: {error}."]
    # SQLite does not look into the pages that large values overflow into.
    return (
        found
        + altered
        + [
            f"Session {session_id!r} should have {head} records and has {present}."
            for session_id, head, present in gaps
        ]
    )


def _session(connection: apsw.Connection, session_id: str) -> tuple[int, int]:
    """Return a session's key and head."""
    found = rows(
        connection,
        "SELECT session_key, head_seq FROM sessions WHERE session_id = ?",
        (session_id,),
    )
    if not found:
        raise unknown_session(connection, session_id)
    match found[0]:
        case (int(session_key), int(head)):
            return session_key, head
        case _:
            raise _damaged_row(session_id)


def _summary(row: tuple[Any, ...]) -> SessionSummary:
    match row:
        case (
            str(session_id),
            str(title),
            (str() | None) as workspace_uri,
            (str() | None) as model,
            str(phase),
            int(created_at_ms),
            int(updated_at_ms),
            int(head_seq),
            int(archived),
        ):
            return SessionSummary(
                session_id,
                title,
                workspace_uri,
                model,
                phase,
                created_at_ms,
                updated_at_ms,
                head_seq,
                bool(archived),
            )
        case _:
            raise _damaged_row(row[0])


def _damaged_row(session_id: object) -> StoreDamaged:
    return StoreDamaged(f"The row of session {session_id!r} is not what was written.")
