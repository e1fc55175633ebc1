"""P6, C10: what a command leaves when its server is gone, and what is done with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast.tools import run_worker
from holdfast.tools.traces import SUPPORTED, TAKEN, Trace, Traces, prepare
from tools.toolkit import call, context_with, eventually, gone, number_in, text_of

assert SUPPORTED, "these tests are for systems with locks and process groups"


class Orphan:
    """A keeper without a server: nobody reads what its command prints."""

    def __init__(self, traces: Traces, workspace: Path) -> None:
        self.traces = traces
        self.folder = traces.folder("s", "t")
        self.workspace = workspace
        assert prepare(self.folder)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", run_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=workspace,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(self, command: str, limit_s: float = 60.0, *, letters: int | None = None) -> None:
        """Say what to run, or only the first letters of it."""
        request = {
            "command": command,
            "folder": str(self.folder),
            "limit_s": limit_s,
            "server": 0,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode()[:letters])
        self.process.stdin.close()

    async def ended(self) -> None:
        await eventually(lambda: self.process.poll() is not None)

    async def look(self) -> Trace:
        return await asyncio.to_thread(self.traces.look, "s", "t")


@pytest_asyncio.fixture
async def orphan(tmp_path: Path, workspace: Path) -> AsyncIterator[Orphan]:
    found = Orphan(Traces(tmp_path / "commands"), workspace)
    yield found
    assert found.process.stdin is not None
    found.process.stdin.close()
    await found.ended()


async def test_a_command_whose_server_is_gone_goes_on_and_leaves_its_end_and_its_last_output(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("seq 100000; touch mark; exit 3")
    await orphan.ended()
    trace = await orphan.look()
    assert (trace.how, trace.exit_code) == ("ended", 3)
    assert trace.output.endswith("\n99999\n100000\n")
    assert len(trace.output.encode()) <= run_worker.OUTPUT_BYTES_KEPT
    assert (workspace / "mark").exists()


async def test_a_command_that_was_ended_by_a_signal_says_which(orphan: Orphan) -> None:
    orphan.ask("kill -9 $$")
    await orphan.ended()
    trace = await orphan.look()
    assert (trace.how, trace.exit_code, trace.output) == ("ended", -9, "")


async def test_p7_what_an_orphan_leaves_in_the_background_ends_with_it(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("sleep 300 >/dev/null 2>&1 & echo $! >child; echo out")
    await orphan.ended()
    child = number_in(workspace / "child")
    assert child is not None
    await gone(child)
    trace = await orphan.look()
    assert (trace.how, trace.exit_code, trace.output) == ("ended", 0, "out\n")


async def test_a_command_that_still_runs_is_stopped_with_all_it_started(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("echo begun; sleep 300 & echo $! >child; wait; echo never")
    await eventually(lambda: number_in(workspace / "child") is not None)
    trace = await orphan.look()
    assert (trace.how, trace.pid, trace.output) == ("stopped", orphan.process.pid, "begun\n")
    child = number_in(workspace / "child")
    assert child is not None
    await gone(child)


async def test_a_command_that_ignores_the_request_to_end_is_killed_and_its_output_is_kept(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("trap '' TERM; echo begun; echo $$ >child; while :; do sleep 1; done")
    await eventually(lambda: number_in(workspace / "child") is not None)
    trace = await orphan.look()
    assert (trace.how, trace.output) == ("stopped", "begun\n")
    child = number_in(workspace / "child")
    assert child is not None
    await gone(child)


async def test_a_command_without_a_server_still_has_its_time_limit(orphan: Orphan) -> None:
    orphan.ask("echo begun; sleep 300", limit_s=0.2)
    await orphan.ended()
    trace = await orphan.look()
    assert (trace.how, trace.output) == ("cut", "begun\n")


async def test_a_keeper_that_was_killed_leaves_a_beginning_without_an_end(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("echo $$ >child; sleep 300")
    await eventually(lambda: number_in(workspace / "child") is not None)
    os.killpg(orphan.process.pid, signal.SIGKILL)
    await orphan.ended()
    assert await orphan.look() == Trace("vanished", orphan.process.pid)


async def test_a_request_that_did_not_come_whole_is_not_run(
    orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("touch mark", letters=-1)
    await orphan.ended()
    assert await orphan.look() == Trace("nothing")
    assert not (workspace / "mark").exists()


async def test_a_command_that_has_not_begun_when_it_is_looked_for_never_does(
    orphan: Orphan, workspace: Path
) -> None:
    assert await orphan.look() == Trace("nothing")
    orphan.ask("touch mark")
    await orphan.ended()
    assert not (workspace / "mark").exists()
    assert await orphan.look() == Trace("nothing")


@pytest.mark.parametrize("steps", range(0, 4000, 500))
async def test_whenever_it_is_looked_at_a_command_is_stopped_or_never_begins(
    steps: int, orphan: Orphan, workspace: Path
) -> None:
    orphan.ask("echo $$ >child; sleep 300")
    for _ in range(steps):
        orphan.folder.stat()
    trace = await orphan.look()
    await orphan.ended()
    if trace.how == "nothing":
        assert not (workspace / "child").exists()
    else:
        assert trace.how == "stopped"
        shell = number_in(workspace / "child") if (workspace / "child").exists() else None
        if shell is not None:
            await gone(shell)


async def test_looking_twice_shows_the_same(orphan: Orphan) -> None:
    orphan.ask("echo out; exit 3")
    await orphan.ended()
    assert await orphan.look() == await orphan.look()


async def test_p11_what_a_command_leaves_is_for_its_user_only(orphan: Orphan) -> None:
    orphan.ask("echo secret")
    await orphan.ended()
    left = [orphan.folder, *orphan.folder.iterdir(), *orphan.folder.parents[:2]]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in left} == {0}


async def test_a_result_that_is_recorded_leaves_nothing(orphan: Orphan, tmp_path: Path) -> None:
    orphan.ask("echo out")
    await orphan.ended()
    await asyncio.to_thread(orphan.traces.discard, "s", "t")
    await asyncio.to_thread(orphan.traces.discard, "s", "t")
    assert list((tmp_path / "commands").iterdir()) == []


async def test_leftovers_are_all_of_the_session_but_the_open_calls(tmp_path: Path) -> None:
    traces = Traces(tmp_path / "commands")
    assert traces.leftovers("s", ()) == ()
    for session_id, tool_use_id in (("s", "open"), ("s", "taken"), ("s", "old"), ("other", "old")):
        assert prepare(traces.folder(session_id, tool_use_id))
    taken, old = traces.folder("s", "taken"), traces.folder("s", "old")
    taken.rename(taken.with_name(taken.name + TAKEN))
    found = traces.leftovers("s", {"open"})
    assert {path.name for path in found} == {taken.name + TAKEN, old.name}
    for path in found:
        traces.remove(path)
    assert traces.leftovers("s", {"open"}) == []
    assert traces.folder("s", "open").exists()
    assert traces.folder("other", "old").exists()


async def test_a_full_disk_keeps_nobody_from_running_commands(
    tmp_path: Path, workspace: Path
) -> None:
    (tmp_path / "file").write_text("no folder can be made below a file")
    context = context_with(workspace, tmp_path / "file" / "session" / "call")
    assert text_of(await call(context, "run", command="echo out")).endswith("out\n")


@pytest.mark.parametrize("name", ["", "a/b", "..", "ü" * 300])
def test_any_name_of_a_session_or_call_is_one_folder(name: str, tmp_path: Path) -> None:
    traces = Traces(tmp_path)
    assert traces.folder(name, name).parent.parent == tmp_path
    assert len({traces.folder(name, name), traces.folder(name, "x"), traces.folder("x", name)}) == 3
