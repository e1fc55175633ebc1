"""The places of the stage do what they say, and nothing any more once they are cleared."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest

from holdfast.simulator import Script, Simulator
from network import names
from network.faults import FAULTS
from network.plays import NEW_KEY
from network.stage import Place, Stage

QUESTION = {
    "model": "claude-opus-5-5",
    "max_tokens": 64,
    "stream": True,
    "messages": [{"role": "user", "content": "kelp " * 400}],
}
HEADERS = {"x-api-key": "a-test-key", "anthropic-version": "2023-06-01"}
PATIENCE_S = 1.5
ANSWER = Script.parse(
    [
        {
            "times": None,
            "respond": {
                "content": [{"type": "text", "text": "Kelp sways. " * 4, "chunk": 8}],
                "per_delta_ms": 20,
            },
        }
    ]
)

PASSES = {
    "healthy",
    "healthy TLS",
    "healthy proxy",
    "IPv6 only",
    "IPv6 half-broken",
    "slow drip",
    "buffering proxy",
}
SILENT = {"black hole", "suspended", "never answers", "half-open", "pings only"}


async def ask(place: Place, key: str = HEADERS["x-api-key"]) -> str:
    """Ask for an answer through a place and return what became of it, in one word."""
    environment = place.environment
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "SSL_CERT_FILE" in environment:
        trust.load_verify_locations(environment["SSL_CERT_FILE"])
    proxy = environment.get("HTTP_PROXY")
    async with httpx2.AsyncClient(timeout=PATIENCE_S, verify=trust, proxy=proxy) as client:
        try:
            async with client.stream(
                "POST",
                f"{place.base_url}/v1/messages",
                json=QUESTION,
                headers={**HEADERS, "x-api-key": key},
            ) as response:
                async with asyncio.timeout(PATIENCE_S * 2):
                    whole = (await response.aread()).decode()
        except (httpx2.TimeoutException, TimeoutError):
            return "silence"
        except httpx2.TransportError as error:
            return type(error).__name__
    if response.status_code == 200:
        return "answer" if "message_stop" in whole else "page"
    return str(response.status_code)


async def check(name: str, stage: Stage, simulator: Simulator) -> None:
    place = await stage.set(name, simulator.port, pace_s=0.1)
    found = await ask(place)
    assert (found == "answer") == (name in PASSES), f"{name}: {found}"
    assert (found == "silence") == (name in SILENT), f"{name}: {found}"
    if FAULTS[name].address:
        with pytest.raises(ValueError, match="no name server"):
            await place.clear()
        return
    await place.clear()
    key = NEW_KEY if name == "revoked key" else HEADERS["x-api-key"]
    assert await ask(place, key) == "answer", name


@pytest.mark.parametrize("later", ["black hole", "refused", "html 502", "half-open"])
async def test_a_place_can_have_one_fault_after_another(later: str, tmp_path: Path) -> None:
    async with Simulator(ANSWER) as simulator, Stage(tmp_path) as stage:
        place = await stage.set("healthy", simulator.port)
        assert await ask(place) == "answer"
        await place.become(later)
        assert await ask(place) != "answer"
        await place.become("healthy")
        assert await ask(place) == "answer"


async def test_a_black_hole_swallows_the_answers_that_are_under_way(tmp_path: Path) -> None:
    async with Simulator(ANSWER) as simulator, Stage(tmp_path) as stage:
        place = await stage.set("slow drip", simulator.port)
        asking = asyncio.create_task(ask(place))
        while not place.requests:
            await asyncio.sleep(0)
        await place.become("black hole")
        await place.become("healthy")
        assert await asking == "silence"
        assert await ask(place) == "answer"


async def test_every_place_has_its_fault_until_it_is_cleared(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(8)

    async def in_turn(name: str) -> None:
        async with gate:
            await check(name, stage, simulator)

    async with Simulator(ANSWER) as simulator, Stage(tmp_path) as stage:
        with names.asked(stage.names.path):
            async with asyncio.TaskGroup() as all_of_them:
                for name in FAULTS:
                    all_of_them.create_task(in_turn(name))
