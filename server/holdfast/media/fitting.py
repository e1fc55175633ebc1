"""Blocks made fit for every later request, before they enter a history (A17-A22).

Law: `fit` is total and idempotent. A picture comes out as the API takes it, whatever it is called
and however it was encoded; what cannot be shown comes out as words that say so, with its name, type
and size; nothing that a person sent is lost without a word. Blocks that are in order are returned
as they are, the same objects.
"""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from holdfast.conversation import media
from holdfast.conversation.clipping import clip
from holdfast.conversation.history import Block
from holdfast.conversation.media import Medium
from holdfast.conversation.passes.media import facts, words_of

PICTURE_S: Final = 120.0
"""How long one block may take, those before it included; far more than thirty pictures need."""
ATTACHED_BYTES_MAX: Final = 400_000
"""Bytes of text in one attached document."""
PAPERS_BYTES_MAX: Final = 12 * 1024 * 1024
"""Bytes of one PDF, encoded: it must leave room in a request body for what comes after (R7)."""
PAPERS_PAGES_MAX: Final = 100
"""Pages of one PDF: what the models with small windows take (R62)."""

_DECODER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="media")
"""A thread of its own, started with the first picture: pictures that wait for each other must not
keep the other work of the process waiting."""

_OTHERS: Final = (
    (re.compile(rb"%PDF-"), media.PDF),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "image/avif"),
)
"""What can be shown besides the images that the API takes as they are."""


async def fitted(blocks: Sequence[Block], timeout_s: float = PICTURE_S) -> tuple[Block, ...]:
    """Return blocks that are fit for every later request, decoded beside the event loop.

    A block that takes longer than `timeout_s` becomes words that say so.
    """
    if not any(needs_look(block) for block in blocks):
        return tuple(blocks)
    found: list[Block] = []
    for block in blocks:
        found += await _fitted(block, timeout_s) if needs_look(block) else (block,)
    return tuple(found)


async def _fitted(block: Block, timeout_s: float) -> tuple[Block, ...]:
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.get_running_loop().run_in_executor(_DECODER, fit, block)
    except TimeoutError:
        # The thread ends by itself: what it may decode is bounded.
        if block.type not in media.MEDIA:
            return (block,)  # a result keeps its id; what is refused in it is left to repair
        said = _words(block.data, f"decoding it took longer than {timeout_s:g} seconds")
        return (Block.of(said),)


def needs_look(block: Block) -> bool:
    """Say whether a block is or holds media."""
    return next(media.media_of(block), None) is not None


def fit(block: Block) -> tuple[Block, ...]:
    """Return a block, fit, and after it what is to be said of its picture. Blocking, total."""
    items = list(_fit_item(block.data))
    return (block,) if items == [block.data] else tuple(map(Block.of, items))


def shrink(block: Block) -> Block | None:
    """Return a block of an old history with the pictures that can be decoded made fit. Blocking.

    It stays one block. None when there is nothing to make better: then words must take its place.
    """
    made = _shrunk(block.data)
    return None if made == block.data else Block.of(made)


def sniffed(data: bytes) -> str | None:
    """Return the media type of a file that can be shown, by its bytes; None for other files."""
    known = media.picture(media.Plain(data))
    if known is not None:
        return known.media_type
    return next((kind for magic, kind in _OTHERS if magic.match(data)), None)


def from_file(data: bytes, media_type: str) -> Block:
    """Return the block of a picture or PDF as it lies in a file, not yet fit."""
    kind = "document" if media_type == media.PDF else "image"
    encoded = binascii.b2a_base64(data, newline=False).decode()
    source = {"type": "base64", "media_type": media_type, "data": encoded}
    return Block.of({"type": kind, "source": source})


def _shrunk(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    inside = media.items_of(item)
    if inside:
        return media.with_items(item, [_shrunk(inner) for inner in inside])
    if item.get("type") not in ("image", "document"):
        return item
    made = next(_fit_item(item))
    return item if made["type"] == "text" else made


def _fit_item(item: Any) -> Iterator[Any]:
    """Yield what takes the place of one item: itself, a fit medium and a note, or words."""
    if not isinstance(item, Mapping):
        yield item
        return
    inside = media.items_of(item)
    if inside:
        yield media.with_items(item, [made for inner in inside for made in _fit_item(inner)])
        return
    if item.get("type") not in ("image", "document"):
        yield item
        return
    bare = media.undressed(item)
    medium = Medium(bare)
    url, encoded = medium.source.get("url"), medium.encoded
    if encoded is not None:
        yield from _fit_bytes(bare, encoded)
    elif medium.source.get("type") == "url" and not str(url).startswith(("https://", "http://")):
        yield _words(item, "its address is not on the web")
    else:
        yield _attached(item)


def _fit_bytes(item: Mapping[str, Any], encoded: str) -> Iterator[Mapping[str, Any]]:
    if not media.is_base64(encoded):
        yield _words(item, "its base64 cannot be read")
        return
    data = binascii.a2b_base64(encoded)
    papers = media.document(data)
    if papers is not None:
        yield _fit_papers(item, papers, len(encoded))
        return
    said = words_of(data)
    if said:
        yield _words(item, "it is text, which follows", f"\n{said}")
        return
    yield from _fit_picture(item, data)


def _fit_papers(
    item: Mapping[str, Any], papers: media.Document, encoded_bytes: int
) -> Mapping[str, Any]:
    if papers.encrypted:
        return _words(item, "it is encrypted")
    if papers.pages > PAPERS_PAGES_MAX:
        return _words(item, f"it has {papers.pages} pages, more than {PAPERS_PAGES_MAX}")
    if encoded_bytes > PAPERS_BYTES_MAX:
        return _words(item, f"encoded, it has more than {PAPERS_BYTES_MAX} bytes")
    return media.retyped(item, "document", media.PDF)


def _fit_picture(item: Mapping[str, Any], data: bytes) -> Iterator[Mapping[str, Any]]:
    from holdfast.media import pictures  # noqa: PLC0415 -- Pillow is loaded when it is needed, S2

    try:
        found = pictures.fit(data)
    except pictures.Unreadable as unreadable:
        yield _words(item, str(unreadable))
        return
    made = media.retyped(item, "image", found.media_type)
    if found.data is not data:
        encoded = binascii.b2a_base64(found.data, newline=False).decode()
        made = {**made, "source": {**made["source"], "data": encoded}}
    yield made
    if found.notes:
        yield {"type": "text", "text": f"[About the image above: {' '.join(found.notes)}]"}


def _attached(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Clip the text of an attached document (A22)."""
    source = Medium(item).source
    said = source.get("data")
    if source.get("type") != "text" or not isinstance(said, str):
        return item
    clipped = clip(said, ATTACHED_BYTES_MAX)
    return item if clipped == said else {**item, "source": {**source, "data": clipped}}


def _words(item: Mapping[str, Any], reason: str, more: str = "") -> Mapping[str, Any]:
    """Return words in the place of a medium that cannot be shown."""
    return {"type": "text", "text": f"[{facts(Medium(item))}. Not shown: {reason}.]{more}"}
