"""Small files that are what they say they are, made without any library for pictures."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import lru_cache
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@lru_cache(maxsize=64)
def png(width: int = 3, height: int = 2, shade: int = 0) -> bytes:
    """A whole grey PNG of one bit a pixel: large sides, few bytes."""
    row = bytes([0]) + bytes([0xFF * shade]) * ((width + 7) // 8)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(row * height, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WEBP = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
JPEG = base64.b64decode(
    "/9j/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8Q"
    "EBD/yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k="
)
FILES = (
    ("image/png", png()),
    ("image/png", png(1999, 4)),
    ("image/gif", GIF),
    ("image/webp", WEBP),
    ("image/jpeg", JPEG),
)


def image(data: bytes | None = None, media_type: str = "image/png") -> Json:
    encoded = base64.b64encode(png() if data is None else data).decode()
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": encoded},
    }


def pdf(pages: int = 1) -> Json:
    data = b"%PDF-1.7\n" + b"<< /Type /Page >>\n" * pages + b"%%EOF\n"
    encoded = base64.b64encode(data).decode()
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": encoded},
    }
