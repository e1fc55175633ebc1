"""What a picture file is, read from its own bytes: type, sides, and whether it is all there.

Law: nothing is believed that the bytes do not show, and nothing is drawn. A PNG is whole when its
pixel data can be inflated to the size that its header promises; the other kinds are walked from
head to end mark. Source: R59, R60; the formats' own definitions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_JPEG_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_STEP_BYTES: Final = 1 << 20
_REMEMBERED_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: its media type, its sides in pixels, and whether it can be read to its end."""

    media_type: str
    width: int
    height: int
    whole: bool


_remembered: dict[bytes, Picture | None] = {}


def picture_of(encoded: str) -> Picture | None:
    """Return what base64 text holds, or None when that is no picture.

    Reading a large one takes a while, and a client sends it again with every request: what was
    found is remembered under the text's digest, for a bounded number of texts.
    """
    key = hashlib.sha256(encoded.encode("utf-8", "surrogatepass")).digest()
    if key not in _remembered:
        if len(_remembered) >= _REMEMBERED_MAX:
            _remembered.clear()
        _remembered[key] = _read(encoded)
    return _remembered[key]


def _read(encoded: str) -> Picture | None:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    media_type, size = sniffed_type(data), image_size(data)
    if media_type is None or size is None:
        return None
    return Picture(media_type, *size, whole=_WHOLE[media_type](data))


def sniffed_type(data: bytes) -> str | None:
    """Return the media type that the first bytes show, or None."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from the header, or None when it cannot be read."""
    try:
        match sniffed_type(data):
            case "image/png":
                width, height = struct.unpack_from(">II", data, 16)
            case "image/gif":
                width, height = struct.unpack_from("<HH", data, 6)
            case "image/webp":
                return _webp_size(data)
            case "image/jpeg":
                return _jpeg_size(data)
            case _:
                return None
    except struct.error:
        return None
    return int(width), int(height)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return width, height
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:
            position += 1 if marker == 0xFF else 2  # fill bytes, and markers without a length
            continue
        if marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return int(width), int(height)
        (length,) = struct.unpack_from(">H", data, position + 2)
        position += 2 + length
    return None


def _png_is_whole(data: bytes) -> bool:
    """Inflate the pixel data, keeping none of it, and compare with what the header promises."""
    chunks = dict(_png_chunks(data))
    if b"IHDR" not in chunks or b"IEND" not in chunks or len(chunks[b"IHDR"]) < 13:
        return False
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][:13])
    row = 1 + (width * depth * _PNG_CHANNELS.get(colour, 1) + 7) // 8
    inflated = _inflated_bytes(chunks.get(b"IDAT", b""))
    return inflated is not None and (bool(interlaced) or inflated >= row * height)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks by name, up to the first that is cut; pixel data as one."""
    position, pixels = 8, b""
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        content = data[position + 8 : position + 8 + length]
        position += 12 + length
        if position > len(data):
            break
        if name == b"IDAT":
            pixels += content
        else:
            yield name, content
    yield b"IDAT", pixels


def _inflated_bytes(data: bytes) -> int | None:
    """Return how long the inflated data is, or None when it is damaged or cut."""
    inflater = zlib.decompressobj()
    total = 0
    try:
        while not inflater.eof:
            piece = inflater.decompress(data, _STEP_BYTES)
            data = inflater.unconsumed_tail
            total += len(piece)
            if not piece and not data:
                return None
    except zlib.error:
        return None
    return total


def _jpeg_is_whole(data: bytes) -> bool:
    scan = data.find(b"\xff\xda")
    return 0 < scan < data.rfind(b"\xff\xd9")


def _gif_is_whole(data: bytes) -> bool:
    flags = data[10]
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    pictures = 0
    while position < len(data):
        kind = data[position]
        if kind == 0x3B:
            return pictures > 0
        if kind == 0x2C and position + 10 < len(data):
            flags = data[position + 9]
            position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            pictures += 1
        elif kind == 0x21:
            position += 2
        else:
            return False
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    return False


def _webp_is_whole(data: bytes) -> bool:
    return 8 + int.from_bytes(data[4:8], "little") <= len(data)


_WHOLE: Final = {
    "image/png": _png_is_whole,
    "image/jpeg": _jpeg_is_whole,
    "image/gif": _gif_is_whole,
    "image/webp": _webp_is_whole,
}


def image_tokens(source: Any) -> int:
    """Return what an image costs: about one token per 750 pixels, at most 1 600."""
    data = source.get("data") if isinstance(source, dict) else None
    picture = picture_of(data) if isinstance(data, str) else None
    return 1600 if picture is None else min(1600, picture.width * picture.height // 750 + 1)
