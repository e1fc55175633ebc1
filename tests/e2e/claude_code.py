"""The newest Claude Code, as npm has it, going on with a session file against the simulator.

Law: it runs with a home, a working folder and an environment of its own, in which there is a key
that opens nothing and no address but the simulator's. It is installed once beside the temporary
files of this machine, never in the checkout.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs

from holdfast.simulator import Simulator

PACKAGE: Final = "@anthropic-ai/claude-code"
INSTALL_LIMIT_S: Final = 80.0
LOOK_LIMIT_S: Final = 20.0
RUN_LIMIT_S: Final = 60.0
KEY: Final = "a-key-that-opens-nothing"
MODEL: Final = "claude-sonnet-4-5"
QUESTION: Final = "And what is the third colour?"
ABOUT_BETAS: Final = "R4"
"""The simulator knows no beta that is Claude Code's own; it is asked again without them."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+\S*")


class NotThere(Exception):
    """Claude Code cannot be had here; the message says why."""


async def install() -> Path:
    """Return the program of the newest version, installed now if it was not yet.

    Without a network, the newest that is installed. Raises `NotThere`.
    """
    if sys.platform == "win32":
        raise NotThere("Claude Code is only tried on systems with a POSIX home")
    npm = shutil.which("npm")
    if npm is None:
        raise NotThere("npm is not there, so Claude Code cannot be installed")
    root = Path(tempfile.gettempdir()) / f"holdfast-claude-code-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    version = await _newest(npm)
    if version is None:
        installed = sorted(root.glob("*/node_modules/.bin/claude"), key=lambda p: p.stat().st_mtime)
        if not installed:
            raise NotThere(f"npm does not find {PACKAGE}, and no version of it is installed")
        return installed[-1]
    program = root / version / "node_modules" / ".bin" / "claude"
    if not program.exists():
        await _installed(npm, version, root)
    return program


async def _newest(npm: str) -> str | None:
    try:
        code, said, _ = await _run([npm, "view", PACKAGE, "version"], LOOK_LIMIT_S)
    except TimeoutError:
        return None
    found = _VERSION.findall(said) if code == 0 else []
    return found[0] if found else None


async def _installed(npm: str, version: str, root: Path) -> None:
    """Install into a folder beside, which gets its name when it is complete."""
    beside = Path(tempfile.mkdtemp(dir=root))
    command = [npm, "install", "--prefix", str(beside), "--no-audit", "--no-fund", "--no-save"]
    try:
        code, _, complaint = await _run([*command, f"{PACKAGE}@{version}"], INSTALL_LIMIT_S)
    except TimeoutError:
        code, complaint = 1, f"it took longer than {INSTALL_LIMIT_S:g} seconds"
    if code != 0:
        shutil.rmtree(beside)
        raise NotThere(f"npm could not install {PACKAGE}: {complaint.strip()[-200:]}")
    try:
        beside.rename(root / version)
    except OSError:
        shutil.rmtree(beside)  # Another run was faster.


@attrs.frozen
class Resumed:
    """How a session went on: what was printed, and every request that the simulator saw."""

    code: int
    printed: str
    complaint: str
    bodies: tuple[Mapping[str, Any], ...]
    refusals: tuple[str, ...]
    sent: Mapping[str, Any] | None

    @cached_property
    def went_on(self) -> bool:
        """Say whether the question was answered and nothing of the history was refused."""
        return self.code == 0 and self.sent is not None and not self.refusals

    @cached_property
    def words(self) -> str:
        """All that the model was shown in the request that was answered."""
        return "" if self.sent is None else str(self.sent.get("messages"))


async def resume(
    program: Path, transcript: bytes, root: Path, simulator: Simulator, question: str = QUESTION
) -> Resumed:
    """Go on with a session file in a folder that is empty yet, and ask a question.

    Raises `TimeoutError` when there is no answer within a minute.
    """
    home, work = root / "home", root / "work"
    work.mkdir(parents=True)
    project = home / ".claude" / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(work.resolve()))
    project.mkdir(parents=True)
    session = str(uuid.uuid4())
    (project / f"{session}.jsonl").write_bytes(transcript)
    simulator.clear_log()
    code, printed, complaint = await _run(
        [str(program), "--model", MODEL, "--resume", session, "-p", question],
        RUN_LIMIT_S,
        environment={
            "PATH": os.defpath,
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": simulator.base_url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
        folder=work,
    )
    asked = [entry for entry in simulator.log if entry.rule != ABOUT_BETAS]
    answered = [entry.body for entry in asked if entry.outcome == "answered"]
    return Resumed(
        code=code,
        printed=printed,
        complaint=complaint,
        bodies=tuple(entry.body for entry in asked),
        refusals=tuple(f"{entry.rule}: {entry.message}" for entry in asked if entry.rule),
        sent=answered[-1] if answered else None,
    )


async def _run(
    command: Sequence[str],
    limit_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, str, str]:
    """Run a program to its end; return its code and what it wrote. Raises `TimeoutError`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit_s):
            printed, complaint = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return (
        process.returncode or 0,
        printed.decode("utf-8", "replace"),
        complaint.decode("utf-8", "replace"),
    )
