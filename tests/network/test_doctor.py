"""The doctor names what is planted: real sockets, real TLS, the simulator as the API (C01-C12)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from holdfast.network import Diagnosis, Reached, Subject, examine
from holdfast.network.reports import HEALTHY, State
from holdfast.network.subjects import Address
from holdfast.simulator import Simulator
from holdfast.simulator.script import Respond, Step, TextItem
from network.plays import PROXY_LOGIN
from network.stage import Place, Stage

LIMIT_S = 2.0
KEY = "key-of-a-test"
MODEL = "claude-opus-5-5"

SLOW = Step(
    times=None,
    respond=Respond(content=(TextItem(text="one two three " * 16, chunk=14),), per_delta_ms=60),
)


def subject_at(place: Place, login: str = "", **more: object) -> Subject:
    """Return what a client's process would examine that has the place's environment."""
    environment = place.environment
    proxies = {}
    if "HTTP_PROXY" in environment:
        address = environment["HTTP_PROXY"].replace("http://", f"http://{login}")
        proxies = {"http": address, "https": address}

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE"))

    given = {"headers": {"x-api-key": KEY}, "model": MODEL, "trust": trust, "proxies": proxies}
    return Subject(base_url=place.base_url, **{**given, **more})


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
async def slow_api() -> AsyncIterator[int]:
    """The port of an API that takes its time for an answer."""
    async with Simulator([SLOW], api_key=KEY) as simulator:
        yield int(simulator.base_url.rpartition(":")[2])


PLANTED = {
    "refused": "refused",
    "black hole": "connectTimeout",
    "suspended": "noFirstByte",
    "never answers": "noFirstByte",
    "reset": "reset",
    "not http": "wrongAddress",
    "half-open": "silentStream",
    "pings only": "noProgress",
    "interception": "tlsIntercepted",
    "other name": "tlsName",
    "plain on a TLS port": "tlsRefused",
    "proxy unreachable": "proxyUnreachable",
    "proxy with login": "proxyLogin",
    "html 502": "gatewayPage",
    "413 at a proxy": "tooLargeForProxy",
    "sign-in page": "signInPage",
    "sign-in redirect": "redirected",
    "wrong address": "wrongAddress",
    "revoked key": "keyRefused",
    "billing": "billing",
    "forbidden": "keyForbidden",
    "429 with retry-after": "rateLimited",
    "529 storm": "overloaded",
}


@pytest.mark.parametrize("fault", PLANTED)
async def test_a_planted_fault_is_named_within_the_limit(
    fault: str, stage: Stage, api: int
) -> None:
    place = await stage.set(fault, api)
    found = await examine(subject_at(place), limit_s=LIMIT_S)
    assert found.verdict == PLANTED[fault], found
    assert found.says
    assert found.advice
    assert found.ms <= LIMIT_S * 1000


@pytest.mark.parametrize("way", ["healthy", "healthy TLS", "healthy proxy", "IPv6 only"])
async def test_on_a_healthy_path_nothing_is_wrong(way: str, stage: Stage, api: int) -> None:
    place = await stage.set(way, api)
    found = await examine(subject_at(place), limit_s=LIMIT_S * 2)
    assert found.verdict == HEALTHY, found
    assert found.says.startswith("Nothing wrong here")
    assert not [check for check in found.checks if check.state is State.BAD]


async def test_a_proxy_that_holds_the_stream_back_is_named(stage: Stage, slow_api: int) -> None:
    place = await stage.set("buffering proxy", slow_api, pace_s=0.05)
    found = await examine(subject_at(place), limit_s=5.0)
    assert found.verdict == "streamHeldBack", found


async def test_a_proxy_that_cuts_every_answer_at_one_age_is_named(
    stage: Stage, slow_api: int
) -> None:
    place = await stage.set("cut at T", slow_api, pace_s=0.3)
    found = await examine(subject_at(place), limit_s=5.0)
    assert found.verdict == "cutStream", found


async def test_a_clock_that_is_ahead_is_told_from_a_certificate_that_is_over(
    stage: Stage,
) -> None:
    """The certificate is valid at the server's own time: it is this machine that is wrong."""
    async with _server_at(datetime(2020, 6, 1, tzinfo=UTC)) as port:
        place = await stage.set("certificate expired", port)
        found = await examine(subject_at(place), limit_s=LIMIT_S)
    assert found.verdict == "tlsClock", found
    assert "days away from the server's" in found.says
    async with _server_at(datetime.now(UTC)) as port:
        place = await stage.set("certificate expired", port)
        found = await examine(subject_at(place), limit_s=LIMIT_S)
    assert found.verdict == "tlsRefused", found
    assert "clock is the same as the server's" in found.says


@asynccontextmanager
async def _server_at(moment: datetime) -> AsyncIterator[int]:
    """Listen as a server that lives at a moment; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = f"Date: {format_datetime(moment, usegmt=True)}"
        writer.write(f"HTTP/1.1 404 -\r\n{date}\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


async def test_a_proxy_that_takes_the_login_is_no_fault(stage: Stage, api: int) -> None:
    place = await stage.set("proxy with login", api)
    found = await examine(subject_at(place, f"{PROXY_LOGIN}@"), limit_s=LIMIT_S * 2)
    assert found.verdict == HEALTHY, found


# -- names -----------------------------------------------------------------------------------------


def _named(resolve: object, host: str = "api.holdfast.test") -> Subject:
    return Subject(base_url=f"http://{host}:9", headers={"x-api-key": KEY}, resolve=resolve)


async def test_a_name_that_is_not_there_is_named() -> None:
    def nowhere(host: str, port: int) -> list[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = await examine(_named(nowhere), limit_s=LIMIT_S)
    assert found.verdict in {"nameNotFound", "offline"}, found


async def test_a_name_server_that_is_silent_is_named_and_nobody_waits_for_it() -> None:
    released = threading.Event()

    def hangs(host: str, port: int) -> list[Address]:
        released.wait(60)
        return []

    begun = time.monotonic()
    found = await examine(_named(hangs), limit_s=LIMIT_S)
    assert time.monotonic() - begun < LIMIT_S
    released.set()
    assert found.verdict in {"nameServerSilent", "offline"}, found


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


async def test_a_stopped_examination_leaves_no_connection(stage: Stage, api: int) -> None:
    place = await stage.set("never answers", api)
    begun = asyncio.Event()
    work = asyncio.create_task(
        examine(subject_at(place), limit_s=60.0, progress=lambda _: begun.set())
    )
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(asyncio.all_tasks()) <= 2 + place.connections


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
