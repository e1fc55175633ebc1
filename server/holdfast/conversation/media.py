"""What images and PDFs say of themselves: type, sides, pages, from their bytes.

Law: nothing is believed but the bytes. An image is judged by its header, which is found by decoding
only the few base64 characters that hold it, so that looking at 10 MB costs what looking at 10 KB
does. Whether it ends where it should is looked up at its end or in its structure; that the pixels
between can be decoded is not known here (R59). A PDF is read from end to end, because its pages may
stand anywhere, once.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

import attrs

from holdfast.conversation.history import Block

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
GIF: Final = "image/gif"
WEBP: Final = "image/webp"
PDF: Final = "application/pdf"

MEDIA: Final = frozenset({"image", "document"})
HOLDERS: Final = frozenset({"tool_result", "mcp_tool_result"})
"""Blocks whose `content` may hold media."""

STEPS_MAX: Final = 100_000
"""Segments of one file that are walked through; a file with more is taken for incomplete."""
END_BYTES: Final = 4096
"""How much of a file is looked through at a time for the end of its picture."""
UNPACKED_BYTES_MAX: Final = 16 * 1024 * 1024
"""What is unpacked of one PDF in search of pages."""
DICTIONARY_BYTES: Final = 2048
"""How far before its contents the word that names an object stream may stand."""

_MEDIUM_FIELDS: Final = {
    "image": ("cache_control",),
    "document": ("title", "context", "citations", "cache_control"),
}
_DATA_URL: Final = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_BLANKS: Final = re.compile(r"\s+")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PIXELS: Final = 0xDA
_JPEG_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PDF_PACKED: Final = re.compile(rb"/Type\s*/ObjStm\b")
_PDF_STREAM: Final = re.compile(rb"stream\r?\n")
_PDF_ENCRYPTED: Final = re.compile(rb"/Encrypt\s*(?:<<|\d+\s+\d+\s+R)")


class Bytes(Protocol):
    """Bytes that are fetched piece by piece."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`; fewer at the end."""
        ...


