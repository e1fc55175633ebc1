"""The durable log of sessions: the store port, SQLite, blobs, leases, codecs.

Law: append-only. A barrier append that returned is on disk; what a reader sees is a prefix of what
was written; only the owner of a session's lease can write to it.
"""
