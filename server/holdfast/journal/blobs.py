"""Blobs: large payloads, stored once under their SHA-256.

Law: a blob's name is its content, so a blob never changes and writing it twice is harmless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import apsw

from holdfast.journal.schema import rows
from holdfast.journal.store import StoreDamaged


def put(connection: apsw.Connection, content: bytes) -> str:
    """Store bytes and return their SHA-256 in hex."""
    digest = hashlib.sha256(content).hexdigest()
    connection.execute("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, content))
    return digest


def get(connection: apsw.Connection, digest: str) -> bytes:
    """Return a blob's bytes. Raises `KeyError`, and `StoreDamaged` when they are others."""
    found = rows(connection, "SELECT content FROM blobs WHERE digest = ?", (digest,))
    if not found:
        raise KeyError(digest)
    content: bytes = found[0][0]
    if not is_sound(digest, content):
        raise StoreDamaged(f"Blob {digest} is not what was stored.")
    return content


def drop(connection: apsw.Connection, digests: Sequence[str]) -> None:
    """Remove blobs. Those that are not there are passed over."""
    connection.executemany("DELETE FROM blobs WHERE digest = ?", [(digest,) for digest in digests])


def is_sound(digest: str, content: object) -> bool:
    """Whether a blob's bytes are those of its name."""
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == digest