@attrs.frozen
class Plain:
    """Bytes that lie in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def read(self, start: int, length: int) -> bytes:
        """Return a piece."""
        return self.data[start : start + length]


@attrs.frozen
class Encoded:
    """Bytes behind a base64 text that `is_base64`: only what is read is decoded."""

    text: str

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.text) // 4 * 3 - self.text.count("=", -2)

    def read(self, start: int, length: int) -> bytes:
        """Return a piece."""
        first = start // 3
        last = (start + length + 2) // 3
        piece = binascii.a2b_base64(self.text[first * 4 : last * 4])
        return piece[start - first * 3 :][:length]


@attrs.frozen
class Picture:
    """What an image's header says. Sides are pixels, 0 when they cannot be read.

    `complete` is False when the file ends before the image does.
    """

    media_type: str
    width: int = 0
    height: int = 0
    complete: bool = False

    @property
    def readable(self) -> bool:
        """Whether the API can make sense of it, as far as a header tells."""
        return self.complete and self.width > 0 and self.height > 0

    @property
    def longest_side(self) -> int:
        """The longer side in pixels."""
        return max(self.width, self.height)


@attrs.frozen
class Document:
    """What a PDF says. `pages` is 0 when they cannot be counted, which no rule refuses."""

    pages: int
    encrypted: bool


def is_base64(text: str) -> bool:
    """Say whether a text is base64 as the API takes it: padded, no line ends, not empty."""
    if not text or len(text) % 4 or not text.isascii():
        return False
    body = text.removesuffix("=").removesuffix("=")
    return not body.encode().translate(None, _BASE64)


def picture(data: Bytes) -> Picture | None:
    """Return what kind of image the bytes are, whatever their name says; None for others."""
    media_type = _image_type(data.read(0, 16))
    if media_type is None:
        return None
    try:
        return _READERS[media_type](data)
    except (struct.error, IndexError):
        return Picture(media_type)


def picture_in(encoded: str) -> Picture | None:
    """Return what image a base64 text holds; None when it is none or no base64."""
    return picture(Encoded(encoded)) if is_base64(encoded) else None


@lru_cache(maxsize=64)
def document_in(encoded: str) -> Document | None:
    """Return what PDF a base64 text holds; None when it is none or no base64. Remembered."""
    return document(binascii.a2b_base64(encoded)) if is_base64(encoded) else None


def document(data: bytes) -> Document | None:
    """Return what the bytes say of a PDF; None when they are none."""
    if not data.startswith(b"%PDF-"):
        return None
    pages = len(_PDF_PAGE.findall(data)) + sum(
        len(_PDF_PAGE.findall(unpacked)) for unpacked in _object_streams(data)
    )
    return Document(pages, _PDF_ENCRYPTED.search(data) is not None)


def _object_streams(data: bytes) -> Iterator[bytes]:
    """Yield the packed objects of a PDF, where newer ones keep their pages."""
    room = UNPACKED_BYTES_MAX
    for packed in _PDF_PACKED.finditer(data):
        begin = _PDF_STREAM.search(data, packed.end(), packed.end() + DICTIONARY_BYTES)
        if begin is None or room <= 0:
            continue
        try:
            unpacked = zlib.decompressobj().decompress(data[begin.end() :], room)
        except zlib.error:
            continue  # packed in a way that is not looked into
        room -= len(unpacked)
        yield unpacked


@attrs.frozen
class Medium:
    """An image or a document in a block.

    `place` are the indices that lead to it through the contents that hold it, `()` when the block
    is the medium itself; `path` says the same in the API's words, empty or beginning with a dot.
    """

    data: Mapping[str, Any]
    place: tuple[int, ...] = ()
    path: str = ""

    @property
    def kind(self) -> str:
        """`image` or `document`."""
        return str(self.data["type"])

    @property
    def source(self) -> Mapping[str, Any]:
        """Where the bytes come from; empty when that has no shape."""
        found = self.data.get("source")
        return found if isinstance(found, Mapping) else {}

    @property
    def encoded(self) -> str | None:
        """The base64 text; None when the bytes are elsewhere, or are no text."""
        found = self.source.get("data") if self.source.get("type") == "base64" else None
        return found if isinstance(found, str) else None


def media_of(block: Block) -> Iterator[Medium]:
    """Yield the images and documents that a block is or holds, at any depth."""
    if block.type in MEDIA or (
        block.type in HOLDERS and ('"image"' in block.raw or '"document"' in block.raw)
    ):
        yield from _media_in(block.data, (), "")


def _media_in(data: Mapping[str, Any], place: tuple[int, ...], path: str) -> Iterator[Medium]:
    if data.get("type") in ("image", "document"):
        yield Medium(data, place, path)
    within = ".document.source.content.content" if data.get("type") == "document" else (
        f".{data.get('type')}.content"
    )  # fmt: skip
    for number, item in enumerate(items_of(data)):
        if isinstance(item, Mapping):
            yield from _media_in(item, (*place, number), f"{path}{within}.{number}")


def items_of(data: Mapping[str, Any]) -> list[Any]:
    """Return what a result, or a document that is made of blocks, holds; nothing for others."""
    found = None
    if data.get("type") == "document" and Medium(data).source.get("type") == "content":
        found = Medium(data).source.get("content")
    elif data.get("type") in ("tool_result", "mcp_tool_result"):
        found = data.get("content")
    return found if isinstance(found, list) else []


def with_items(data: Mapping[str, Any], items: list[Any]) -> Mapping[str, Any]:
    """Return a result or a document that holds other items. The same object for the same items."""
    if items == items_of(data):
        return data
    if data["type"] == "document":
        return {**data, "source": {**data["source"], "content": items}}
    return {**data, "content": items}


def replaced(
    data: Mapping[str, Any],
    changes: Mapping[tuple[int, ...], Mapping[str, Any]],
    place: tuple[int, ...] = (),
) -> Mapping[str, Any]:
    """Return a block's data with other data at some places."""
    if place in changes:
        return changes[place]
    items = [
        replaced(item, changes, (*place, number)) if isinstance(item, Mapping) else item
        for number, item in enumerate(items_of(data))
    ]
    return with_items(data, items)


