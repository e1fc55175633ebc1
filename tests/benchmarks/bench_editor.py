"""S4: what a trivial request waits for while a turn streams and a 100 MB transcript is diagnosed.

The yardstick is the same server when it has nothing to do. Requests come one after the other with a
pause, as a person's do. The simulator is a process of its own, so that nothing here competes for
this interpreter. The frame of 100 MB with which an editor opens such a document has a row of its
own: it is compared with decoding such a frame, which is not done.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from bench_server import Client
from bench_transcripts import FILE_BYTES, USUAL, transcript
from table import Row, print_table

from holdfast.simulator import Respond, Step, TextItem

IDLE_REQUESTS: Final = 1500
PAUSE_S: Final = 0.004
PER_DELTA_MS: Final = 8.0
P99_MS_MAX: Final = 20.0
TIMES_IDLE_MAX: Final = 10.0
OPEN_TIMES_MAX: Final = 2.0
PRELOADED_S: Final = 5.0
ROUNDS: Final = 7


class Editor(Client):
    """A blocking client that keeps the diagnostics it is sent."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        super().__init__(command, environ)
        self.reports: list[list[dict[str, Any]]] = []

    def receive(self) -> dict[str, Any]:
        message = super().receive()
        if message.get("method") == "textDocument/publishDiagnostics":
            self.reports.append(message["params"]["diagnostics"])
        return message

    def command(self, name: str, **arguments: Any) -> Any:
        return self.request("workspace/executeCommand", {"command": name, "arguments": [arguments]})

    def trivial_ms(self) -> float:
        began = time.perf_counter_ns()
        self.command("holdfast.server.info")
        return (time.perf_counter_ns() - began) / 1e6


@contextmanager
def simulator(directory: Path) -> Iterator[str]:
    """Serve answers that stream for ever, and give the address."""
    novel = Respond(
        content=(TextItem(text="0123456789abcdef" * 40_000, chunk=16),), per_delta_ms=PER_DELTA_MS
    )
    script = directory / "script.json"
    script.write_bytes(msgspec.json.encode([Step(times=None, respond=novel)]))
    command = [sys.executable, "-m", "holdfast", "simulator", "--script", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def damaged(path: Path) -> str:
    """Write a transcript with damage to a line, to the chain and to the grammar; return its text.

    The grammar's is what is found last.
    """
    lines = list(transcript(FILE_BYTES, USUAL))
    answered = next(n for n in range(len(lines) - 9, 0, -1) if b'"tool_result"' in lines[n])
    lines[answered] = b"\0" * 512 + b"\n"
    path.write_bytes(b"".join(lines))
    return path.read_text("utf-8")


def rows() -> list[Row]:
    """Measure all rows."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "session.jsonl"
        text = damaged(path)
        with simulator(directory) as base_url:
            environ = {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "k"}
            command = [sys.executable, "-m", "holdfast", "lsp", "--in-process"]
            editor = Editor([*command, "--data-dir", str(directory / "data")], environ)
            editor.initialize()
            editor.send({"method": "initialized", "params": {}})
            time.sleep(PRELOADED_S)
            idle = [_paced(editor) for _ in range(IDLE_REQUESTS)]
            opening = _open(editor, path, text)
            loaded = _while_busy(editor)
            editor.processor_ms()
    floor = statistics.median(_decoded_ms(text) for _ in range(ROUNDS))
    return [*_request_rows(idle, loaded), _open_row(opening, floor)]


def _paced(editor: Editor) -> float:
    time.sleep(PAUSE_S)
    return editor.trivial_ms()


def _open(editor: Editor, path: Path, text: str) -> float:
    """Let a turn stream, open the document, and return how long the next request waited."""
    session = editor.command("holdfast.session.create")["sessionId"]
    editor.command("holdfast.session.open", sessionId=session)
    editor.command("holdfast.turn.send", sessionId=session, text="write a novel")
    document = {"uri": path.as_uri(), "languageId": "jsonl", "version": 1, "text": text}
    editor.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
    return editor.trivial_ms()


def _while_busy(editor: Editor) -> list[float]:
    """Return the waits until all of the diagnosis is there."""
    waits = []
    while not any(found["code"].startswith("R") for report in editor.reports for found in report):
        waits.append(_paced(editor))
    assert len(editor.reports) > 1, "there was no partial report"
    assert not editor.turns_ended, "the turn was over before the diagnosis"
    return waits


def _decoded_ms(text: str) -> float:
    body = json.dumps({"jsonrpc": "2.0", "params": {"text": text}}).encode()
    decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
    began = time.perf_counter_ns()
    decode(body)
    return (time.perf_counter_ns() - began) / 1e6


def _p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]


def _request_rows(idle: list[float], loaded: list[float]) -> list[Row]:
    ours, floor = _p99(loaded), _p99(idle)
    what = f"trivial request, p99 of {len(loaded)} while busy | the same when idle"
    limit = f"trivial request, p99 while busy, worst {max(loaded):.0f} ms | the limit"
    times = ours / floor
    share = ours / P99_MS_MAX
    return [
        Row("S4", what, ours, floor, "ms", times, "at most 10.0x", times <= TIMES_IDLE_MAX),
        Row("S4", limit, ours, P99_MS_MAX, "ms", share, "at most 1.0x", share <= 1.0),
    ]


def _open_row(opening: float, floor: float) -> Row:
    what = "a request behind the `didOpen` of 100 MB | decoding its frame"
    ratio = opening / floor
    return Row("S4", what, opening, floor, "ms", ratio, "at most 2.0x", ratio <= OPEN_TIMES_MAX)


if __name__ == "__main__":
    print_table(rows())
