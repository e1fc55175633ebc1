"""A repair on request: a dry run says what it would do, and both can be read (P12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.stage import Room, room
from holdfast.conversation.history import Block, Message, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp

CALL = Block.of({"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"command": "make"}})
BROKEN = (
    Message("user", (text("Build it"),)),
    Message("assistant", (text("I build it"), CALL)),
    Message("user", (text("What became of it?"),)),
    Message("assistant", (text("Nothing yet"),)),
)


async def broken(session: Room) -> None:
    """Bring a history into the session that the API would refuse."""
    driver = await session.supervisor._sessions.owned(session.session_id)
    imported = (ev.MessageImported(role=m.role, content=ev.raw_blocks(m.blocks)) for m in BROKEN)
    await driver.ask(inp.Note(tuple(imported)))


@pytest.mark.survives("A01")
async def test_a_dry_run_shows_what_a_repair_does_and_changes_nothing(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        await broken(session)
        before = await session.supervisor.messages(session.session_id, limit=None, before=None)
        dry = await session.supervisor.repair(session.session_id, dry_run=True)
        after = await session.supervisor.messages(session.session_id, limit=None, before=None)
        assert before == after
        assert (dry.applied, dry.repair_id, dry.in_force) == (False, None, ())
        assert [finding["rule"] for finding in dry.findings] == ["R40"]
        assert dry.changes
        assert all(change.before != change.after for change in dry.changes)
        done = await session.supervisor.repair(session.session_id, dry_run=False)
        assert (done.changes, done.findings, done.repairs) == (
            dry.changes,
            dry.findings,
            dry.repairs,
        )
        assert done.applied
        again = await session.supervisor.repair(session.session_id, dry_run=True)
        assert (again.findings, again.changes, again.in_force) == ((), (), (done.repair_id,))
        assert await session.answered("Go on")


async def test_P12_the_report_says_the_same_to_people(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        await broken(session)
        dry = await session.supervisor.repair(session.session_id, dry_run=True)
        for finding in dry.findings:
            assert finding["detail"] in dry.report
        for change in dry.changes:
            assert f"## Record {change.origin}" in dry.report
            for line in (*change.before.splitlines(), *change.after.splitlines()):
                assert f"> {line}".rstrip() in dry.report
            for kept in change.kept:
                assert kept in dry.report
        assert "would be changed" in dry.report
        done = await session.supervisor.repair(session.session_id, dry_run=False)
        assert done.repair_id is not None
        assert done.repair_id in done.report
        assert "was changed" in done.report or "were changed" in done.report


async def test_P4_a_repair_is_undone_by_the_id_that_the_report_names(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        await broken(session)
        before = await session.supervisor.messages(session.session_id, limit=None, before=None)
        done = await session.supervisor.repair(session.session_id, dry_run=False)
        assert done.repair_id is not None
        await session.supervisor.undo_repair(session.session_id, done.repair_id)
        after = await session.supervisor.messages(session.session_id, limit=None, before=None)
        assert [m.content for m in after] == [m.content for m in before]


async def test_a_history_in_order_is_said_to_be_in_order(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        await session.answered("hello")
        found = await session.supervisor.repair(session.session_id, dry_run=False)
        assert (found.findings, found.changes, found.applied) == ((), (), False)
        assert "in order" in found.report
