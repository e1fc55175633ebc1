"""Media become what the API takes (R59-R64, A17-A22), and what is too much of them becomes words.

Law: first each medium by itself, then the sums over the history. What can stay a picture does: a
wrong type is set from the bytes, dressed-up base64 is undressed. What cannot becomes a caption that
says what it was and where the original is; the record keeps every byte. Sums are brought down
oldest first and in steps of a quarter of the limit, so that a growing history is changed seldom
and what was left out stays left out.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from holdfast.conversation.clipping import clip, clip_line
from holdfast.conversation.history import Block, History, Message, text
from holdfast.conversation.media import (
    PDF,
    Encoded,
    Medium,
    document,
    is_base64,
    media_of,
    picture,
    replaced,
    retyped,
    undressed,
)
from holdfast.conversation.passes.steps import Context, Log, each_block, with_fields
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules import media as rules

KEPT_IN_JOURNAL: Final = "The original is kept in the session's journal."
CLIPPED_BYTES: Final = 30_000
"""What is left of a text that makes the body too large."""
WORDS_BYTES_MAX: Final = 30_000
"""What a caption repeats of a medium that turns out to be text, such as an SVG."""
WORDS_LOOKED_AT: Final = 1024 * 1024
NAME_BYTES_MAX: Final = 200
CAPTION_BYTES: Final = 1000
"""More than a caption ever has."""


def mend_media(history: History, context: Context, log: Log) -> History:
    """Mend every image and PDF that the API would refuse for its own sake, or say what it was."""

    def mend(message: Message, _i: int, block: Block, _j: int) -> Iterable[Block] | None:
        changes: dict[tuple[int, ...], dict[str, Any]] = {}
        for medium in media_of(block):
            mended = _mended(medium, context.profile)
            if mended is not None:
                rule, action, changes[medium.place] = mended
                log.note(rule, message, action, "the original, in the journal")
        return (Block.of(replaced(block.data, changes)),) if changes else None

    return each_block(history, mend)


def fit_media(history: History, context: Context, log: Log) -> History:
    """Bring the sums of a history under the limits of one request (R7, R60, R62, A18, A25)."""
    if _fits(rules.totals(history), context.profile):
        return history
    for fit in (_fit_sides, _fit_images, _fit_pages, _fit_bytes, _fit_texts):
        history = fit(history, context.profile, log)
    return history


def _fits(found: rules.Sums, profile: Profile) -> bool:
    few = found.images <= profile.many_images
    return (
        (few or found.longest_side <= profile.many_images_side_max)
        and found.images <= profile.media_count_max
        and (not found.pages or found.pages + found.images <= profile.pdf_pages_max)
        and found.bytes <= profile.body_bytes_max
    )


# -- one medium ------------------------------------------------------------------------------------


def _mended(medium: Medium, profile: Profile) -> tuple[str, str, dict[str, Any]] | None:
    """Return the rule, what was done and the new data; None when there is nothing to do."""
    bare = undressed(medium.data)
    done = _judged(attrs.evolve(medium, data=bare), profile)
    if done is None and bare is not medium.data:
        return "R59", "unwrapped the bytes of a medium", dict(bare)
    return done


def _judged(medium: Medium, profile: Profile) -> tuple[str, str, dict[str, Any]] | None:
    url, encoded = medium.source.get("url"), medium.encoded
    if medium.source.get("type") == "url" and isinstance(url, str):
        on_the_web = url.startswith(("https://", "http://"))
        return None if on_the_web else _left_out(medium, "R64", "its address is not on the web")
    if encoded is None:
        return None
    if not is_base64(encoded):
        return _left_out(medium, "R59", "its base64 cannot be read")
    found = picture(Encoded(encoded))
    if found is not None:
        if not found.readable:
            return _left_out(medium, "R59", "it is damaged or incomplete")
        if len(encoded) > profile.image_bytes_max:
            return _left_out(medium, "R61", "it is larger than the API accepts")
        if found.longest_side > profile.image_side_max:
            return _left_out(medium, "R60", "its sides are longer than the API accepts")
        return _as(medium, "image", found.media_type)
    data = binascii.a2b_base64(encoded)
    papers = document(data)
    if papers is None:
        return _left_out(medium, *_strange(medium), words=words_of(data))
    if papers.encrypted:
        return _left_out(medium, "R63", "it is encrypted")
    return _as(medium, "document", PDF)


def _as(medium: Medium, kind: str, media_type: str) -> tuple[str, str, dict[str, Any]] | None:
    """Return the medium as what its bytes are; None when it says so already."""
    mended = retyped(medium.data, kind, media_type)
    if mended is medium.data:
        return None
    return "R59", f"set the type of a medium from its bytes: {media_type}", dict(mended)


def _strange(medium: Medium) -> tuple[str, str]:
    if medium.kind == "document":
        return "R63", "it is not a PDF"
    return "R59", "it is no image of a type that the API takes"


def words_of(data: bytes) -> str:
    """Return a medium's bytes when they are text after all, such as an SVG, clipped; "" else."""
    whole = data[:WORDS_LOOKED_AT]
    try:
        words = whole.decode()
    except UnicodeDecodeError as error:
        if error.start < len(whole) - 3 or len(data) <= len(whole):
            return ""
        words = whole[: error.start].decode()  # only the cut went through a character
    if any(ord(char) < 0x20 and char not in "\t\r\n" for char in words):
        return ""
    return clip(words, WORDS_BYTES_MAX) if words.strip() else ""


