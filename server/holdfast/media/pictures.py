"""One picture, decoded, turned upright, made small and encoded again (R59-R61, A17-A20).

Law: the result is a PNG, JPEG, GIF or WebP of at most `SIDE_MAX` pixels a side and `BYTES_MAX`
bytes that has been decoded to its last pixel. A picture that is so already keeps its bytes. Work is
bounded before it begins, by the pixels that the header tells, and one picture is decoded at a time,
so that a hostile file costs a bounded piece of memory and time.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Final

import attrs
from PIL import Image, ImageOps

from holdfast.conversation import media

SIDE_MAX: Final = 2000
"""Pixels: what the API takes when a request holds many images (R60)."""
BYTES_MAX: Final = 700_000
"""Bytes of one picture. The limit of the API is higher (R61), but thirty of these fit into one
request body (R7), so that a picture accepted once need not leave for the sake of a later one."""
PIXELS_MAX: Final = 64_000_000
"""A picture with more is not decoded: a bomb, or 256 MB of memory."""
INPUT_BYTES_MAX: Final = 64 * 1024 * 1024

_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "MPO")
_LOSSLESS: Final = frozenset({"PNG", "GIF", "BMP", "TIFF"})
_QUALITIES: Final = (85, 70, 50)
_SHRINKING: Final = 0.7
_HOPELESS: Final = 3
"""A lossless encoding that was this many times too large before scaling is not tried again."""
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = 1
_LYING: Final = range(5, 9)
_ONE_AT_A_TIME: Final = threading.Lock()

Image.MAX_IMAGE_PIXELS = None  # `_open` looks at the header itself and raises instead of warning


class Unreadable(Exception):
    """A picture that cannot be shown; the message says why, to follow "because"."""


@attrs.frozen
class Picture:
    """A picture that is fit. `notes` are sentences on what was done that its viewer should know."""

    data: bytes
    media_type: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


def fit(data: bytes) -> Picture:
    """Return a picture that the API takes, now and among many others. Blocking.

    Raises `Unreadable`.
    """
    if len(data) > INPUT_BYTES_MAX:
        raise Unreadable(f"it has more than {INPUT_BYTES_MAX} bytes")
    with _ONE_AT_A_TIME:
        try:
            return _fit(data)
        except Unreadable:
            raise
        except MemoryError as error:
            raise Unreadable("there was not enough memory to decode it") from error
        except Exception as error:  # a decoder of foreign bytes raises anything
            raise Unreadable(f"it could not be decoded ({type(error).__name__})") from error


def _fit(data: bytes) -> Picture:
    image = _open(data)
    # Frames are not counted: that is work without a bound. (MPO is a photo and its preview.)
    moving = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    orientation = image.getexif().get(_ORIENTATION, _UPRIGHT)
    small = max(image.size) <= SIDE_MAX and len(data) <= BYTES_MAX
    header = media.picture(media.Plain(data))
    if header and header.readable and not moving and orientation == _UPRIGHT and small:
        image.load()
        return Picture(data, header.media_type, image.width, image.height)
    before = image.size[::-1] if orientation in _LYING else image.size
    scaled = _scaled(image)
    lossless = image.format in _LOSSLESS and _worth_it(len(data), before, scaled.size)
    encoded, media_type, size = _encoded(scaled, lossless=lossless)
    return Picture(encoded, media_type, *size, notes=tuple(_notes(before, size, moving=moving)))


def _open(data: bytes) -> Image.Image:
    """Read the header, and refuse what would take too much to decode."""
    known = media.picture(media.Plain(data))
    if known is not None:
        _check_sides(known.width, known.height)  # some decoders make room when they are opened
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    _check_sides(*image.size)
    return image


def _check_sides(width: int, height: int) -> None:
    if width * height > PIXELS_MAX:
        raise Unreadable(f"its {width}x{height} pixels are more than can be decoded safely")


def _scaled(image: Image.Image) -> Image.Image:
    """Return the first frame, upright, in a mode that can be encoded, at most `SIDE_MAX` a side."""
    image.draft("RGB", (SIDE_MAX, SIDE_MAX))  # JPEG only: decodes at a half or a quarter
    image.load()
    plain = _plain(ImageOps.exif_transpose(image))
    plain.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return plain


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, or as RGBA when some of it can be seen through."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        wide = image.convert("F")
        low, high = wide.getextrema()
        image = _stretched(wide, float(str(low)), float(str(high)))
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        low, _ = see_through.getchannel("A").getextrema()
        return see_through if low != 255 else see_through.convert("RGB")
    return image.convert("RGB")


def _stretched(image: Image.Image, low: float, high: float) -> Image.Image:
    """Return deep grey as grey of eight bits, its darkest black and its lightest white."""
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.point(lambda value: value * scale - low * scale).convert("L")


def _worth_it(size: int, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Say whether a lossless encoding has a chance to be small enough."""
    share = (after[0] * after[1]) / (before[0] * before[1])
    return size * share <= _HOPELESS * BYTES_MAX


def _encoded(image: Image.Image, *, lossless: bool) -> tuple[bytes, str, tuple[int, int]]:
    """Encode a picture so that it fits: losslessly, with less quality, then smaller and smaller."""
    while True:
        for data, media_type in _encodings(image, lossless=lossless):
            if len(data) <= BYTES_MAX:
                return data, media_type, image.size
        sides = [max(1, int(side * _SHRINKING)) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)


def _encodings(image: Image.Image, *, lossless: bool) -> Iterator[tuple[bytes, str]]:
    if lossless:
        yield _saved(image, "PNG"), media.PNG
    for quality in _QUALITIES:
        if image.mode == "RGBA":
            yield _saved(image, "WEBP", quality=quality, method=2), media.WEBP
        else:
            yield _saved(image, "JPEG", quality=quality), media.JPEG


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _notes(before: tuple[int, int], after: tuple[int, int], *, moving: bool) -> Iterator[str]:
    if moving:
        yield "It is the first of several frames; the others are not shown."
    if before != after:
        yield f"It was scaled from {before[0]}x{before[1]} to {after[0]}x{after[1]} pixels."
