"""Pictures and PDFs in a history: what is refused, and what repair leaves of it (R59-R64, R7)."""

from __future__ import annotations

import base64
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation.strategies import tool_use
from holdfast.conversation.history import Block, History, Message, assistant, text, user
from holdfast.conversation.media import media_of
from holdfast.conversation.passes import Context, Log
from holdfast.conversation.passes.media import KEPT_IN_JOURNAL, fit_media, mend_media
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from media import pictures as make
from media import strategies

PNG = make.drawn("PNG")
JPEG = make.drawn("JPEG")
SMALL = attrs.evolve(
    DEFAULT,
    image_bytes_max=4_000,
    image_side_max=80,
    many_images=3,
    many_images_side_max=20,
    media_count_max=6,
    pdf_pages_max=8,
    body_bytes_max=30_000,
)
"""The limits of the API, reduced so that small histories meet them."""
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><text>a kelp</text></svg>'


def rules(history: History, profile: Profile = DEFAULT) -> list[str]:
    return [finding.rule for finding in validate(history, profile)]


def repaired(*blocks: Block, profile: Profile = DEFAULT) -> tuple[Block, ...]:
    """What repair makes of a user's message with these blocks."""
    [message] = repair((user(*blocks),), profile=profile).history
    return message.blocks


def said(block: Block) -> str:
    assert block.type == "text"
    return block.text_of("text")


