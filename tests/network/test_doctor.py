"""The doctor names what is planted: real sockets, real TLS, the simulator as the API (C01-C12)."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import pytest

from holdfast.journal.looks import StoreLook
from holdfast.model.port import Probe
from holdfast.network import Check, Diagnosis, Reached, Subject, examine, streams
from holdfast.network.past import Past
from holdfast.network.path import has_a_route
from holdfast.network.reports import HEALTHY, State
from holdfast.network.subjects import Address
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.simulator import Simulator
from network.planted import KEY, MODEL, PLANTS, Field, Plant, field, subject_at
from network.stage import Stage

LIMIT_S = 5.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture
async def api() -> AsyncIterator[int]:
    """The port of an API."""
    async with Simulator(api_key=KEY) as simulator:
        yield int(simulator.base_url.rpartition(":")[2])


@pytest.fixture
async def ground(stage: Stage) -> AsyncIterator[Field]:
    async with field(stage) as ground:
        yield ground


async def test_what_is_planted_is_named_within_the_limit_and_nothing_else_is(
    ground: Field,
) -> None:
    """Scaled; `make doctors` plays all of them, and some more, at the default limit."""
    gate = asyncio.Semaphore(12)

    async def examined(plant: Plant) -> Diagnosis:
        limit_s = LIMIT_S if plant.api == "quick" and plant.verdict != HEALTHY else LIMIT_S * 2
        async with gate:
            found = await examine(await ground.put(plant), limit_s=limit_s)
        assert found.says, plant
        assert found.advice, plant
        return found

    planted = {name: plant for name, plant in PLANTS.items() if plant.scales}
    every = await asyncio.gather(*map(examined, planted.values()))
    found = dict(zip(planted, every, strict=True))
    assert {name: each.verdict for name, each in found.items()} == {
        name: plant.verdict if not plant.is_named or has_a_route() else Cause.OFFLINE
        for name, plant in planted.items()
    }
    for each in found.values():
        if each.healthy:
            assert each.says.startswith("Nothing wrong here")
            assert not [check for check in each.checks if check.state is State.BAD]


async def test_one_cut_is_chance_and_two_at_one_age_are_a_limit(ground: Field) -> None:
    """A stream that is cut twice at two ages, or once of two, is no limit of time."""
    cut = Check(name="stream", state=State.BAD, says="Cut.", cause=Cause.CUT_STREAM)
    good = Check(name="stream", state=State.GOOD, says="Whole.")
    assert streams.by_the_clock((cut, 5000.0), (cut, 5400.0)).cause == Cause.DURATION_CAP
    assert streams.by_the_clock((cut, 5000.0), (cut, 4000.0)).cause == Cause.CUT_STREAM
    assert streams.by_the_clock((cut, 5000.0), (good, 9000.0)).cause == Cause.CUT_STREAM
    assert streams.by_the_clock((good, 9000.0), (good, 9000.0)).state is State.GOOD
    subject = attrs.evolve(
        await ground.put(PLANTS["cut at 0.3 s"]), past=Past(died_ms=(4000, 4100))
    )
    found = await examine(subject, limit_s=LIMIT_S)
    assert found.verdict == Cause.DURATION_CAP, found


async def test_an_upload_is_judged_by_what_has_been_acknowledged(ground: Field) -> None:
    names = ("unread uploads", "unanswered uploads")
    subjects = [await ground.put(PLANTS[name]) for name in names]
    lost, unanswered = await asyncio.gather(*(examine(each, limit_s=LIMIT_S) for each in subjects))
    told = [found.check("upload") for found in (lost, unanswered)]
    assert all(told)
    assert "have not arrived" in told[0].says
    assert told[0].facts.get("unacknowledged", 1) > 0
    if sys.platform == "linux":
        assert told[1].facts["unacknowledged"] == 0
        assert unanswered.verdict == Cause.NO_FIRST_BYTE


async def test_a_clock_that_is_ahead_is_told_from_a_certificate_that_is_over(
    ground: Field,
) -> None:
    """The certificate is valid at the server's own time: it is this machine that is wrong."""
    ahead = await examine(await ground.put(PLANTS["clock ahead"]), limit_s=LIMIT_S)
    assert "days away from the server's" in ahead.says
    over = await examine(await ground.put(PLANTS["certificate over"]), limit_s=LIMIT_S)
    assert "clock is the same as the server's" in over.says


