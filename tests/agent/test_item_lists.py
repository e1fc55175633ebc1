"""Sessions as items, from the store: pages, what a client missed, whole outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.stage import Room, room, step
from holdfast.agent.errors import UnknownToolCall
from holdfast.journal.store import SessionUnknown
from session.dumb_client import DumbClient

ALL = 10_000


async def everything(session: Room) -> DumbClient:
    opened = await session.supervisor.items.open(session.session_id, since_seq=None, limit=ALL)
    assert opened.more is False
    return DumbClient(opened.items, opened.fold.seq)


async def test_a_client_that_was_away_gets_what_changed(tmp_path: Path) -> None:
    steps = [step({"last_user_contains": w}, say=f"To {w}.") for w in ("one", "two")]
    async with room(tmp_path, *steps) as session:
        await session.answered("one")
        client = await everything(session)
        await session.answered("two")
        opened = await session.supervisor.items.open(
            session.session_id, since_seq=client.seq, limit=1
        )
        assert opened.changes is not None
        client.apply(opened.changes, opened.fold.seq)
        assert client.items == (await everything(session)).items
        said = [item["text"] for item in client.items if item["kind"] in ("prompt", "text")]
        assert said == ["one", "To one.", "two", "To two."]
        again = await session.supervisor.items.open(
            session.session_id, since_seq=client.seq, limit=1
        )
        assert again.changes == ()


async def test_a_client_that_knows_more_than_the_journal_begins_anew(tmp_path: Path) -> None:
    """After a power cut the newest deltas may be gone; what it held then counts for nothing."""
    async with room(tmp_path, step(say="Yes.")) as session:
        await session.answered("one")
        opened = await session.supervisor.items.open(
            session.session_id, since_seq=1_000_000, limit=1
        )
        assert opened.changes is None
        assert [item.text for item in opened.items] == ["Yes."]  # type: ignore[attr-defined]
        assert opened.more


async def test_pages_go_back_to_the_beginning(tmp_path: Path) -> None:
    async with room(tmp_path, step(say="Yes.")) as session:
        await session.answered("one")
        newest, more = await session.supervisor.items.page(session.session_id, limit=1, before=None)
        assert more
        older, more = await session.supervisor.items.page(
            session.session_id, limit=1, before=newest[0].id
        )
        assert not more
        both = DumbClient([*older, *newest]).items
        assert both == (await everything(session)).items


async def test_the_whole_output_of_a_call_can_be_had(tmp_path: Path) -> None:
    words = "kelp\n" * 3_000
    async with room(
        tmp_path,
        step({"last_user_contains": "what"}, calls=[("read", {"path": "a.txt"})]),
        step({"last_result_contains": "kelp"}, say="It is about kelp."),
    ) as session:
        (tmp_path / "workspace" / "a.txt").write_text(words)
        await session.answered("what is in a.txt?")
        (call,) = [i for i in (await everything(session)).items if i["kind"] == "tool"]
        assert (call["title"], call["state"], call["outputClipped"]) == (
            "Read a.txt",
            "finished",
            True,
        )
        items = session.supervisor.items
        whole = await items.output(session.session_id, call["toolUseId"])
        assert whole.count("kelp") > call["output"].count("kelp")
        with pytest.raises(UnknownToolCall):
            await items.output(session.session_id, "toolu_never")
        with pytest.raises(SessionUnknown):
            await items.output("s_never", call["toolUseId"])
