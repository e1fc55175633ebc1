"""Skeletons: the rules find in a shortened history what they find in the whole one."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation.history import Block, History, Message, text, user
from holdfast.conversation.media import (
    GIF,
    JPEG,
    PNG,
    WEBP,
    Document,
    Picture,
    Plain,
    document,
    document_in,
    picture,
    picture_in,
)  # fmt: skip
from holdfast.conversation.profile import ANY_TOOLS, DEFAULT, ON_DEMAND, Profile
from holdfast.conversation.rules import validate
from holdfast.transcripts import bodies, tree
from holdfast.transcripts.index import TranscriptIndex
from holdfast.transcripts.skeleton import SHORT_CHARS, Skeleton, shortened, skeleton_of
from holdfast.transcripts.stand_ins import SHORT_CHARS as SHORT_MEDIUM
from holdfast.transcripts.stand_ins import like, stand_in

SHIPPED = Path(__file__).parents[1] / "corpora" / "claude-code"
FILES = sorted(Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED)).rglob("*.jsonl"))
PROFILES = (
    DEFAULT,
    ANY_TOOLS,
    DEFAULT.with_betas([ON_DEMAND]),
    Profile(prefill_allowed=True, tool_names=None, server_tools=frozenset({"web_search"})),
)
SIZES = frozenset({"R7", "R61"})
"""The rules about bytes: what a skeleton leaves out, they count by the sizes beside it."""


def found(history: History, profile: Profile) -> list[object]:
    return [each for each in validate(history, profile) if each.rule not in SIZES]


def short(history: History) -> History:
    return tuple(
        attrs.evolve(message, blocks=tuple(map(skeleton_of, message.blocks))) for message in history
    )


@settings(max_examples=400, deadline=None)
@given(make.any_history, st.sampled_from(PROFILES))
def test_a_skeleton_breaks_the_rules_that_its_history_breaks_and_no_other(
    history: History, profile: Profile
) -> None:
    assert found(short(history), profile) == found(history, profile)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_rules_find_in_a_real_files_skeleton_what_they_find_in_the_file(path: Path) -> None:
    nodes = tree.active(TranscriptIndex.build(path))
    with bodies.opened(path) as opened:
        skeleton = tree.skeleton_history(nodes, opened)
        whole = tuple(said.message for said in tree.messages(nodes, opened.blocks))
    assert [message.origin for message in skeleton] == [message.origin for message in whole]
    assert found(skeleton, ANY_TOOLS) == found(whole, ANY_TOOLS)
    for shortened_, message in zip(skeleton, whole, strict=True):
        for block, full in zip(shortened_.blocks, message.blocks, strict=True):
            assert isinstance(block, Skeleton)
            assert block.size == len(full.raw.encode())


@given(st.text(max_size=80).map(lambda words: words * 3))
def test_a_short_text_is_as_blank_as_the_long_one_and_ends_as_it(words: str) -> None:
    made = shortened(words)
    assert len(made) <= SHORT_CHARS
    assert bool(made.strip()) == bool(words.strip())
    assert made[-1:] == words[-1:] or not words.strip()


def test_different_blocks_with_the_same_ends_stay_different() -> None:
    ends = "x" * 40
    one, other = (skeleton_of(text(f"{ends}{middle}{ends}")) for middle in ("a", "b"))
    assert one.raw == other.raw
    assert one != other
    assert one == skeleton_of(text(f"{ends}a{ends}"))


def test_arguments_of_calls_keep_their_names_and_how_they_begin() -> None:
    given_ = {"command": "make test " * 50, "edits": [{"old": "x" * 900}], "count": 3}
    block = Block.of({"type": "tool_use", "id": "t1", "name": "run", "input": given_})
    kept = skeleton_of(block).get("input")
    assert list(kept) == list(given_)
    assert kept["command"].startswith("make test")
    assert (kept["edits"], kept["count"]) == ([], 3)


def test_ids_and_names_are_kept_whole_however_long() -> None:
    block = Block.of({"type": "tool_use", "id": "i" * 300, "name": "n" * 201, "input": {}})
    assert skeleton_of(block).raw == block.raw


# --- media ----------------------------------------------------------------------------------------

sides = st.integers(1, 0x3FFF)
pictures = st.builds(Picture, st.sampled_from([PNG, JPEG, GIF, WEBP]), sides, sides, st.booleans())


@given(pictures)
def test_a_stand_in_says_of_itself_what_the_picture_said(seen: Picture) -> None:
    assert picture(Plain(like(seen))) == seen


@pytest.mark.parametrize("media_type", [PNG, JPEG, GIF, WEBP])
def test_a_picture_that_says_nothing_is_stood_in_for_by_one_that_says_nothing(
    media_type: str,
) -> None:
    seen = Picture(media_type)
    assert picture(Plain(like(seen))) == seen


@given(pictures)
def test_r59_r60_a_large_picture_keeps_type_and_sides_and_its_length_is_known(
    seen: Picture,
) -> None:
    data = base64.b64encode(like(seen) + b"\0" * 900 + (b"\xff\xd9" if seen.complete else b""))
    encoded = data.decode()
    source = {"type": "base64", "media_type": seen.media_type, "data": encoded}
    block = skeleton_of(Block.of({"type": "image", "source": source}))
    kept = block.get("source")["data"]
    assert len(kept) < SHORT_MEDIUM < len(encoded)
    assert picture_in(kept) == picture_in(encoded)
    assert block.media == (len(encoded),)


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("pages", [0, 1, 700])
def test_r62_r63_a_large_document_keeps_its_pages_and_its_lock(pages: int, encrypted: bool) -> None:
    locked = b"/Encrypt 3 0 R\n" if encrypted else b""
    data = b"%PDF-1.4\n" + b"x" * 900 + b"/Type /Page\n" * pages + locked
    encoded = base64.b64encode(data).decode()
    assert document(data) == Document(pages, encrypted)
    assert document_in(stand_in(encoded, document=True)) == Document(pages, encrypted)


@pytest.mark.parametrize("data", ["no base64 " * 100, "AAAA" * 1000, "=" * 700])
def test_r59_what_is_no_picture_stays_none(data: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    whole = (user(Block.of({"type": "image", "source": source}), "see"),)
    assert found(short(whole), DEFAULT) == found(whole, DEFAULT) != []


def test_a_picture_in_a_result_is_stood_in_for_too() -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 9000).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": PNG, "data": data}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [image]}
    block = skeleton_of(Block.of(result))
    assert len(block.raw) < 300
    assert block.media == (len(data),)
    whole = (Message("user", (Block.of(result),)),)
    assert found(short(whole), DEFAULT) == found(whole, DEFAULT)
