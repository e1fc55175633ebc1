"""The tool `run`: one shell command.

Law: a command has a time limit, an output limit and no way to ask questions; nothing of it lives on
after the call (`processes`). The result says how it ended before it says what it printed, so that
clipping can never hide a failure. Where the context names a folder for it, a keeper (`run_worker`)
stands between server and command and leaves the command's end there, also when the server is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec

import holdfast
from holdfast.tools import output, paths, traces
from holdfast.tools.base import BaseTool
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext, ToolOutput
from holdfast.tools.processes import ProcessEnd, run_process

COMMAND_CHARS_MAX: Final = 100_000
NOTES_BYTES: Final = 250  # kept free for how the command ended
KEEPER_GRACE_S: Final = 5.0  # the keeper minds the time limit too, but the server comes first

# -I keeps the workspace and the user's Python variables off the import path.
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from holdfast.tools.run_worker import main; main()"
)
_PACKAGES: Final = str(Path(holdfast.__file__).parent.parent)


class RunArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`timeout_s` can only shorten the limit that the session sets."""

    command: Annotated[str, msgspec.Meta(min_length=1, max_length=COMMAND_CHARS_MAX)]
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None


class RunTool(BaseTool[RunArguments]):
    """Runs a command in the workspace folder."""

    name = "run"
    mutates = True
    leaves_trace = True
    description = (
        "Run a shell command in the workspace folder (/bin/sh; cmd.exe on Windows) and return its "
        "exit code and its output, standard error included. Standard input is empty, so commands "
        "that ask questions fail: pass flags such as --yes. Long output keeps its beginning and "
        "its end. The command and everything it started is stopped at the time limit and when it "
        "ends: background processes do not survive the call. Each call is a new shell, so `cd` "
        "and variables do not carry over."
    )
    properties: ClassVar[dict[str, Any]] = {
        "command": {
            "type": "string",
            "minLength": 1,
            "maxLength": COMMAND_CHARS_MAX,
            "description": "Command line for the shell.",
        },
        "timeout_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 86_400,
            "description": "Time limit in seconds, if shorter than the session's own.",
        },
    }
    required = ("command",)
    arguments_type = RunArguments

    def target_of(self, arguments: RunArguments, context: ToolContext | None) -> str:  # noqa: ARG002 - commands need none
        """Return the command line."""
        return arguments.command

    def ask(self, arguments: RunArguments, context: ToolContext) -> tuple[str, str]:  # noqa: ARG002 - as above
        """Show the whole command."""
        return f"Run `{output.one_line(arguments.command, 100)}`?", arguments.command

    async def perform(self, arguments: RunArguments, context: ToolContext) -> ToolOutput:
        """Run it; a command that fails is an error result with its output."""
        if "\0" in arguments.command:
            raise ToolFailure("The command contains a NUL character.")
        timeout_s = min(arguments.timeout_s or context.run_timeout_s, context.run_timeout_s)
        kept = output.HeadAndTail(context.output_bytes_max)
        program, feed = _program(arguments.command, context.trace, timeout_s)
        end = await run_process(
            program,
            folder=paths.workspace(context),
            timeout_s=timeout_s,
            kept=kept,
            feed=feed,
        )
        ending = _ending(end, timeout_s)
        printed = kept.text(max(1, context.output_bytes_max - NOTES_BYTES))
        summary = f"`{output.one_line(arguments.command, 60)}`: {ending}"
        text = f"[{ending}]\n{printed}"
        if end.exit_code == 0 and not end.timed_out:
            return output.succeeded(text, context, summary)
        return output.failed(text, context, summary)


def _program(
    command: str, trace: Path | None, timeout_s: float
) -> tuple[str | Sequence[str], bytes | None]:
    """Return what to start and what to tell it: the keeper, or the bare command without a trace."""
    if trace is None or not traces.prepare(trace):
        return command, None
    request = {
        "command": command,
        "folder": str(trace),
        "limit_s": timeout_s + KEEPER_GRACE_S,
        "server": os.getpid(),
    }
    keeper = [sys.executable, "-I", "-S", "-W", "ignore", "-c", _BOOT, _PACKAGES]
    return keeper, json.dumps(request).encode()


def _ending(end: ProcessEnd, timeout_s: float) -> str:
    """Say how a command ended, in one line."""
    if end.timed_out:
        return f"stopped at its time limit of {timeout_s:g} s; what it did until then is not undone"
    ending = f"{_exit(end.exit_code)} after {end.duration_s:.2f} s"
    if end.left_running:
        ending += "; the background processes it left were stopped"
    return ending


def _exit(exit_code: int | None) -> str:
    if exit_code is None:
        return "no exit code: the process does not answer"
    if exit_code < 0:
        return f"killed by {_signal_name(-exit_code)}"
    return f"exit code {exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
