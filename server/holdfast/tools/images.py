"""Images that the API accepts, judged by their bytes (R59-R61).

Law: an image goes into a history only when its real type is one of four, it is complete, its sides
are at most 2000 pixels (the limit once a request holds many images) and its base64 form is at most
5 MB. One image that breaks a limit would make every later request fail.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from holdfast.conversation.history import Block

IMAGE_BYTES_MAX: Final = 3_750_000  # 5 MB in base64
IMAGE_SIDE_PIXELS_MAX: Final = 2000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND\xaeB`\x82"  # the last chunk, always empty, so its checksum never differs
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})


@attrs.frozen
class Image:
    """What the bytes say about an image. Sides are 0 when they cannot be read."""

    media_type: str
    width: int
    height: int
    complete: bool

    def refusal(self, size: int) -> str | None:
        """Say why the image must not go into a history; None when it may. `size` in bytes."""
        if not self.complete or not self.width or not self.height:
            return "it is damaged or incomplete"
        if max(self.width, self.height) > IMAGE_SIDE_PIXELS_MAX:
            return f"a side is longer than {IMAGE_SIDE_PIXELS_MAX} pixels"
        if size > IMAGE_BYTES_MAX:
            return f"it has more than {IMAGE_BYTES_MAX} bytes"
        return None


def sniff(data: bytes) -> Image | None:
    """Return what kind of image `data` is, whatever its name says; None for other bytes."""
    media_type = _media_type(data)
    if media_type is None:
        return None
    try:
        width, height, complete = _READERS[media_type](data)
    except (struct.error, IndexError):
        width, height, complete = 0, 0, False
    return Image(media_type, width, height, complete)


def block(data: bytes, image: Image) -> Block:
    """Make the content block of an image that has no `refusal`."""
    return Block.of(
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": base64.b64encode(data).decode(),
            },
        }
    )


def _media_type(data: bytes) -> str | None:
    if data.startswith(_PNG):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _png(data: bytes) -> tuple[int, int, bool]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height, _PNG_END in data[-1024:]


def _gif(data: bytes) -> tuple[int, int, bool]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height, data.rstrip(b"\0").endswith(b";")


def _jpeg(data: bytes) -> tuple[int, int, bool]:
    """Walk the segments up to the frame header, which holds the size."""
    position = 2
    while True:
        if data[position] != 0xFF:
            return 0, 0, False
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height, b"\xff\xd9" in data[position:]
        else:
            position += 2 + max(2, struct.unpack_from(">H", data, position + 2)[0])


def _webp(data: bytes) -> tuple[int, int, bool]:
    complete = struct.unpack_from("<I", data, 4)[0] <= len(data) - 8
    match data[12:16]:
        case b"VP8X":
            width = int.from_bytes(data[24:27], "little") + 1
            height = int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        case _:
            width = height = 0
    return width, height, complete


_READERS: Final[Mapping[str, Callable[[bytes], tuple[int, int, bool]]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
