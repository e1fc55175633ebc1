"""`holdfast demo`: the two failures of the report, played against a real server.

Law: everything is real but the API: a server process on stdio, its SQLite store, the SDK, HTTP,
tools that run. The API is the strict simulator, which refuses whatever the API would refuse. What
the table at the end says is computed by `evidence` from the simulator's log and the journal.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from holdfast.cli import evidence, plot
from holdfast.cli.client import Client, CommandFailed
from holdfast.cli.stage import Stage
from holdfast.simulator import Simulator

TRANSCRIPT: Final = "claude-code-2.1.49.jsonl"
SETTINGS: Final = {
    "contextWindowTokens": 48_000,
    "compaction": {"deadlineSeconds": 20},
    "stream": {"idleWarnSeconds": 1, "idleCutSeconds": 3},
    "retry": {"maxDelaySeconds": 0.8},
}


async def run(svg: Path | None = None) -> int:
    """Play the demo and return 0 when everything held, 1 when something did not.

    With `svg`, what was shown is also saved as a picture.
    """
    console = Console(highlight=False, record=svg is not None)
    root = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    began = time.monotonic()
    async with Simulator(plot.script()) as simulator:
        demo = Demo(console, root, simulator)
        try:
            await demo.play()
        except TimeoutError:
            demo.facts.trouble = "something that should have happened did not, within 30 s"
        except CommandFailed as error:
            demo.facts.trouble = f"a command was refused: {error}"
        finally:
            await demo.end()
        checks = evidence.checks(demo.facts, simulator)
    evidence.show(console, checks, time.monotonic() - began)
    if svg is not None:
        await asyncio.to_thread(svg.write_text, picture(console), encoding="utf-8")
    if all(check.held for check in checks):
        shutil.rmtree(root, ignore_errors=True)
        return 0
    console.print(f"The server's log and the session store are in {root}.")
    return 1


def picture(console: Console) -> str:
    """Return what the console showed as an SVG that needs no font from elsewhere."""
    drawn = console.export_svg(title="holdfast demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


class Demo:
    """The play: a workspace, a server process that is killed and started again, one session."""

    def __init__(self, console: Console, root: Path, simulator: Simulator) -> None:
        self.stage = Stage(console)
        self.facts = evidence.Facts()
        self._root = root
        self._simulator = simulator
        self._workspace = root / "workspace"
        self._client: Client | None = None
        self._session = ""

    async def play(self) -> None:
        """Play all acts."""
        self._prepare_workspace()
        self.stage.say("Holdfast demo: a session that survives the two failures of the report.\n")
        await self._start_server()
        await self._act_past()
        await self._act_work()
        await self._act_compaction()
        await self._act_parts()
        await self._act_gateway()
        await self._act_stall()
        await self._act_kill()
        await self._act_next_prompt()

    async def end(self) -> None:
        """Collect what the journal says and end the server."""
        client = self._client
        if client is None:
            return
        try:
            self.facts.journal = await self._export()
            self.facts.messages = (await self._command("session.messages"))["messages"]
            await client.stop()
        except Exception as error:  # noqa: BLE001 (the table says that evidence is missing)
            self.facts.trouble = self.facts.trouble or f"no evidence: {error!r}"
            await client.kill()
        log = self._workspace / "deploy.log"
        self.facts.deployments = log.read_text().splitlines() if log.exists() else []

    # -- acts ------------------------------------------------------------------------------------

    async def _act_past(self) -> None:
        self.stage.act("1  A broken past: a real Claude Code session that died inside a tool call")
        source = self._root / TRANSCRIPT
        data = resources.files("holdfast.cli") / "demo_data" / TRANSCRIPT
        source.write_bytes(data.read_bytes())
        client = self._live_client()
        found = await client.command(
            "holdfast.session.import",
            uri=source.as_uri(),
            title="Demo",
            workspaceUri=self._workspace.as_uri(),
        )
        self._session = found["sessionId"]
        await self._open(since=0)
        messages = (await self._command("session.messages"))["messages"]
        self.facts.imported = len(messages)
        dangling = (await self._command("session.repair", dryRun=True))["findings"]
        self.facts.broken_rules = sorted({finding["rule"] for finding in dangling})
        self.stage.say(f"{len(messages)} messages read. What the API would refuse today:")
        for finding in dangling:
            self.stage.say(f"  {finding['rule']}: {finding['detail'][:96]}…", "red")

    async def _act_work(self) -> None:
        self.stage.act("2  Work: tools, a question, an edit")
        await self._prompt(plot.FIRST)
        await self._done(plot.FIRST)
        await self._prompt(plot.PASTE)
        await self._done(plot.PASTE)
        await self._prompt(plot.EDIT)
        question = await self.stage.until("questionAsked")
        await self._live_client().command(
            "holdfast.permission.answer",
            questionId=question["event"]["questionId"],
            answer="allow",
        )
        await self._done(plot.EDIT)

    async def _act_compaction(self) -> None:
        self.stage.act("3  The report, first half: compaction, and the API answers 504 every time")
        self.facts.compaction_began = time.monotonic()
        await self._command("session.compact")
        await self.stage.until("compactionRungFailed")
        self.stage.say("Meanwhile, a prompt:")
        await self._prompt(plot.MEANWHILE)
        await self._done(plot.MEANWHILE)
        await self.stage.until("compactionCommitted")
        self.facts.compaction_s = time.monotonic() - self.facts.compaction_began

    async def _act_parts(self) -> None:
        self.stage.act("4  Only small requests get through: a summary in parts, and kill -9 in it")
        started = await self._command("session.compact", instructions=plot.KEEP)
        compaction_id = started["compactionId"]
        first = (await self.stage.until("compactionChunkSummarised"))["event"]["key"]
        await self.stage.until("compactionChunkSummarised", lambda event: event["key"] != first)
        await self._live_client().kill()
        self.stage.say("☠ kill -9 in the middle of the compaction.", "bold red")
        await self._start_server()
        self.stage.say("A new server goes on with it; what was finished is not asked for again:")
        await self._open(since=self._last_seq())
        await self.stage.until(
            "compactionCommitted", lambda event: event["compactionId"] == compaction_id
        )

    async def _act_gateway(self) -> None:
        self.stage.act("5  504 ten times on an ordinary prompt")
        await self._prompt(plot.GATEWAY)
        await self._done(plot.GATEWAY)

    async def _act_stall(self) -> None:
        self.stage.act("6  The stream stops in the middle of a sentence")
        await self._prompt(plot.LONG)
        await self._done(plot.LONG)

    async def _act_kill(self) -> None:
        self.stage.act("7  The report, second half: killed between the call and its result")
        prompt_id = await self._prompt(plot.DEPLOY)
        question = await self.stage.until("questionAsked", lambda e: e["tool"] == "run")
        await self._live_client().command(
            "holdfast.permission.answer",
            questionId=question["event"]["questionId"],
            answer="allow",
        )
        await self.stage.until("toolStarted", lambda e: e["name"] == "run")
        await self._deployed()
        self.facts.journal_before_kill = await self._export()
        await self._live_client().kill()
        self.stage.say("☠ kill -9. The server is gone; the command had taken effect.", "bold red")
        await self._start_server()
        self.stage.say("A new server, the same session:")
        await self._open(since=self._last_seq())
        await self._done(prompt_id)

    async def _act_next_prompt(self) -> None:
        self.stage.act("8  The next prompt")
        await self._prompt(plot.SECRET_QUESTION)
        await self._done(plot.SECRET_QUESTION)

    # -- helpers ---------------------------------------------------------------------------------

    def _prepare_workspace(self) -> None:
        self._workspace.mkdir()
        (self._workspace / "notes.txt").write_text(plot.NOTES)
        (self._workspace / "ledger.txt").write_text("kelp 3\n")

    async def _start_server(self) -> None:
        self._client = await Client.start(
            data_dir=self._root / "data",
            environment={
                "ANTHROPIC_BASE_URL": self._simulator.base_url,
                "ANTHROPIC_API_KEY": "demo-key",
                "NO_PROXY": "127.0.0.1,localhost",
            },
            options=SETTINGS,
            listen=self.stage.listen,
            log=self._root / "server.log",
        )

    def _live_client(self) -> Client:
        assert self._client is not None
        return self._client

    async def _command(self, name: str, **arguments: Any) -> Any:
        return await self._live_client().command(
            f"holdfast.{name}", sessionId=self._session, **arguments
        )

    async def _open(self, since: int) -> None:
        opened = await self._command("session.open", sinceSeq=since)
        for event in opened["events"]:
            self.stage.listen("holdfast/event", event)

    def _last_seq(self) -> int:
        return max((event["seq"] for event in self.stage.events), default=0)

    async def _prompt(self, scene: plot.Scene) -> str:
        lines = scene.pasted.count("\n") + 1
        self.stage.user(scene.prompt + (f" [{lines} lines pasted]" if scene.pasted else ""))
        text = f"{scene.prompt}\n{scene.pasted}".rstrip()
        sent = await self._command("turn.send", text=text, promptId=scene.prompt_id)
        self.facts.sent[scene.prompt_id] = sent["turnId"]
        return scene.prompt_id

    async def _done(self, scene: plot.Scene | str) -> None:
        turn_id = self.facts.sent[scene if isinstance(scene, str) else scene.prompt_id]
        await self.stage.until("turnEnded", lambda event: event["turnId"] == turn_id)

    async def _deployed(self) -> None:
        """Wait until the command has had its effect, which is before it ends."""
        log = self._workspace / "deploy.log"
        async with asyncio.timeout(20):
            while not (log.exists() and log.read_text()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # A file has no event to wait for.

    async def _export(self) -> list[dict[str, Any]]:
        text = (await self._command("session.export", format="jsonl"))["content"]
        return [json.loads(line) for line in text.splitlines()]
