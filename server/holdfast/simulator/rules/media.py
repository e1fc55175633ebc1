"""Step 8, media: images and documents as far as their own bytes tell (R59 to R64).

Law: sizes are read from file headers, nothing is decoded; what has no readable header cannot be
processed. Images inside tool results count like all others.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import Any, Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import JsonObject, Located, nested_blocks, walk_blocks

IMAGE_BYTES_MAX: Final = 10 * 1024 * 1024
SIDE_MAX: Final = 8000
SIDE_MAX_MANY: Final = 2000
MANY_IMAGES: Final = 20
_SMALL_WINDOW: Final = 200_000
_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_JPEG_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(slots=True)
class MediaBudget:
    """What one request may hold: how many images there are, and the pages left."""

    images: int
    pages_max: int
    pages: int = 0

    @classmethod
    def of(cls, messages: list[JsonObject], model: ModelSpec) -> MediaBudget:
        """Count the images of a request; 600 of them or pages are legal, 100 at 200k (R62)."""
        images = sum(1 for _, block in walk_blocks(messages) if block["type"] == "image")
        return cls(images, 100 if model.window_tokens <= _SMALL_WINDOW else 600)


def check_media(place: Located, budget: MediaBudget) -> None:
    """Check one top-level block and what it holds."""
    if budget.images > budget.pages_max:
        raise refuse("R62b", max=budget.pages_max)
    _check_block(place.data, place.path, budget)
    for k, inner in enumerate(nested_blocks(place.data)):
        _check_block(inner, f"{place.path}.{place.type}.content.{k}", budget)


def _check_block(block: JsonObject, path: str, budget: MediaBudget) -> None:
    kind = block["type"]
    if kind not in ("image", "document"):
        return
    source: JsonObject = block["source"]
    if source["type"] == "url" and not source["url"].startswith(("https://", "http://")):
        raise refuse("R64")
    if source["type"] != "base64":
        return
    if kind == "image":
        _check_image(source, f"{path}.image.source.base64", budget.images)
    else:
        _check_pdf(source, f"{path}.pdf.source.base64", budget)


def _check_image(source: JsonObject, path: str, images: int) -> None:
    encoded: str = source["data"]
    if len(encoded) > IMAGE_BYTES_MAX:
        raise refuse("R61", path=path, m=10, n=len(encoded), max=IMAGE_BYTES_MAX)
    data = _base64(encoded)
    media_type = sniffed_type(data)
    if media_type is None:
        raise refuse("R59b")
    if media_type != source["media_type"]:
        raise refuse("R59a", path=path, media_type=source["media_type"])
    size = image_size(data)
    if size is None:
        raise refuse("R59b")
    for rule, limit, applies in (
        ("R60a", SIDE_MAX, True),
        ("R60b", SIDE_MAX_MANY, images > MANY_IMAGES),
    ):
        if applies and max(size) > limit:
            details = {"max_side_length_pixels": limit, "paths": [f"{path}.data"]}
            raise refuse(rule, path=path, details=details)


def _check_pdf(source: JsonObject, path: str, budget: MediaBudget) -> None:
    data = _base64(source["data"])
    if not data.startswith(b"%PDF-"):
        raise refuse("R63")
    budget.pages += len(_PDF_PAGE.findall(data))
    if budget.pages + budget.images > budget.pages_max:
        raise refuse("R62", path=path, max=budget.pages_max)


def _base64(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse("R59b") from error


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


def image_tokens(source: Any) -> int:
    """Return what an image costs: about one token per 750 pixels, at most 1 600."""
    data = source.get("data") if isinstance(source, dict) else None
    if not isinstance(data, str):
        return 1600
    try:
        size = image_size(base64.b64decode(data[:65_536]))
    except (binascii.Error, ValueError):
        return 1600
    return 1600 if size is None else min(1600, size[0] * size[1] // 750 + 1)
