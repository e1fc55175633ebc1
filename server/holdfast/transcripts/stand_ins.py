"""Small media that say of themselves what large ones say.

Law: `picture_in(stand_in(x)) == picture_in(x)`, and `document_in` likewise: type, sides, whether it
is complete, pages, encryption. What can be read as neither stays unreadable in the same way.
"""

from __future__ import annotations

import binascii
import struct
from typing import Final

from holdfast.conversation.media import (
    GIF,
    JPEG,
    PNG,
    Document,
    Encoded,
    Picture,
    is_base64,
    picture,
)
from holdfast.conversation.media import document as read_document

SHORT_CHARS: Final = 512
"""The longest encoding that is kept as it is."""

_NEITHER: Final = "AAAA"
_NO_BASE64: Final = "..."
_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_FAR: Final = 0xFFFFFFFF
_VP8_SIDE_MAX: Final = 0x3FFF


def stand_in(encoded: str, *, document: bool) -> str:
    """Return a short base64 text for a long one, in an image or a document."""
    if len(encoded) <= SHORT_CHARS:
        return encoded
    if not is_base64(encoded):
        return _NO_BASE64
    if document:
        found = read_document(binascii.a2b_base64(encoded))
        return _NEITHER if found is None else _encoded(_pdf(found))
    seen = picture(Encoded(encoded))
    return _NEITHER if seen is None else _encoded(like(seen))


def like(seen: Picture) -> bytes:
    """Return the smallest file that says what a picture's header said."""
    if seen.media_type == PNG:
        return _png(seen)
    if seen.media_type == JPEG:
        return _jpeg(seen)
    return _gif(seen) if seen.media_type == GIF else _webp(seen)


def _says_nothing(seen: Picture) -> bool:
    return not (seen.width or seen.height or seen.complete)


def _png(seen: Picture) -> bytes:
    if _says_nothing(seen):
        return _PNG_MAGIC
    head = struct.pack(">I4sIIBBBBBI", 13, b"IHDR", seen.width, seen.height, 8, 2, 0, 0, 0, 0)
    end = struct.pack(">I4sI", 0, b"IEND", 0)
    cut = struct.pack(">I4s", _FAR, b"IDAT")
    return _PNG_MAGIC + head + (end if seen.complete else cut)


def _jpeg(seen: Picture) -> bytes:
    frame = struct.pack(">BBHBHH", 0xFF, 0xC0, 7, 8, seen.height, seen.width)
    return b"\xff\xd8" + frame + b"\xff\xda" + (b"\xff\xd9" if seen.complete else b"")


def _gif(seen: Picture) -> bytes:
    head = b"GIF89a" + struct.pack("<HHB", seen.width, seen.height, 0) + b"\0\0"
    frame = b"\x2c" + b"\0" * 11
    return head + (frame + b"\x3b" if seen.complete else b"\0" * 10)


def _webp(seen: Picture) -> bytes:
    width, height = seen.width, seen.height
    if max(width, height) <= _VP8_SIDE_MAX:
        body = b"VP8 " + b"\0" * 10 + struct.pack("<HH", width, height)
    else:
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"VP8X" + b"\0" * 8 + sides
    length = len(body) + 4 if seen.complete else _FAR
    return b"RIFF" + struct.pack("<I", length) + b"WEBP" + body


def _pdf(found: Document) -> bytes:
    return b"%PDF-1.7\n" + b"/Type/Page\n" * found.pages + b"/Encrypt<<\n" * found.encrypted


def _encoded(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
