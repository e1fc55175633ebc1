"""What the demo shows while it plays: the session's events as a user would see them.

Law: the stage only shows and remembers what the server sent; it never decides what is true. On a
terminal there is a line of activity that counts seconds; elsewhere the same facts are plain lines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

WAIT_LIMIT_S: Final = 30.0
BAR_CELLS: Final = 24

_RUNG_WORDS: Final = {
    "onDemand": "compaction by the API",
    "summary": "summary by the model",
    "chunks": "summary in parts",
}
_FAILURE_WORDS: Final = {"timeout": "gateway time-out", "stalled": "silence", "cut": "cut off"}


class Stage:
    """Shows one session's events and keeps them for the plot to wait on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = console.is_terminal and not console.record
        self.events: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.requests: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()
        self._at_line_start = True
        self._held_back = ""
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._bars: dict[str, str] = {}
        self._steps: dict[str, str] = {}
        self._last_retry: tuple[Any, ...] = ()

    # -- for the plot ----------------------------------------------------------------------------

    def act(self, title: str) -> None:
        """Announce the next part."""
        self._newline()
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left", style="dim")

    def say(self, words: str, style: str = "") -> None:
        """Show a line of the narrator."""
        self._newline()
        self.console.print(Text(words, style=style))

    def user(self, words: str) -> None:
        """Show what the person types."""
        self._newline()
        self.console.print(
            Text("> ", style="bold cyan"), Text(words, style="bold"), sep="", end="\n"
        )

    async def until(
        self, kind: str, matching: Callable[[dict[str, Any]], bool] = lambda _event: True
    ) -> dict[str, Any]:
        """Return the first event of this type that matches, waiting for it if need be.

        Raises `TimeoutError` after 30 s.
        """
        seen = 0
        async with asyncio.timeout(WAIT_LIMIT_S):
            while True:
                changed = self._changed
                for event in self.events[seen:]:
                    seen += 1
                    if event["event"]["type"] == kind and matching(event["event"]):
                        return event
                await changed.wait()

    async def until_status(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next status that matches. Raises `TimeoutError` after 30 s."""
        seen = len(self.statuses)
        async with asyncio.timeout(WAIT_LIMIT_S):
            while True:
                changed = self._changed
                for status in self.statuses[seen:]:
                    seen += 1
                    if matching(status):
                        return status
                await changed.wait()

    # -- from the server -------------------------------------------------------------------------

    def listen(self, method: str, params: Any) -> None:
        """Take what the server sent."""
        match method:
            case "holdfast/event":
                self.events.append(params)
                self._show(params["event"])
            case "holdfast/status":
                self.statuses.append(params)
                self._show_status(params)
            case "$/progress":
                self._show_progress(params["token"], params["value"])
            case _:
                self.requests.append((method, params))
        self._changed.set()
        self._changed = asyncio.Event()

    def _show(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "blockDelta" if event["kind"] == "text":
                self._stream(event["text"])
            case "toolStarted":
                self._note(f"⚙ {event['name']} started", "blue")
            case "toolFinished":
                self._show_result(event)
            case "questionAsked":
                self._note(f"? {event['title']}", "yellow")
            case "questionAnswered":
                self._note(f"  answered: {event['answer']}", "yellow")
            case "historyRepaired":
                for note in event["notes"]:
                    self._note(f"✚ repaired ({note['rule']}): {note['action']}", "magenta")
            case "requestFailed":
                self._show_failure(event["failure"])
            case "responseCut":
                self._note("✂ the answer was cut off; what arrived is kept", "yellow")
            case "sessionRecovered":
                self._note(f"↻ recovered; the server had died while {event['phase']}", "magenta")
            case "compactionRungFailed":
                rung = _RUNG_WORDS.get(event["rung"], event["rung"])
                self._note(f"✗ {rung}: {event['reason']} ({event['detail']})", "red")
            case "compactionChunkSummarised":
                self._note(f"■ part {event['number']} of {event['count']} is summarised", "green")
            case "compactionCommitted":
                self._note("✔ compacted; every record is kept and can be shown", "green")
            case "blockFinished" | "turnEnded":
                self._newline()
            case _:
                pass

    def _show_result(self, event: dict[str, Any]) -> None:
        outcome = event["outcome"]
        style = "green" if outcome == "finished" else "magenta"
        words = event.get("summary") or outcome
        self._note(f"  {words}" if outcome == "finished" else f"  outcome: {outcome}", style)

    def _show_failure(self, failure: dict[str, Any]) -> None:
        words = _FAILURE_WORDS.get(failure["kind"], failure["kind"])
        status = f"{failure['status']} " if failure.get("status") else ""
        self._note(f"✗ {status}{words}: {failure['message']}", "red")

    def _show_status(self, status: dict[str, Any]) -> None:
        if status["phase"] == "waiting" and status.get("retryAt"):
            retry = (status.get("attempt"), status["retryAt"])
            if retry != self._last_retry:
                self._last_retry = retry
                seconds = max(0.0, status["retryAt"] / 1000 - time.time())
                self._note(f"  attempt {retry[0]} in {seconds:.1f} s", "yellow")
        if status["phase"] == "paused":
            self._note(f"⏸ {status.get('message')} {status.get('advice') or ''}", "yellow")

    def _show_progress(self, token: str, value: dict[str, Any]) -> None:
        words = value.get("message") or self._bars.get(token, "")
        match value["kind"]:
            case "begin":
                self._bars[token] = value["title"]
                self._newline()
                if self._live and self._progress is None:
                    self._progress = _bar(self.console)
                    self._progress.start()
                    self._bar = self._progress.add_task(value["title"], total=100, words="")
            case "report":
                if self._progress is not None and self._bar is not None:
                    done = value.get("percentage")
                    self._progress.update(self._bar, completed=done, words=words)
                self._plain_step(token, words, int(value.get("percentage") or 0))
            case _:
                if self._progress is not None:
                    self._progress.stop()
                    self._progress = self._bar = None
                self._bars.pop(token, None)

    def _plain_step(self, token: str, words: str, percentage: int) -> None:
        """Without a live terminal, show a step once and not each of its seconds."""
        step, _, _ = words.partition(" · ")
        if percentage and self._steps.get(token) != step:
            self._steps[token] = step
            done = percentage * BAR_CELLS // 100
            self._plain(f"  {'━' * done}{'╌' * (BAR_CELLS - done)} {percentage:3} %  {step}")

    def _plain(self, words: str) -> None:
        if not self._live:
            self._note(words, "dim")

    # -- lines -----------------------------------------------------------------------------------

    def _stream(self, words: str) -> None:
        if self._progress is not None or not self._live:
            self._held_back += words  # Above a bar, and in a log, there are whole lines only.
            return
        self.console.print(Text(words), end="")
        self._at_line_start = words.endswith("\n")

    def _note(self, words: str, style: str) -> None:
        self._newline()
        self.console.print(Text(words, style=style))

    def _newline(self) -> None:
        if self._held_back:
            self.console.print(Text(self._held_back))
            self._held_back = ""
        if not self._at_line_start:
            self.console.print()
            self._at_line_start = True


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("  [bold]{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[words]}"),
        console=console,
        transient=True,
    )
