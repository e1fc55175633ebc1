"""Blobs: large payloads, stored once under their SHA-256.

Law: a blob's name is its content, so a blob never changes and writing it twice is harmless.
"""

from __future__ import annotations

import hashlib

import apsw

from holdfast.journal.schema import rows


def put(connection: apsw.Connection, content: bytes) -> str:
    """Store bytes and return their SHA-256 in hex."""
    digest = hashlib.sha256(content).hexdigest()
    connection.execute("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, content))
    return digest


def get(connection: apsw.Connection, digest: str) -> bytes:
    """Return a blob's bytes. Raises `KeyError`."""
    found = rows(connection, "SELECT content FROM blobs WHERE digest = ?", (digest,))
    if not found:
        raise KeyError(digest)
    content: bytes = found[0][0]
    return content