def _left_out(
    medium: Medium, rule: str, reason: str, words: str = ""
) -> tuple[str, str, dict[str, Any]]:
    said = caption(medium, reason) + (f"\n{words}" if words else "")
    kind = "an image" if medium.kind == "image" else "a document"
    return rule, f"left out {kind}: {reason}", {"type": "text", "text": said}


def caption(medium: Medium, reason: str) -> str:
    """Return the words that stand for a medium that is left out of an old history."""
    return f"[{facts(medium)}. Left out of what is sent: {reason}. {KEPT_IN_JOURNAL}]"


def facts(medium: Medium) -> str:
    """Return what can be said of a medium in one line: kind, name, type, address, size, sides."""
    source = medium.source
    said = [
        clip_line(str(fact), NAME_BYTES_MAX)
        for fact in (medium.data.get("title"), source.get("media_type"))
        if isinstance(fact, str) and fact.strip()
    ]
    encoded = medium.encoded
    if encoded is not None:
        said.append(f"{Encoded(encoded).size} bytes")
        found = picture(Encoded(encoded)) if is_base64(encoded) else None
        if found and found.width:
            said.append(f"{found.width}x{found.height} pixels")
    elif isinstance(source.get("url"), str) and not source["url"].lower().startswith("data:"):
        said.append(clip_line(source["url"], NAME_BYTES_MAX))
    return ", ".join([medium.kind, *said])


# -- sums over the history -------------------------------------------------------------------------


@attrs.frozen
class _Place:
    """Where a medium stands, and what it adds to the sum that is looked at."""

    message: int
    block: int
    medium: Medium
    amount: int


def _places(history: History, amount: Callable[[Medium], int]) -> Iterator[_Place]:
    """Yield the media that add something, oldest first."""
    for number, message in enumerate(history):
        for position, block in enumerate(message.blocks):
            for medium in media_of(block):
                found = amount(medium)
                if found > 0:
                    yield _Place(number, position, medium, found)


def _fit_sides(history: History, profile: Profile, log: Log) -> History:
    """Leave out the images that became too long when there were many (A18)."""
    if next(iter(rules.many_images(history, profile)), None) is None:
        return history
    limit = profile.many_images_side_max
    places = [p for p in _places(history, rules.longest_side) if p.amount > limit]
    reason = f"among more than {profile.many_images} images, no side may exceed {limit} pixels"
    return _without(history, places, "R60", reason, log)


def _fit_images(history: History, profile: Profile, log: Log) -> History:
    """Leave out the oldest images above the limit (A18)."""
    images = rules.totals(history).images
    places = _excess(history, images, profile.media_count_max, _one_image)
    reason = f"one request holds at most {profile.media_count_max} images"
    return _without(history, places, "R62", reason, log)


def _fit_pages(history: History, profile: Profile, log: Log) -> History:
    """Leave out the oldest PDFs when there are too many pages and images (A21)."""
    limit, found = profile.pdf_pages_max, rules.totals(history)
    total = found.pages + found.images if found.pages else 0
    places = _excess(history, total, limit, rules.pages)
    reason = f"one request holds at most {limit} pages"
    return _without(history, places, "R62", reason, log)


