"""The processes that read transcripts: whatever becomes of one, every request ends.

The programs here are real processes that say what the test needs; the last tests use the worker
itself.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.lsp.transcripts import messages as m
from holdfast.lsp.transcripts import workers
from holdfast.lsp.transcripts.workers import Lane, WorkerRefused
from lsp.raw_editor import WAIT_S
from transcripts import damages

# Answers a request by its method; `die` ends the process, `hang` says nothing for ever.
PROGRAM = """
import json, os, sys, threading
def say(**members):
    sys.stdout.write(json.dumps(members) + "\\n")
    sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    if "cancel" in asked:
        print("cancelled", asked["cancel"], file=sys.stderr, flush=True)
        continue
    number, method = asked["id"], asked["method"]
    if method == "die":
        os._exit(1)
    if method == "hang":
        threading.Event().wait()
    if method == "parts":
        say(id=number, progress={"done": 1, "total": 2, "phase": "reading"})
        say(id=number, partial=["a"])
    if method == "noise":
        print("no JSON", flush=True)
    say(id=number, result={"pid": os.getpid(), "text": asked.get("text", "")})
"""


@asynccontextmanager
async def lane(program: Sequence[str], **limits: float) -> AsyncIterator[Lane]:
    made = Lane(program, **{"patience_s": 30.0, "idle_s": 30.0, **limits})
    async with asyncio.timeout(WAIT_S), aclosing(_Closing(made)):
        yield made


class _Closing:
    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def aclose(self) -> None:
        await self._lane.close()


def scripted(**limits: float) -> Any:
    return lane([sys.executable, "-c", PROGRAM], **limits)


async def answered(lane: Lane, method: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    raw = await lane.ask(m.Request(method=method, text=text), **more)
    return dict(msgspec.json.decode(raw))


async def refusal(lane: Lane, method: str) -> str:
    with pytest.raises(WorkerRefused) as refused:
        await answered(lane, method)
    return refused.value.kind


async def test_answers_of_any_size_come_whole_and_each_to_its_question() -> None:
    async with scripted() as some:
        texts = ["x" * size for size in (0, 1, 70_000, 3_000_000, 2)]
        found = await asyncio.gather(*(answered(some, "say", text) for text in texts))
    assert [each["text"] for each in found] == texts


async def test_progress_and_parts_come_before_the_result() -> None:
    async with scripted() as some:
        said: list[Any] = []
        await answered(
            some,
            "parts",
            on_progress=lambda reached: said.append((reached.done, reached.total)),
            on_partial=lambda part: said.append(msgspec.json.decode(part)),
        )
    assert said == [(1, 2), ["a"]]


async def test_noise_on_the_pipe_costs_nothing() -> None:
    async with scripted() as some:
        assert (await answered(some, "noise", "kept"))["text"] == "kept"


async def test_the_request_under_which_two_processes_died_is_refused_and_the_others_answered() -> (
    None
):
    async with scripted() as some:
        before = await answered(some, "say")
        killing = asyncio.create_task(refusal(some, "die"))
        behind = asyncio.create_task(answered(some, "say", "behind"))
        assert await killing == "WorkerDied"
        after = await behind
    assert after["text"] == "behind"
    assert after["pid"] != before["pid"]


@pytest.mark.parametrize("moment", range(6))
async def test_whenever_a_process_is_killed_everything_asked_is_answered(moment: int) -> None:
    async with scripted() as some:
        told = 0

        def kill_at(_: object) -> None:
            nonlocal told
            if told == moment and some.process_id is not None:
                os.kill(some.process_id, 9)
            told += 1

        asked = [answered(some, "parts", str(number), on_progress=kill_at) for number in range(6)]
        found = await asyncio.gather(*asked)
    assert [each["text"] for each in found] == list("012345")
    assert told > moment


async def test_a_process_that_says_nothing_is_killed_and_what_waits_behind_it_is_answered() -> None:
    async with scripted(patience_s=0.3) as some:
        hanging = asyncio.create_task(refusal(some, "hang"))
        behind = asyncio.create_task(answered(some, "say", "behind"))
        assert await hanging == "WorkerDied"
        assert (await behind)["text"] == "behind"


async def test_a_process_killed_while_idle_is_replaced_by_the_next_request() -> None:
    async with scripted() as some:
        first = await answered(some, "say")
        os.kill(first["pid"], 9)
        second = await answered(some, "say")
    assert second["pid"] != first["pid"]


async def test_a_process_without_work_ends_and_the_next_request_starts_another() -> None:
    async with scripted(idle_s=0.05) as some:
        first = await answered(some, "say")
        while some.process_id is not None:
            await asyncio.sleep(0.01)
        second = await answered(some, "say")
    assert second["pid"] != first["pid"]


async def test_a_program_that_cannot_be_started_is_an_error_not_a_wait(tmp_path: Path) -> None:
    async with lane([str(tmp_path / "nowhere")]) as some:
        assert await refusal(some, "say") == "WorkerUnavailable"


async def test_a_cancelled_request_is_forgotten_and_the_next_is_answered() -> None:
    async with scripted(patience_s=0.3) as some:
        await answered(some, "say")
        hanging = asyncio.create_task(answered(some, "hang"))
        await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await answered(some, "say", "next"))["text"] == "next"


async def test_a_stopped_request_is_not_asked_again_when_its_process_dies() -> None:
    async with scripted(patience_s=0.3) as some:
        asked = m.Request(method="hang")
        hanging = asyncio.create_task(some.ask(asked))
        await stopped_once_sent(some, asked)
        with pytest.raises(WorkerRefused, match=m.CANCELLED):
            await hanging


async def stopped_once_sent(some: Lane, asked: m.Request) -> None:
    """Stop a request as soon as there is a process that has it."""
    while some.process_id is None:
        await asyncio.sleep(0.01)
    some.stop(asked)


async def test_closing_leaves_no_process_and_nobody_waiting() -> None:
    async with scripted() as some:
        pid = (await answered(some, "say"))["pid"]
        hanging = asyncio.create_task(answered(some, "hang"))
        await asyncio.sleep(0)
        await some.close()
        with pytest.raises(asyncio.CancelledError):
            await hanging
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# -- the worker itself -----------------------------------------------------------------------------


def test_a_worker_loads_neither_the_protocol_nor_the_sdk() -> None:
    command = [
        part.replace("main()", "print(*sys.modules)") if "main()" in part else part
        for part in workers.command()
    ]
    run = subprocess.run(command, capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "msgspec" in loaded
    assert loaded & {"pygls", "cattrs", "anthropic", "apsw", "PIL", "rich"} == set()


def request(method: str, path: Path, **more: Any) -> m.Request:
    return m.Request(method=method, path=str(path), uri=path.as_uri(), **more)


def diagnosis(path: Path, **more: Any) -> m.Request:
    params = {"uri": path.as_uri(), "encoding": "utf-16"}
    return request(m.DIAGNOSE, path, params=params, **more)


async def test_a_text_is_asked_for_once_for_each_version(tmp_path: Path) -> None:
    path, text = tmp_path / "a.jsonl", damages.story().bytes().decode()
    async with lane(workers.command()) as some:
        with pytest.raises(WorkerRefused, match=m.TEXT_WANTED):
            await some.ask(diagnosis(path, version=1))
        assert bytes(await some.ask(diagnosis(path, version=1, text=text))) == b"[]"
        assert bytes(await some.ask(diagnosis(path, version=1))) == b"[]"
        with pytest.raises(WorkerRefused, match=m.TEXT_WANTED):
            await some.ask(diagnosis(path, version=2))


async def test_what_is_no_file_and_what_is_not_there_cost_one_request_each(tmp_path: Path) -> None:
    pipe, path = tmp_path / "pipe.jsonl", tmp_path / "a.jsonl"
    os.mkfifo(pipe)
    path.write_bytes(damages.story().bytes())
    async with lane(workers.command()) as some:
        for wrong, kind in ((pipe, "NotAFile"), (tmp_path / "nowhere", "FileUnreadable")):
            with pytest.raises(WorkerRefused, match=kind):
                await some.ask(diagnosis(wrong))
        assert bytes(await some.ask(diagnosis(path))) == b"[]"


async def test_a_fault_of_our_own_costs_one_request(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(damages.story().bytes())
    async with lane(workers.command()) as some:
        with pytest.raises(WorkerRefused, match="InternalError"):
            await some.ask(request("textDocument/unheardOf", path))
        assert bytes(await some.ask(diagnosis(path))) == b"[]"


async def test_a_file_that_has_grown_is_seen_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = damages.lines_of(damages.story().bytes())
    path.write_bytes(b"".join(lines[:3]))
    async with lane(workers.command()) as some:
        assert bytes(await some.ask(diagnosis(path))) == b"[]"
        path.write_bytes(b"".join(lines[:3]) + b'{"torn')
        found = msgspec.json.decode(await some.ask(diagnosis(path)))
    assert [(each["code"], each["range"]["start"]["line"]) for each in found] == [("D07", 3)]


async def test_a_request_that_is_withdrawn_ends_at_its_next_progress(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(damages.story().bytes())
    async with lane(workers.command()) as some:
        first = asyncio.create_task(some.ask(diagnosis(path)))
        withdrawn = [asyncio.create_task(some.ask(diagnosis(path))) for _ in range(20)]
        await asyncio.sleep(0)
        for each in withdrawn:
            each.cancel()
        assert bytes(await first) == b"[]"
        await asyncio.wait(withdrawn)
    assert all(each.cancelled() for each in withdrawn)
