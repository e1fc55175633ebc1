"""What a person is told of compactions: plain words, figures, and what can be done (P12)."""

from __future__ import annotations

import attrs
import pytest

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.items.fold import Items
from holdfast.session.items.shapes import NoticeItem
from session.compacting import (
    LIMITS,
    SIGNING,
    about,
    answer,
    call,
    compacted,
    exchange,
    failed,
    ready,
    result,
    talked,
)
from session.harness import World


def notices(world: World) -> list[NoticeItem]:
    items = Items("s_1")
    items.fold(world.journal)
    return [item for item in items.page(10_000)[0] if isinstance(item, NoticeItem)]


def newest(world: World) -> NoticeItem:
    return notices(world)[-1]


@pytest.mark.parametrize(
    ("rung", "words"),
    [
        (ev.Rung.ON_DEMAND, "was compacted by the API"),
        (ev.Rung.SUMMARY, "was compacted for the model: about"),
        (ev.Rung.CHUNKS, "part by part"),
    ],
)
def test_a_compaction_says_how_it_was_made_and_offers_to_show_and_undo_it(
    rung: ev.Rung, words: str
) -> None:
    notice = newest(compacted(SIGNING, rung=rung))
    assert words in notice.text
    assert "Nothing is deleted." in notice.text
    assert [a.command for a in notice.actions] == [
        "holdfast.session.undoCompaction",
        "holdfast.session.compactionText",
    ]


def test_a_digest_after_failures_says_that_the_model_gave_no_summary_and_why() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    failed(world, "timeout")
    ready(world, "A digest.", rung=ev.Rung.DIGEST)
    assert "The model gave no summary, so a local digest is used." in newest(world).text
    assert "timeout" in newest(world).detail


def test_shortened_outputs_are_told_as_such() -> None:
    world = World(1, LIMITS)
    world.submit("Show me.")
    (tool_use_id,) = call(world, "read")
    result(world, tool_use_id, about(17_500))
    assert newest(world).text.startswith("Long outputs of tools are shortened")


def test_what_the_api_counted_afterwards_is_added_to_the_notice() -> None:
    world = compacted()
    exchange(world, tokens=4_321)
    told = next(n for n in notices(world) if n.code == "compacted")
    assert "The API counted 4,320 tokens" in told.detail


def test_a_block_that_gives_way_to_its_text_is_told_with_the_reason() -> None:
    world = compacted(SIGNING, rung=ev.Rung.ON_DEMAND)
    world.limits = LIMITS
    exchange(world)
    told = [n.text for n in notices(world) if n.code == "compactionRecast"]
    assert told == [
        "The model that answers next does not take the API's own compaction: the text of it is "
        "sent instead."
    ]


def test_what_would_free_no_room_is_a_warning_with_figures() -> None:
    world = World(1, attrs.evolve(LIMITS, overhead_tokens=17_600))
    world.submit("Hello?")
    answer(world)
    told = newest(world)
    assert (told.code, told.level) == ("compactionPointless", "warning")
    assert "tool definitions 17,600" in told.text


def test_a_compaction_that_was_cancelled_leaves_no_notice() -> None:
    world = talked()
    world.give(inp.CompactAsked())
    world.give(inp.CancelCompaction())
    assert notices(world) == []