# -- names -----------------------------------------------------------------------------------------


def _named(resolve: object, host: str = "api.holdfast.test") -> Subject:
    return Subject(base_url=f"http://{host}:9", headers={"x-api-key": KEY}, resolve=resolve)


async def test_one_family_of_addresses_that_is_silent_is_seen_and_does_not_hide_the_other(
    stage: Stage, api: int
) -> None:
    hole = await stage.set("black hole", api)

    def both(host: str, port: int) -> list[Address]:
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]

    server = await asyncio.start_server(lambda _, writer: writer.close(), "::1", hole.port)
    found = await examine(_named(both, f"api.holdfast.test:{hole.port}/"), limit_s=LIMIT_S)
    server.close()
    connect = found.check("connect")
    assert connect is not None
    assert connect.state in {State.WARNING, State.BAD}


# -- what an examination is ------------------------------------------------------------------------


async def test_progress_hears_of_every_step_once_and_ends_with_all(stage: Stage, api: int) -> None:
    place = await stage.set("healthy", api)
    heard: list[Reached] = []
    found = await examine(subject_at(place), limit_s=LIMIT_S * 2, progress=heard.append)
    assert [each.done for each in heard] == list(range(1, heard[-1].total + 1))
    assert sorted(each.name for each in heard) == sorted(check.name for check in found.checks)


async def test_an_examination_can_be_stopped_at_every_step_and_leaves_nothing_behind() -> None:
    async with _patient_api() as (port, connections):
        subject = Subject(base_url=f"http://127.0.0.1:{port}", model=MODEL, stored=None)
        for nth in range(1, 9):  # the others wait for answers that never come
            assert await _stopped(subject, nth), f"it was stopped after {nth} steps"
            async with asyncio.timeout(10):
                await connections.join()


async def _stopped(subject: Subject, nth: int) -> bool:
    """Stop an examination when so many steps have ended; say whether it came to that."""
    reached = asyncio.Event()

    def tell(how_far: Reached) -> None:
        if how_far.done == nth:
            reached.set()

    work = asyncio.create_task(examine(subject, limit_s=60.0, progress=tell))
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
    stopped = not work.done()
    waiting.cancel()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    return stopped


@asynccontextmanager
async def _patient_api() -> AsyncIterator[tuple[int, asyncio.Queue[None]]]:
    """Answer questions at once and nothing else ever. Gives the port, and a queue that counts the
    connections which the other side has not ended yet.
    """
    connections: asyncio.Queue[None] = asyncio.Queue()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.put_nowait(None)
        with suppress(ConnectionError):
            if (await reader.read(4)).startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 -\r\ncontent-length: 2\r\n\r\n{}")
            await reader.read(-1)
        connections.task_done()
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1]), connections
    server.close()


async def test_the_comparison_tells_the_endpoint_from_the_network(stage: Stage, api: int) -> None:
    place = await stage.set("html 502", api)
    other = await stage.set("healthy", api)
    gone = await stage.set("refused", api)
    found = await examine(subject_at(place, compare_url=other.base_url), limit_s=LIMIT_S)
    assert "on the way to this endpoint" in found.says
    found = await examine(subject_at(gone, compare_url=gone.base_url), limit_s=LIMIT_S)
    assert "this machine or its network" in found.says


async def test_a_comparison_gets_no_secret(stage: Stage, api: int) -> None:
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    place = await stage.set("healthy", api)
    await examine(subject_at(place, compare_url=f"http://127.0.0.1:{port}"), limit_s=LIMIT_S)
    server.close()
    assert any(seen)
    assert KEY.encode() not in b"".join(seen)