# -- one medium ------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[str, Block, str]] = {
    "no base64": ("R59", make.image("not base64!"), "its base64 cannot be read"),
    "no bytes": ("R59", make.image(""), "its base64 cannot be read"),
    "no picture": ("R59", make.image(b"\0\1 no picture"), "no image of a type"),
    "a BMP": ("R59", make.image(make.drawn("BMP")), "no image of a type"),
    "a cut PNG": ("R59", make.image(PNG[:-9]), "damaged or incomplete"),
    "too many bytes": ("R61", make.image(make.noise("PNG", 40, 40)), "larger than the API accepts"),
    "a long side": ("R60", make.image(make.drawn("PNG", 81, 2)), "longer than the API accepts"),
    "no PDF": ("R63", make.paper(b"\0 no PDF"), "it is not a PDF"),
    "an encrypted PDF": ("R63", make.paper(make.pdf(encrypted=True)), "it is encrypted"),
    "a local address": (
        "R64",
        Block.of({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}),
        "not on the web",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.survives("A17", "A18", "A20", "A21")
def test_what_cannot_be_sent_becomes_a_caption_that_says_what_it_was(name: str) -> None:
    rule, block, reason = BROKEN[name]
    assert rules((user("look", block),), SMALL) == [rule]
    words, caption = repaired(text("look"), block, profile=SMALL)
    assert said(words) == "look"
    assert reason in said(caption)
    assert KEPT_IN_JOURNAL in said(caption)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_medium_inside_a_result_leaves_the_rest_of_the_result(name: str) -> None:
    rule, block, reason = BROKEN[name]
    held = make.result({"type": "text", "text": "a shot"}, block)
    history = (user("go"), assistant(tool_use("t1")), user(held))
    assert rules(history, SMALL) == [rule]
    found = repair(history, profile=SMALL).history[2].blocks[0].get("content")
    assert found[0] == {"type": "text", "text": "a shot"}
    assert reason in found[1]["text"]


def test_a_caption_keeps_name_type_size_and_sides() -> None:
    data = make.drawn("PNG", 81, 2)
    [caption] = repaired(make.image(data), profile=SMALL)
    assert said(caption).startswith(f"[image, image/png, {len(data)} bytes, 81x2 pixels. ")
    [caption] = repaired(make.paper(b"\0", title="report.pdf"), profile=SMALL)
    assert said(caption).startswith("[document, report.pdf, application/pdf, 1 bytes. ")


@pytest.mark.parametrize("declared", ["image/jpeg", "image/jpg", "image/svg+xml", "", "text/plain"])
@pytest.mark.survives("A19")
def test_R59_a_wrong_type_is_set_from_the_bytes_which_stay(declared: str) -> None:
    block = make.image(PNG, declared)
    assert rules((user(block),)) == ["R59"]
    assert repaired(block) == (make.image(PNG),)


@pytest.mark.parametrize("damage", make.DAMAGES)
@pytest.mark.survives("A20")
def test_R59_dressed_up_base64_keeps_its_picture(damage: str) -> None:
    data = make.drawn("PNG", 13, 7)
    dressed = make.DAMAGES[damage](make.encoded(data))
    if dressed != make.encoded(data):
        assert rules((user(make.image(dressed)),)) == ["R59"]
    assert repaired(make.image(dressed)) == (make.image(data),)


def test_R64_a_data_address_becomes_the_bytes_it_holds() -> None:
    url = f"data:image/gif;base64,{make.encoded(PNG)}"
    block = Block.of({"type": "image", "source": {"type": "url", "url": url}})
    assert repaired(block) == (make.image(PNG),)


def test_a_picture_that_was_sent_as_a_document_becomes_a_picture_and_the_other_way_round() -> None:
    assert repaired(make.paper(PNG, title="shot")) == (make.image(PNG),)
    assert repaired(make.image(make.pdf())) == (make.paper(make.pdf()),)


def test_A19_an_svg_becomes_a_caption_and_its_own_text() -> None:
    [block] = repaired(make.image(SVG, "image/svg+xml"))
    caption, _, words = said(block).partition("\n")
    assert "image/svg+xml" in caption
    assert words == SVG.decode()


def test_other_fields_of_a_mended_block_stay() -> None:
    mark = {"type": "ephemeral"}
    assert repaired(make.image(JPEG, cache_control=mark)) == (
        make.image(JPEG, "image/jpeg", cache_control=mark),
    )


@pytest.mark.parametrize(
    "block",
    [
        make.image(PNG),
        make.image(JPEG, "image/jpeg"),
        make.paper(make.pdf(3)),
        Block.of({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
        Block.of({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        Block.of({"type": "document", "source": {"type": "text", "media_type": "text/plain",
                                                 "data": "words"}}),
    ],
)  # fmt: skip
def test_media_that_are_in_order_are_left_alone(block: Block) -> None:
    history = (user("look", block),)
    assert validate(history) == ()
    assert repair(history).history is history


# -- sums over a history ---------------------------------------------------------------------------


def shown(history: History) -> list[bool]:
    """Which of the messages still hold a medium."""
    return [any(True for block in m.blocks for _ in media_of(block)) for m in history]


def conversation(*blocks: Block) -> History:
    """A turn for each block."""
    turns = [(user("look", block), assistant("seen")) for block in blocks]
    return (*(message for turn in turns for message in turn), user("and now?"))


def shown_of(count: int, block: Block, profile: Profile = SMALL) -> list[bool]:
    history = conversation(*[block] * count)
    return shown(repair(history, profile=profile).history)[:-1:2]


@pytest.mark.survives("A18")
def test_R60_among_many_images_only_those_with_a_long_side_leave() -> None:
    large, small = make.image(make.drawn("PNG", 30, 3)), make.image(PNG)
    few = conversation(large, small, large)
    many = conversation(large, small, large, small)
    assert validate(few, SMALL) == ()
    assert rules(many, SMALL) == ["R60", "R60"]
    assert [f.message for f in validate(many, SMALL)] == [0, 4]
    assert shown(repair(many, profile=SMALL).history)[:-1:2] == [False, True, False, True]


def test_R60_images_inside_results_count_like_all_others() -> None:
    large = make.image(make.drawn("PNG", 30, 3))
    many = (
        user("go"),
        assistant(tool_use("t1")),
        user(make.result(large, large, large, large)),
    )
    assert rules(many, SMALL) == ["R60"] * 4
    assert "tool_result.content.3.image" in validate(many, SMALL)[3].detail


@pytest.mark.survives("A18")
def test_R62_the_oldest_images_leave_when_there_are_too_many() -> None:
    assert shown_of(6, make.image(PNG)) == [True] * 6
    assert rules(conversation(*[make.image(PNG)] * 7), SMALL) == ["R62"]
    assert shown_of(7, make.image(PNG)) == [False] + [True] * 6
    assert shown_of(9, make.image(PNG)) == [False] * 3 + [True] * 6


@pytest.mark.survives("A21")
def test_R62_the_oldest_pdfs_leave_when_they_have_too_many_pages() -> None:
    three = make.paper(make.pdf(3))
    assert shown_of(2, three) == [True, True]
    assert rules(conversation(three, three, three), SMALL) == ["R62"]
    assert shown_of(3, three) == [False, True, True]


@pytest.mark.survives("A25")
def test_R7_the_oldest_media_leave_when_the_body_is_too_large() -> None:
    picture = make.image(make.noise("JPEG", 70, 70, quality=95), "image/jpeg")
    profile = attrs.evolve(DEFAULT, body_bytes_max=8 * len(picture.raw))
    assert rules(conversation(*[picture] * 8), profile) == ["R7"]
    kept = shown_of(8, picture, profile)
    assert kept == sorted(kept)  # the newest stay
    assert 4 <= sum(kept) < 8


@pytest.mark.survives("A22", "A25")
def test_R7_the_largest_text_is_clipped_when_media_are_not_what_is_too_much() -> None:
    profile = attrs.evolve(SMALL, body_bytes_max=200_000)
    history = (
        user("short"),
        assistant(tool_use("t1")),
        user(make.result({"type": "text", "text": f"begin{'x' * 190_000}end"})),
        assistant("and"),
        user("y" * 61_000),
    )
    assert rules(history, profile) == ["R7"]
    mended = repair(history, profile=profile)
    assert validate(mended.history, profile) == ()
    kept = str(mended.history[2].blocks[0].get("content"))
    assert "begin" in kept
    assert "end" in kept
    assert mended.history[4] is history[4]


def test_what_was_left_out_stays_left_out_while_the_history_grows() -> None:
    """Steps of a quarter: of 20 turns with a picture, only few change what was sent before."""
    before: History = ()
    changed = 0
    for count in range(1, 21):
        after = repair(conversation(*[make.image(PNG)] * count), profile=SMALL).history[:-1]
        kept = [not is_now for is_now in shown(before)]
        assert all(not now for was, now in zip(kept, shown(after), strict=False) if was and now)
        changed += after[: len(before)] != before
        before = after
    assert 0 < changed <= 14


# -- properties ------------------------------------------------------------------------------------


@st.composite
def media_histories(draw: st.DrawFn) -> History:
    messages: list[Message] = []
    for blocks in draw(
        st.lists(st.lists(strategies.media_blocks, min_size=1, max_size=3), max_size=4)
    ):
        results = sum(block.type == "tool_result" for block in blocks)
        if results:
            messages.append(assistant(*(tool_use(f"t{n}") for n in range(results))))
        named = iter(range(results))
        messages.append(user(*(
            Block.of({**block.data, "tool_use_id": f"t{next(named)}"})
            if block.type == "tool_result" else block
            for block in blocks
        )))  # fmt: skip
    return tuple(messages)


@settings(max_examples=150, deadline=None)
@given(media_histories(), st.sampled_from([DEFAULT, SMALL]))
def test_P2_any_media_are_valid_after_repair_which_is_idempotent(
    history: History, profile: Profile
) -> None:
    mended = repair(history, profile=profile).history
    assert validate(mended, profile) == ()
    assert repair(mended, profile=profile).history is mended


@settings(max_examples=100, deadline=None)
@given(media_histories(), st.sampled_from([DEFAULT, SMALL]))
def test_each_pass_says_what_it_did_and_is_idempotent(history: History, profile: Profile) -> None:
    for mend in (mend_media, fit_media):
        log = Log()
        once = mend(history, Context(profile), log)
        assert (once is history) == (log.steps == [])
        again = Log()
        assert mend(once, Context(profile), again) is once
        assert again.steps == []


@settings(max_examples=100, deadline=None)
@given(media_histories())
def test_P4_no_picture_that_the_api_can_read_is_lost(history: History) -> None:
    """Only captions replace media, and only media: their number stays."""
    before, after = readable(history), readable(mend_media(history, Context(), Log()))
    assert before == after


def readable(history: History) -> list[Any]:
    """The bytes of the pictures and PDFs that stand in a history, undressed."""
    found = []
    for block in (block for message in history for block in message.blocks):
        for medium in media_of(block):
            plain = (medium.encoded or str(medium.source.get("url"))).split(",")[-1]
            plain = "".join(plain.split()).replace("-", "+").replace("_", "/").rstrip("=")
            data = base64.b64decode(plain + "=" * (-len(plain) % 4)) if len(plain) > 200 else b""
            if data in READABLE:
                found.append(data)
    return found


READABLE = [
    PNG, JPEG, make.drawn("GIF"), make.drawn("WEBP"), make.drawn("PNG", 30, 3),
    make.drawn("JPEG", 90, 3), make.noise("PNG", 40, 40), make.pdf(3), make.pdf(9),
]  # fmt: skip
