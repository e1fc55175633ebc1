"""What the tests of the tools share: calls, an editor of our own, and bounded waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.tools.port import Tool, ToolContext, ToolOutput
from holdfast.tools.registry import Toolbox

WAIT_S = 10.0


def tool(name: str) -> Tool:
    found = Toolbox().get(name)
    assert found is not None
    return found


def context_with(workspace: Path, trace: Path | None) -> ToolContext:
    return ToolContext(workspace=workspace, run_timeout_s=20.0, trace=trace)


async def call(context: ToolContext, name: str, **arguments: Any) -> ToolOutput:
    """Run one call and check what holds for every output there is."""
    output = await tool(name).run(arguments, context)
    check_output(output, context)
    return output


def check_output(output: ToolOutput, context: ToolContext) -> None:
    """Every text is valid UTF-8, bounded, not blank and free of control characters (A22, A23)."""
    assert output.content
    for block in output.content:
        assert block.type in ("text", "image", "document")
        if block.type == "text":
            text = block.text_of("text")
            assert 0 < len(text.encode()) <= context.output_bytes_max
            assert text.strip()
            assert not any(ord(c) < 0x20 and c not in "\n\t" for c in text)
    assert "\n" not in output.summary


def text_of(output: ToolOutput) -> str:
    return output.content[0].text_of("text")


async def succeeds(context: ToolContext, name: str, **arguments: Any) -> str:
    output = await call(context, name, **arguments)
    assert not output.is_error, text_of(output)
    return text_of(output)


async def fails(context: ToolContext, name: str, **arguments: Any) -> str:
    output = await call(context, name, **arguments)
    assert output.is_error, text_of(output)
    return text_of(output)


class EditorWithDocuments:
    """An editor that holds open documents in memory and applies or refuses edits."""

    def __init__(self, documents: dict[Path, str], *, applies: bool = True) -> None:
        self.documents = documents
        self.labels: list[str] = []
        self._applies = applies

    def open_text(self, path: Path) -> str | None:
        return self.documents.get(path)

    async def replace_text(self, path: Path, text: str, label: str) -> bool:
        self.labels.append(label)
        if self._applies:
            self.documents[path] = text
        return self._applies


class SilentEditor(EditorWithDocuments):
    """An editor that never answers a request."""

    async def replace_text(self, path: Path, text: str, label: str) -> bool:
        await asyncio.Event().wait()
        return await super().replace_text(path, text, label)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until another process has done something; fails after `WAIT_S`."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


async def gone(pid: int) -> None:
    """Wait until a process is dead; fails after `WAIT_S`."""
    await eventually(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie that nobody reaps does not."""
    status = Path(f"/proc/{pid}/stat")
    if status.parent.parent.joinpath("self").exists():
        try:
            return status.read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def number_in(path: Path) -> int | None:
    """Return the number that a process writes into a file, once it is written."""
    written = path.read_text() if path.exists() else ""
    return int(written) if written.endswith("\n") else None
