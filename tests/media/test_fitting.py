"""What enters a history is fit for every later request, or said in words (A17-A22)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from holdfast.agent.intake import STRICT
from holdfast.conversation.history import Block, text
from holdfast.conversation.media import media_of
from holdfast.conversation.rules.media import longest_side, media_flaws
from holdfast.media import fitting, pictures
from media import pictures as make
from media.strategies import BYTES, items, media_blocks

LARGE = make.drawn("PNG", 2400, 60)


async def fit(*blocks: Block) -> tuple[Block, ...]:
    """The one place that knows how blocks are made fit."""
    return await fitting.fitted(blocks)


def said(block: Block) -> str:
    assert block.type == "text"
    return block.text_of("text")


async def test_blocks_that_are_fit_stay_the_same_objects() -> None:
    blocks = (text("look"), make.image(make.drawn("PNG")), make.paper(make.pdf()))
    assert [new is old for new, old in zip(await fit(*blocks), blocks, strict=True)] == [True] * 3


@pytest.mark.survives("A17", "A18")
async def test_a_large_picture_is_scaled_and_a_note_after_it_says_so() -> None:
    picture, note = await fit(make.image(LARGE, cache_control={"type": "ephemeral"}))
    assert make.opened(picture).size == (2000, 50)
    assert picture.get("cache_control") == {"type": "ephemeral"}
    assert "scaled from 2400x60 to 2000x50" in said(note)


@pytest.mark.survives("A19")
async def test_R59_the_type_is_set_from_the_bytes() -> None:
    data = make.drawn("JPEG")
    assert await fit(make.image(data, "image/png")) == (make.image(data, "image/jpeg"),)


@pytest.mark.parametrize("damage", make.DAMAGES)
async def test_A20_dressed_up_base64_is_undressed(damage: str) -> None:
    dressed = make.DAMAGES[damage](make.encoded(make.drawn("PNG")))
    assert await fit(make.image(dressed)) == (make.image(make.drawn("PNG")),)


async def test_R64_a_data_address_becomes_a_picture_and_a_local_one_words() -> None:
    data = make.drawn("PNG")
    inside = {"type": "url", "url": f"data:image/png;base64,{make.encoded(data)}"}
    assert await fit(Block.of({"type": "image", "source": inside})) == (make.image(data),)
    local = {"type": "image", "source": {"type": "url", "url": "file:///a.png"}}
    [words] = await fit(Block.of(local))
    assert said(words) == "[image, file:///a.png. Not shown: its address is not on the web.]"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (make.image(""), "its base64 cannot be read"),
        (make.image(b"\0\1"), "it could not be decoded"),
        (make.image(make.drawn("PNG", 80, 60)[:90]), "it could not be decoded"),
        (make.image(make.bomb(40_000, 40_000)), "more than can be decoded safely"),
        (make.image(b"<svg/>", "image/svg+xml"), "it is text, which follows.]\n<svg/>"),
        (make.paper(make.pdf(encrypted=True), title="a.pdf"), "it is encrypted"),
        (make.paper(make.pdf(101)), "it has 101 pages, more than 100"),
        (make.paper(make.pdf(101, packed=True)), "it has 101 pages, more than 100"),
    ],
)
@pytest.mark.survives("A20", "A21")
async def test_what_cannot_be_shown_becomes_words_that_say_so(block: Block, reason: str) -> None:
    before, words, after = await fit(text("before"), block, text("after"))
    assert reason in said(words)
    assert (said(before), said(after)) == ("before", "after")


async def test_R61_a_pdf_that_leaves_no_room_in_a_request_becomes_words() -> None:
    data = make.pdf() + b"%" * (fitting.PAPERS_BYTES_MAX * 3 // 4)
    [words] = await fit(make.paper(data))
    assert "more than" in said(words)


async def test_A22_an_attached_text_is_clipped_in_its_middle() -> None:
    data = "begin" + "é" * fitting.ATTACHED_BYTES_MAX + "end"
    source = {"type": "text", "media_type": "text/plain", "data": data}
    [block] = await fit(Block.of({"type": "document", "source": source, "title": "log.txt"}))
    kept = block.get("source")["data"]
    assert kept.startswith("begin")
    assert kept.endswith("end")
    assert "the middle is left out" in kept
    assert len(kept.encode()) <= fitting.ATTACHED_BYTES_MAX
    assert block.get("title") == "log.txt"


async def test_pictures_inside_results_and_documents_are_made_fit_in_their_place() -> None:
    held = make.result({"type": "text", "text": "a shot"}, make.image(LARGE))
    [found] = await fit(held)
    assert [item["type"] for item in found.get("content")] == ["text", "image", "text"]
    inner = {"type": "content", "content": [dict(make.image(LARGE).data)]}
    [found] = await fit(Block.of({"type": "document", "source": inner}))
    assert [longest_side(m) for m in media_of(found) if m.kind == "image"] == [2000]


async def test_the_loop_turns_while_a_picture_is_decoded() -> None:
    turns = 0
    fitting_now = asyncio.ensure_future(fit(make.image(make.noise("PNG", 700, 700))))
    while not fitting_now.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3
    assert fitting_now.result()[0].type == "image"


async def test_P7_a_picture_that_takes_too_long_becomes_words() -> None:
    [words] = await fitting.fitted([make.image(LARGE)], timeout_s=0)
    assert "took longer than 0 seconds" in said(words)


def test_pillow_is_loaded_with_the_first_picture_not_before() -> None:
    script = (
        "import sys, holdfast.app; from holdfast.media import fitting;"
        "before = 'PIL' in sys.modules;"
        "from holdfast.conversation.history import Block;"
        "image = {'type': 'image', 'source': {'type': 'base64', 'data': 'AAAA', 'media_type': ''}};"
        "fitting.fit(Block.of(image)); print(before, 'PIL' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


@settings(max_examples=100, deadline=None)
@given(media_blocks)
def test_whatever_comes_in_is_accepted_now_and_among_many_and_stays_as_it_is(block: Block) -> None:
    found = fitting.fit(block)
    assert not any(media_flaws(one, "user", STRICT) for one in found)
    again = [made for one in found for made in fitting.fit(one)]
    assert all(new is old for new, old in zip(again, found, strict=True))


@settings(max_examples=60, deadline=None)
@given(items)
def test_what_is_shrunk_stays_one_block_and_a_medium(item: dict[str, Any]) -> None:
    """`shrink` mends an old history in its place: it never adds blocks, nor takes pictures away."""
    block = Block.of(item)
    found = fitting.shrink(block)
    if found is not None:
        assert found != block
        assert found.type in ("image", "document")
        assert fitting.shrink(found) is None


def test_A18_a_history_whose_pictures_are_shrunk_needs_no_captions() -> None:
    block = make.result(make.image(LARGE), make.image(b"\0 damaged"))
    found = fitting.shrink(block)
    assert found is not None
    first, second = found.get("content")
    assert longest_side(next(media_of(found))) == 2000
    assert second == block.get("content")[1]  # left for repair, which says what it was
    assert first["type"] == "image"


@pytest.mark.parametrize("data", [data for data in BYTES if data], ids=lambda data: repr(data[:6]))
def test_a_file_is_known_by_its_bytes(data: bytes) -> None:
    media_type = fitting.sniffed(data)
    block = fitting.from_file(data, media_type or "image/png")
    shown = fitting.fit(block)[0].type != "text"
    assert shown == (media_type is not None) or data in DAMAGED


DAMAGED = [data for data in BYTES if data.startswith(b"\x89PNG") and len(data) == 40]
DAMAGED += [make.pdf(encrypted=True)]


def test_pictures_are_at_most_as_large_as_the_narrowest_endpoint_allows() -> None:
    assert STRICT.image_bytes_max > 4 * -(-pictures.BYTES_MAX // 3)
    assert STRICT.image_side_max >= pictures.SIDE_MAX
