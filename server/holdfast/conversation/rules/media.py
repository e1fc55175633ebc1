"""Images and documents: type and bytes (R59, R61, R63, R64), sides (R60), counts (R62), body (R7).

Law: what one medium breaks by itself depends on its own bytes only. What many break together is
counted over the whole history, results of tools included, from sums that are kept for each message,
so that a long history costs no more than a look at each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import attrs

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Message, Role
from holdfast.conversation.media import Medium, document_in, is_base64, media_of, picture_in
from holdfast.conversation.profile import MEBIBYTE, MEDIA_TYPES, Profile
from holdfast.conversation.rules.flaws import Flaw, findings

SUMS_MAX: Final = 8192
"""Messages whose sums are remembered: a few long sessions' worth."""

NOT_DECODABLE: Final = ": Could not process image"
NOT_A_PDF: Final = ": The PDF specified was not valid."
NOT_FETCHABLE: Final = ": Unable to download the file. Please verify the URL and try again."


def media_shapes(history: History, profile: Profile) -> Iterable[Finding]:
    """R59-R61, R63, R64: every medium can be read and is as large as one may be."""
    return findings(history, profile, media_flaws)


def media_flaws(block: Block, _role: Role, profile: Profile) -> tuple[Flaw, ...]:
    """Return what is wrong with the media that a block is or holds."""
    return tuple(flaw for medium in media_of(block) for flaw in _flaws(medium, profile))


def many_images(history: History, profile: Profile) -> Iterable[Finding]:
    """R60: above `many_images` images in a request, the sides of each are bounded more tightly."""
    found, limit = totals(history), profile.many_images_side_max
    if found.images <= profile.many_images or found.longest_side <= limit:
        return
    for number, message in enumerate(history):
        if sums(message).longest_side <= limit:
            continue
        for position, block in enumerate(message.blocks):
            for medium in media_of(block):
                if longest_side(medium) > limit:
                    text = (
                        f"{path(medium)}.data: At least one of the image dimensions exceed max "
                        f"allowed size for many-image requests: {limit} pixels"
                    )
                    yield Flaw("R60", text).at(number, position)


def media_counts(history: History, profile: Profile) -> Iterable[Finding]:
    """R62: a request holds so many images, and so many images and pages of PDFs."""
    found = totals(history)
    if found.images > profile.media_count_max:
        detail = f"messages: A maximum of {profile.media_count_max} images may be provided."
        yield Finding("R62", None, None, detail)
    if found.pages and found.images + found.pages > profile.pdf_pages_max:
        detail = f"messages: A maximum of {profile.pdf_pages_max} PDF pages may be provided."
        yield Finding("R62", None, None, detail)


def body_size(history: History, profile: Profile) -> Iterable[Finding]:
    """R7: the messages alone fit into the body of a request."""
    if totals(history).bytes > profile.body_bytes_max:
        yield Finding("R7", None, None, "Request exceeds the maximum size")


@attrs.frozen
class Sums:
    """What a message adds to its history, or a history holds.

    `bytes` are those of the JSON, a comma for each message included.
    """

    bytes: int
    images: int
    pages: int
    longest_side: int


@lru_cache(maxsize=SUMS_MAX)
def sums(message: Message) -> Sums:
    """Return what a message adds to its history; remembered for long histories."""
    media = [medium for block in message.blocks for medium in media_of(block)]
    size = len(message.wire) if message.wire.isascii() else len(message.wire.encode())
    return Sums(
        bytes=size + 1,
        images=sum(medium.kind == "image" for medium in media),
        pages=sum(pages(medium) for medium in media),
        longest_side=max(map(longest_side, media), default=0),
    )


def totals(history: History) -> Sums:
    """Return what a history holds."""
    found = [sums(message) for message in history]
    return Sums(
        bytes=sum(one.bytes for one in found),
        images=sum(one.images for one in found),
        pages=sum(one.pages for one in found),
        longest_side=max((one.longest_side for one in found), default=0),
    )


def longest_side(medium: Medium) -> int:
    """Return the longer side of an image in pixels; 0 when it is none or does not say."""
    encoded = medium.encoded
    found = picture_in(encoded) if encoded is not None and medium.kind == "image" else None
    return found.longest_side if found else 0


def pages(medium: Medium) -> int:
    """Return the pages of a PDF; 0 when it is none or does not say."""
    encoded = medium.encoded
    found = document_in(encoded) if encoded is not None and medium.kind == "document" else None
    return found.pages if found else 0


def path(medium: Medium) -> str:
    """Return where a medium's bytes stand, from its block on, as the API writes it."""
    kind = "image" if medium.kind == "image" else "pdf"
    return f"{medium.path}.{kind}.source.base64"


def _flaws(medium: Medium, profile: Profile) -> Iterator[Flaw]:
    url = medium.source.get("url")
    if medium.source.get("type") == "url" and isinstance(url, str):
        if not url.startswith(("https://", "http://")):
            yield Flaw("R64", NOT_FETCHABLE)
    elif medium.encoded is not None and _is_type_allowed(medium):
        yield from (_image_flaws if medium.kind == "image" else _pdf_flaws)(medium, profile)


def _is_type_allowed(medium: Medium) -> bool:
    """Say whether the declared type is one there may be; another is refused for its shape first."""
    media_type = medium.source.get("media_type")
    return isinstance(media_type, str) and media_type in MEDIA_TYPES[medium.kind, "base64"]


def _image_flaws(medium: Medium, profile: Profile) -> Iterator[Flaw]:
    encoded, where = medium.encoded or "", path(medium)
    if len(encoded) > profile.image_bytes_max:
        yield Flaw(
            "R61",
            f"{where}: image exceeds {profile.image_bytes_max // MEBIBYTE} MB maximum: "
            f"{len(encoded)} bytes > {profile.image_bytes_max} bytes",
        )
    found = picture_in(encoded)
    if found is None:
        yield Flaw("R59", NOT_DECODABLE)
    elif found.media_type != medium.source["media_type"]:
        declared = medium.source["media_type"]
        text = f"{where}.data: Image does not match the provided media type {declared}"
        yield Flaw("R59", text)
    elif found.longest_side > profile.image_side_max:
        yield Flaw(
            "R60",
            f"{where}.data: At least one of the image dimensions exceed max allowed size: "
            f"{profile.image_side_max} pixels",
        )
    elif not found.readable:
        yield Flaw("R59", NOT_DECODABLE)


def _pdf_flaws(medium: Medium, _profile: Profile) -> Iterator[Flaw]:
    encoded = medium.encoded or ""
    found = document_in(encoded)
    if not is_base64(encoded) or found is None or found.encrypted:
        yield Flaw("R63", NOT_A_PDF)