def undressed(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a medium with its bytes as plain base64: no `data:` address or prefix, no line ends.

    The same object when there is nothing to take off.
    """
    source = Medium(data).source
    url = source.get("url")
    if source.get("type") == "url" and isinstance(url, str):
        found = _DATA_URL.match(url)
        if found is None:
            return data
        encoded = url[found.end() :]
        if "base64" not in found[2].lower():
            encoded = binascii.b2a_base64(unquote_to_bytes(encoded), newline=False).decode()
        bare = {"type": "base64", "media_type": found[1], "data": _plain_base64(encoded)}
        return {**data, "source": bare}
    dressed = Medium(data).encoded
    if dressed is None or is_base64(dressed):
        return data
    return {**data, "source": {**source, "data": _plain_base64(dressed)}}


def retyped(data: Mapping[str, Any], kind: str, media_type: str) -> Mapping[str, Any]:
    """Return a medium as what its bytes are. The same object when it says so already."""
    source = Medium(data).source
    if data["type"] == kind and source.get("media_type") == media_type:
        return data
    if data["type"] != kind:
        data = {key: data[key] for key in _MEDIUM_FIELDS[kind] if key in data}
    return {**data, "type": kind, "source": {**source, "media_type": media_type}}


def _plain_base64(encoded: str) -> str:
    prefix = _DATA_URL.match(encoded)
    plain = _BLANKS.sub("", encoded[prefix.end() :] if prefix else encoded)
    plain = plain.replace("-", "+").replace("_", "/").rstrip("=")
    return plain + "=" * (-len(plain) % 4)


def _image_type(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    return WEBP if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else None


def _png(data: Bytes) -> Picture:
    """Walk the chunks to the last one, which is what a cut file lacks."""
    width, height = struct.unpack(">II", data.read(16, 8))
    position = 8
    for _ in range(STEPS_MAX):
        length, kind = struct.unpack(">I4s", data.read(position, 8))
        position += 12 + length
        if kind == b"IEND" or position > data.size:
            break
    return Picture(PNG, width, height, kind == b"IEND" and position <= data.size)


def _gif(data: Bytes) -> Picture:
    """Walk the blocks to the trailer, past at least one frame."""
    width, height, flags = struct.unpack("<HHB", data.read(6, 5))
    position = 13 + _gif_colours(flags)
    frames = 0
    for _ in range(STEPS_MAX):
        head = data.read(position, 10)
        if head[0] == 0x3B:
            return Picture(GIF, width, height, frames > 0)
        if head[0] == 0x2C:
            frames += 1
            position += 11 + _gif_colours(head[9])
        elif head[0] == 0x21:
            position += 2
        else:
            break
        position = _after_pieces(data, position)
    return Picture(GIF, width, height, complete=False)


def _gif_colours(flags: int) -> int:
    """Return the bytes of the table of colours that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_pieces(data: Bytes, position: int) -> int:
    """Return where a GIF goes on after a run of pieces of at most 255 bytes."""
    for _ in range(STEPS_MAX):
        length = data.read(position, 1)[0]
        position += 1 + length
        if length == 0:
            break
    return position


def _jpeg(data: Bytes) -> Picture:
    """Walk the segments past the frame header, which holds the sides, to where pixels begin."""
    position, width, height = 2, 0, 0
    for _ in range(STEPS_MAX):
        head = data.read(position, 9)
        if head[0] != 0xFF:
            break
        if head[1] == 0xFF:  # a fill byte
            position += 1
        elif head[1] in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif head[1] == _JPEG_PIXELS:
            return Picture(JPEG, width, height, _ends_after(data, position, b"\xff\xd9"))
        else:
            if head[1] in _JPEG_FRAMES and not width:
                height, width = struct.unpack_from(">HH", head, 5)
            (length,) = struct.unpack_from(">H", head, 2)
            position += 2 + max(2, length)
    return Picture(JPEG, width, height, complete=False)


def _ends_after(data: Bytes, start: int, mark: bytes) -> bool:
    """Say whether an end mark stands after `start`: looked for from the end, where it should be."""
    end = data.size
    while end > start:
        begin = max(start, end - END_BYTES)
        if mark in data.read(begin, end - begin + len(mark)):
            return True
        end = begin
    return False


def _webp(data: Bytes) -> Picture:
    head = data.read(0, 30)
    (length,) = struct.unpack_from("<I", head, 4)
    match head[12:16]:
        case b"VP8X":
            width = int.from_bytes(head[24:27], "little") + 1
            height = int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
        case _:
            width = height = 0
    return Picture(WEBP, width, height, length <= data.size - 8)


_READERS: Final[Mapping[str, Callable[[Bytes], Picture]]] = {
    PNG: _png,
    JPEG: _jpeg,
    GIF: _gif,
    WEBP: _webp,
}