GARBAGE = (
    b"",
    b"\x00" * 5000,
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
    b"HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n",
    b"HTTP/1.1 200 -\r\ncontent-length: 99999\r\n\r\n{",
    b"HTTP/1.1 200 -\r\ncontent-length: -1\r\n\r\n" + b"[" * 9000,
    b"HTTP/1.1 100 -\r\n\r\n" * 50,
    b"HTTP/1.1 999 -\r\n" + b"x: y\r\n" * 20000,
    b"HTTP/1.1 401 -\r\n\r\n\xff\xfe{\x00",
    b"y" * 200_000,
)


async def test_whatever_answers_the_examination_ends_with_a_verdict_of_its_own() -> None:
    async def ends(garbage: bytes) -> Diagnosis:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(garbage)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        subject = Subject(base_url=f"http://127.0.0.1:{port}", model=MODEL)
        found = await examine(subject, limit_s=LIMIT_S)
        server.close()
        return found

    for found in await asyncio.gather(*map(ends, GARBAGE)):
        assert found.verdict not in {HEALTHY, "unexplained"}, found


async def test_without_a_key_it_says_so(stage: Stage, api: int) -> None:
    place = await stage.set("healthy", api)
    subject = subject_at(place, headers={}, key_problem="No API key is set.")
    found: Diagnosis = await examine(subject, limit_s=LIMIT_S)
    assert found.verdict == "keyMissing"
    assert "No API key is set." in found.says


async def test_a_folder_that_cannot_be_written_is_named_beside_the_network(
    stage: Stage, api: int, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    place = await stage.set("healthy", api)
    found = await examine(subject_at(place, data_dir=file / "below"), limit_s=LIMIT_S * 2)
    disk = found.check("disk")
    assert disk is not None
    assert disk.state is State.GOOD, "the nearest folder above is the one that is written"


async def test_a_fault_of_its_own_is_told_and_costs_nobody_the_other_steps(
    stage: Stage, api: int, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> StoreLook:
        raise RuntimeError("a bug")

    place = await stage.set("healthy", api)
    found = await examine(subject_at(place, stored=broken), limit_s=LIMIT_S)
    assert found.verdict == "unfinished", found
    store = found.check("store")
    assert store is not None
    assert "RuntimeError" in store.says
    assert "a bug" in caplog.text


# -- endpoints with a client of their own ----------------------------------------------------------


async def _looked_at(port: int, probe: Probe) -> tuple[Diagnosis, bytes]:
    """Examine an endpoint by its own client's look; return what reached the endpoint, too."""
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 403 -\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    async def look() -> Probe:
        return probe

    server = await asyncio.start_server(listen, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    subject = Subject(
        base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": KEY}, look=look, model=MODEL
    )
    found = await examine(subject, limit_s=LIMIT_S)
    server.close()
    return found, b"".join(seen)


async def test_an_endpoint_with_its_own_client_is_asked_by_it_and_gets_no_key_by_hand() -> None:
    found, seen = await _looked_at(0, Probe(ok=True, latency_ms=7))
    assert found.verdict == HEALTHY, found
    assert KEY.encode() not in seen
    assert {c.name: c.state for c in found.checks}["stream"] is State.SKIPPED


async def test_what_its_own_client_has_seen_is_named() -> None:
    failure = Failure(
        kind=FailureKind.OVERLOADED, message="Overloaded", status=529, cause=Cause.OVERLOADED
    )
    found, _ = await _looked_at(0, Probe(ok=False, failure=failure, latency_ms=7))
    assert found.verdict == Cause.OVERLOADED, found


async def test_an_endpoint_without_an_address_says_what_is_missing() -> None:
    problem = "No region is set."
    found = await examine(Subject(base_url="", address_problem=problem), limit_s=LIMIT_S)
    assert found.verdict == "noAddress"
    assert problem in found.says
