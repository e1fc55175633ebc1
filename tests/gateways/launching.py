"""Real gateways as processes: a LiteLLM proxy and a claude-code-router, each in front of the API.

Law: what is started here is the gateway as its makers ship it, with a configuration that a person
could have written; nothing of it is replaced. It listens on the loopback alone, talks to the
simulator alone, keeps its files in the test's own folder, and is ended with its test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

ROOT: Final = Path(__file__).parents[2]
LITELLM: Final = ROOT / ".venv-gateways" / "bin" / "litellm"
ROUTER: Final = Path(__file__).parent / "node_modules/@musistudio/claude-code-router/dist/cli.js"
KEY: Final = "sk-a-key-of-the-gateway"
UPSTREAM_KEY: Final = "sk-a-key-behind-the-gateway"
STARTS_S: Final = 90.0
"""LiteLLM imports for ten seconds on a machine that does nothing else."""

OPUS: Final = "claude-opus-5-5"
HAIKU: Final = "claude-haiku-4-5"
PLAIN: Final = {"num_retries": 0, "disable_cooldowns": True}
"""Every answer of what is behind LiteLLM, as it comes; by default it hides some for a while."""


@attrs.frozen
class Gateway:
    """A gateway that listens at `base_url` and is asked with `KEY`."""

    base_url: str

    @property
    def variables(self) -> Mapping[str, str]:
        """What a server is started with that has the gateway for its first endpoint."""
        return {"ANTHROPIC_BASE_URL": self.base_url, "ANTHROPIC_API_KEY": KEY}


def behind(base_url: str, model: str = OPUS, **more: Any) -> dict[str, Any]:
    """Return where LiteLLM finds a model: at the API, by the API's own protocol."""
    return {"model": f"anthropic/{model}", "api_base": base_url, "api_key": UPSTREAM_KEY, **more}


@asynccontextmanager
async def litellm(
    root: Path, models: Mapping[str, Mapping[str, Any]], router: Mapping[str, Any] = PLAIN
) -> AsyncIterator[Gateway]:
    """Run a LiteLLM proxy that has these models; a name of "self" stands for its own address."""
    port = _free_port()
    own = f"http://127.0.0.1:{port}/v1"
    listed = [
        {
            "model_name": name,
            "litellm_params": {k: own if v == "self" else v for k, v in at.items()},
        }
        for name, at in models.items()
    ]
    config = {
        "model_list": listed,
        "general_settings": {"master_key": KEY},
        "router_settings": dict(router),
        "litellm_settings": {"telemetry": False},
    }
    root.mkdir(parents=True, exist_ok=True)
    path = root / "litellm.yaml"  # JSON is YAML.
    path.write_text(json.dumps(config, indent=1))
    command = [str(LITELLM), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    # Otherwise it asks the network for the prices of models when it starts.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    async with _running(command, port, root, environment):
        yield Gateway(f"http://127.0.0.1:{port}")


@asynccontextmanager
async def claude_code_router(root: Path, upstream: str) -> AsyncIterator[Gateway]:
    """Run a claude-code-router that passes requests on to `upstream`."""
    port = _free_port()
    config = {
        "PORT": port,
        "HOST": "127.0.0.1",
        "APIKEY": KEY,
        "LOG": False,
        "NON_INTERACTIVE_MODE": True,
        "Providers": [
            {
                "name": "api",
                "api_base_url": f"{upstream}/v1/messages",
                "api_key": UPSTREAM_KEY,
                "models": [OPUS, HAIKU],
                "transformer": {"use": ["Anthropic"]},
            }
        ],
        "Router": {"default": f"api,{OPUS}"},
    }
    home = root / "home"
    (home / ".claude-code-router").mkdir(parents=True)
    (home / ".claude-code-router" / "config.json").write_text(json.dumps(config))
    async with _running(["node", str(ROUTER), "start"], port, root, {"HOME": str(home)}):
        yield Gateway(f"http://127.0.0.1:{port}")


@asynccontextmanager
async def _running(
    command: Sequence[str], port: int, root: Path, environment: Mapping[str, str]
) -> AsyncIterator[None]:
    """Run a process until it listens, and end its group with the context."""
    with (root / "gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment},
            cwd=root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            await _listens(process, port, root)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int, root: Path) -> None:
    """Return when somebody listens at the port; fail when the process has ended or takes long."""
    try:
        async with asyncio.timeout(STARTS_S):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    raise AssertionError(f"the gateway did not start: {(root / 'gateway.log').read_text()[-2000:]}")


def _free_port() -> int:
    """Return a port that nobody has now; the gateways cannot be handed a socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