def _fit_bytes(history: History, profile: Profile, log: Log) -> History:
    """Leave out the oldest media when the body is too large (A25)."""
    places = _excess(history, rules.totals(history).bytes, profile.body_bytes_max, _bytes)
    reason = f"one request holds at most {profile.body_bytes_max} bytes"
    return _without(history, places, "R7", reason, log)


def _one_image(medium: Medium) -> int:
    return int(medium.kind == "image")


def _bytes(medium: Medium) -> int:
    """Return what leaving out a medium saves; media smaller than their caption save nothing."""
    return len(medium.encoded or "") - CAPTION_BYTES


def _excess(
    history: History, total: int, limit: int, amount: Callable[[Medium], int]
) -> list[_Place]:
    """Return the oldest media whose sum brings `total` under `limit`, in whole steps."""
    if total <= limit:
        return []
    step = max(1, limit // 4)
    wanted = -(-(total - limit) // step) * step
    places: list[_Place] = []
    for place in _places(history, amount):
        if wanted <= 0:
            break
        places.append(place)
        wanted -= place.amount
    return places


def _without(
    history: History, places: Iterable[_Place], rule: str, reason: str, log: Log
) -> History:
    """Put captions in the place of media."""
    wanted: dict[tuple[int, int], dict[tuple[int, ...], dict[str, Any]]] = {}
    for place in places:
        said = {"type": "text", "text": caption(place.medium, reason)}
        wanted.setdefault((place.message, place.block), {})[place.medium.place] = said
    if not wanted:
        return history

    def mend(message: Message, index: int, block: Block, position: int) -> Iterable[Block] | None:
        changes = wanted.get((index, position))
        if changes is None:
            return None
        log.note(rule, message, f"left out media: {reason}", "the original, in the journal")
        return (Block.of(replaced(block.data, changes)),)

    return each_block(history, mend)


# -- texts that are too large for the body ---------------------------------------------------------


def _fit_texts(history: History, profile: Profile, log: Log) -> History:
    """Clip the largest texts of the user and of tools when media were not what was too much (A22).

    What the assistant wrote is never that large; it is left alone.
    """
    excess = rules.totals(history).bytes - profile.body_bytes_max
    if excess <= 0:
        return history
    sizes = sorted(
        (
            (len(block.raw), -number, -position)
            for number, message in enumerate(history)
            if message.role == "user"
            for position, block in enumerate(message.blocks)
            if block.type in {"text", "tool_result", "document"}
            and len(block.raw) > 2 * CLIPPED_BYTES
        ),
        reverse=True,
    )
    chosen: dict[tuple[int, int], Block] = {}
    for size, number, position in sizes:
        if excess <= 0:
            break
        clipped = _clipped(history[-number].blocks[-position])
        chosen[-number, -position] = clipped
        excess -= size - len(clipped.raw)

    def mend(message: Message, index: int, _block: Block, position: int) -> Iterable[Block] | None:
        clipped = chosen.get((index, position))
        if clipped is None:
            return None
        log.note("R7", message, "clipped a large text", "its beginning and end")
        return (clipped,)

    return each_block(history, mend)


def _clipped(block: Block) -> Block:
    if block.type == "text":
        return text(clip(block.text_of("text"), CLIPPED_BYTES))
    if block.type == "document":
        return Block.of(_clipped_item(block.data, CLIPPED_BYTES))
    content = block.get("content")
    if isinstance(content, str):
        return with_fields(block, content=clip(content, CLIPPED_BYTES))
    items = content if isinstance(content, list) else []
    room = CLIPPED_BYTES // max(1, len(items))
    return with_fields(block, content=[_clipped_item(item, room) for item in items])


def _clipped_item(item: Any, room: int) -> Any:
    if not isinstance(item, Mapping):
        return item
    if isinstance(item.get("text"), str):
        return {**item, "text": clip(item["text"], max(room, NAME_BYTES_MAX))}
    source = item.get("source")
    if isinstance(source, Mapping) and source.get("type") == "text":
        return {**item, "source": {**source, "data": clip(str(source.get("data")), room)}}
    return item
