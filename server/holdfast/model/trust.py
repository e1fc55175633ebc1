"""Whom requests trust: the TLS context that the SDK's HTTP library makes.

Law: an examination of a connection trusts exactly whom a request trusts, no more and no fewer.
Importing the library takes a while: call this in a worker thread first.
"""

from __future__ import annotations

import ssl


def trust() -> ssl.SSLContext:
    """Return a context with the system's authorities, or those of `SSL_CERT_FILE`."""
    import httpx2  # noqa: PLC0415 (only who examines pays for it)

    return httpx2.create_ssl_context()
