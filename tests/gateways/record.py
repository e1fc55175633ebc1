"""Writes down what real gateways answer when what is behind them fails.

Law: bodies are kept as they came; only addresses, ids and this machine's paths are put into a form
that is the same every time. `tests/model/test_gateway_answers.py` reads the file, so that the suite
knows the gateways' words without having them.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx2

from gateways.launching import KEY, OPUS, ROOT, Gateway, behind, claude_code_router, litellm
from holdfast.simulator import Script, Simulator

ANSWERS: Final = ROOT / "tests" / "model" / "gateway_answers.json"
BROKEN: Final = (
    "server-error",
    "overloaded",
    "gateway-timeout",
    "bad-gateway-html",
    "unavailable-html",
    "gateway-timeout-html",
    "too-large",
    "too-large-html",
    "rate-limit",
    "spend-limit",
    "low-credit",
    "unauthorized",
    "billing",
    "forbidden",
    "model-gone",
    "prompt-too-long",
    "bad-request",
    "close-before-headers",
    "reset-before-headers",
    "reset",
    "eof",
    "error-event-overloaded",
)
"""Faults of what is behind the gateway, by their names in the simulator."""

Row = dict[str, Any]


async def answers() -> list[Row]:
    """Start the gateways one after the other and return what they said."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with Simulator() as api:
            return [
                *await _litellm(root, api),
                *await _cooling(root, api),
                *await _router(root, api),
            ]


async def _litellm(root: Path, api: Simulator) -> list[Row]:
    nobody = "http://127.0.0.1:9"
    models = {
        OPUS: behind(api.base_url),
        "nobody-there": behind(nobody),
        "no-such-host": behind("http://no-such-host.invalid"),
        "impatient": behind(api.base_url, timeout=0.5),
        "translated": {"model": f"openai/{OPUS}", "api_base": "self", "api_key": KEY},
    }
    async with litellm(root / "plain", models) as gateway:
        said = _Said("LiteLLM 1.109.1", gateway, api)
        await said.refusals()
        for fault in BROKEN:
            await said.when(fault, OPUS)
        await said.ask("nobody listens behind it", model="nobody-there")
        await said.ask("no name behind it", model="no-such-host")
        await said.when("headers-never", "impatient")
        await said.when("silence", "impatient")
        for fault in ("overloaded", "rate-limit", "bad-gateway-html", "eof", "unauthorized"):
            await said.when(fault, "translated", "translated: ")
        await said.when("error-event-overloaded", "translated", "translated: ")
        return said.rows


async def _cooling(root: Path, api: Simulator) -> list[Row]:
    """As it is configured by default it stops asking for a while after a failure."""
    async with litellm(root / "default", {OPUS: behind(api.base_url)}, {}) as gateway:
        said = _Said("LiteLLM 1.109.1", gateway, api)
        api.script(Script.parse([{"times": None, "fault": {"name": "unauthorized"}}]))
        await said.ask("the first refusal of a key behind it")
        await said.ask("the next request after it")
        api.script(Script.parse([]))
        return said.rows


async def _router(root: Path, api: Simulator) -> list[Row]:
    async with claude_code_router(root / "router", api.base_url) as gateway:
        said = _Said("claude-code-router 2.0.0", gateway, api)
        await said.refusals()
        for fault in BROKEN:
            await said.when(fault, OPUS)
        await said.models()
        return said.rows


class _Said:
    """Asks one gateway and keeps what it says."""

    def __init__(self, name: str, gateway: Gateway, api: Simulator) -> None:
        self._name, self._url, self._api = name, gateway.base_url, api
        self.rows: list[Row] = []

    async def refusals(self) -> None:
        """What the gateway refuses by itself."""
        await self.ask("a wrong key", key="sk-a-wrong-key")
        await self.ask("no key", key=None)
        await self.ask("an unknown model", model="claude-of-nobody")

    async def when(self, fault: str, model: str, prefix: str = "") -> None:
        """Ask while what is behind it fails in a way."""
        self._api.script(Script.parse([{"times": None, "fault": {"name": fault, "hold_ms": 2000}}]))
        await self.ask(f"{prefix}{fault}", model=model)
        self._api.script(Script.parse([]))

    async def models(self) -> None:
        """Ask for the list of models."""
        await self._keep("the list of models", "GET", "/v1/models", KEY, None)

    async def ask(self, case: str, *, model: str = OPUS, key: str | None = KEY) -> None:
        """Send one small streamed request."""
        body = {
            "model": model,
            "max_tokens": 100,
            "stream": True,
            "messages": [{"role": "user", "content": "How is the sea?"}],
        }
        await self._keep(case, "POST", "/v1/messages", key, body)

    async def _keep(self, case: str, verb: str, path: str, key: str | None, body: Any) -> None:
        headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        async with httpx2.AsyncClient(timeout=20) as client:
            async with client.stream(verb, self._url + path, headers=headers, json=body) as got:
                parts = [part async for part in _readable(got)]
            retry_after = got.headers.get("retry-after")
        text = b"".join(parts).decode()
        if got.status_code == 200:
            _, error, text = text.partition("event: error\n")
            if not error:
                return
        row: Row = {"gateway": self._name, "case": case, "status": got.status_code}
        if retry_after is not None:
            row["retryAfter"] = retry_after
        self.rows.append({**row, "body": _settled(text)})


async def _readable(response: httpx2.Response) -> Any:
    """Yield what can be read before a stream breaks."""
    try:
        async for part in response.aiter_bytes():
            yield part
    except httpx2.TransportError:
        return


def _settled(text: str) -> str:
    """Return a body without what is another each time."""
    text = text.replace(str(Path(__file__).parent), "/gateway").replace(str(ROOT), "/gateway")
    text = re.sub(r"req_[0-9a-f]{24}", "req_0123456789abcdef01234567", text)
    text = re.sub(r"time taken=[\d.]+", "time taken=0.5", text)
    text = re.sub(r"object at 0x[0-9a-f]+", "object at 0x7f0000000000", text)
    text = re.sub(r"'[0-9a-f]{64}'", "'00aa'", text)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", text)


def written(rows: Sequence[Row]) -> str:
    """Return the file's text: one row a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


if __name__ == "__main__":
    ANSWERS.write_text(written(asyncio.run(answers())), encoding="utf-8")
