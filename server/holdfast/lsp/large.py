"""Large messages: what opens a document that is not kept is not decoded either.

Law: the text of such a document is passed over, ten times faster than it is decoded; everything
else about the message stays as it is. What is no such message is none of ours.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from lsprotocol.types import TEXT_DOCUMENT_DID_OPEN

from holdfast.lsp.documents import HEAD_MAX, KEPT_MAX, Beginning

_ESCAPE_MAX: Final = 12
"""Bytes of the longest way to write a character: two escapes of half a pair each."""


class _Item(msgspec.Struct, rename="camel"):
    uri: str
    language_id: str
    version: int
    text: msgspec.Raw


class _Params(msgspec.Struct, rename="camel"):
    text_document: _Item


class _DidOpen(msgspec.Struct):
    method: str
    params: _Params


_decode: Final = msgspec.json.Decoder(_DidOpen).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def opening(body: bytes, kept_max: int = KEPT_MAX) -> dict[str, Any] | None:
    """Return the message that opens a document too large to be kept, with only its beginning."""
    if len(body) <= kept_max:
        return None
    try:
        message = _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    item = message.params.text_document
    written = memoryview(item.text)
    if message.method != TEXT_DOCUMENT_DID_OPEN or len(written) <= kept_max:
        return None
    head = _head(bytes(written[: HEAD_MAX + _ESCAPE_MAX]))
    if head is None:
        return None
    document = {
        "uri": item.uri,
        "languageId": item.language_id,
        "version": item.version,
        "text": Beginning.of(head, len(written)),
    }
    return {"jsonrpc": "2.0", "method": message.method, "params": {"textDocument": document}}


def _head(written: bytes) -> str | None:
    """Return the beginning of a JSON string that is cut off somewhere, also within an escape."""
    for cut in range(_ESCAPE_MAX + 1):
        try:
            return _decode_text(written[: len(written) - cut] + b'"')
        except (msgspec.DecodeError, UnicodeError):
            continue
    return None
