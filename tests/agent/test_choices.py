"""Who could answer a session is listed, with what changes, whatever state endpoints are in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.stage import supervised
from holdfast.agent.choices import Choice
from holdfast.agent.supervisor import Supervisor
from holdfast.simulator import Simulator

MAPPED = {"claude-opus-5-5": "claude-haiku-4-5"}


def office(base_url: str) -> dict[str, Any]:
    return {"name": "office", "kind": "compatible", "baseUrl": base_url, "models": MAPPED}


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """Accept connections and never answer."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def chosen(supervisor: Supervisor, **more: Any) -> tuple[str, list[Choice]]:
    session_id = await supervisor.create(workspace_uri=None, title=None, model="claude-opus-5-5")
    return session_id, list((await supervisor.choices.of(session_id, **more)).choices)


def at(rows: list[Choice], endpoint: str | None) -> list[Choice]:
    return [row for row in rows if row.endpoint == endpoint]


async def test_p10_each_row_can_be_chosen_as_it_stands_and_says_what_changes(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, Simulator(endpoint="compatible") as other:
        endpoints = [office(other.base_url)]
        async with supervised(first, tmp_path, endpoints=endpoints) as supervisor:
            session_id, rows = await chosen(supervisor)
            now, elsewhere, *_ = rows
            assert (now.label, now.endpoint, now.detail) == ("claude-opus-5-5", None, "")
            assert (now.in_use, elsewhere.label) == (True, "claude-opus-5-5 at office")
            assert now.description.startswith("in use · ")
            [there] = [row for row in at(rows, "office") if row.model == "claude-opus-5-5"]
            assert there.description.endswith("there called claude-haiku-4-5")
            assert "claude-haiku-4-5 is asked for in place of claude-opus-5-5." in there.detail
            assert "There is no prompt cache." in there.detail
            assert (rows[-1].model, rows[-1].endpoint) == (None, None), "the setting's model"
            await supervisor.select_model(session_id, there.model, there.endpoint)
            [now] = [r for r in (await supervisor.choices.of(session_id)).choices if r.in_use]
            assert (now.endpoint, now.model) == (None, there.model)


async def test_p7_an_endpoint_that_does_not_answer_is_told_of_and_can_be_chosen_all_the_same(
    tmp_path: Path,
) -> None:
    async with Simulator() as first, listening() as silent:
        gone = {"name": "gone", "kind": "gateway", "baseUrl": "http://127.0.0.1:9"}
        endpoints = [office(silent), gone]
        async with supervised(first, tmp_path, endpoints=endpoints) as supervisor:
            _, rows = await chosen(supervisor, asked_s=0.5)
            [hangs] = at(rows, "office")
            assert "did not say within 0.5 s" in hangs.detail
            assert (hangs.model, hangs.endpoint) == ("claude-opus-5-5", "office")
            [refused] = at(rows, "gone")
            assert refused.detail.startswith("The connection was refused")
            assert len(at(rows, None)) > 2, "who answers is listed"


async def test_p5_a_window_that_is_too_small_is_told_before_it_is_chosen(tmp_path: Path) -> None:
    async with Simulator(window_tokens=1_000) as first, supervised(first, tmp_path) as supervisor:
        _, rows = await chosen(supervisor)
        assert all(("is compacted first" in r.detail) is not r.in_use for r in rows[:-1])
