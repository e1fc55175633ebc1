"""What is asked of transcripts as files: to check, to repair, to list them.

Law: the functions of the command line are called and their JSON is given, so that an editor and a
shell say the same. Runs in the worker.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from holdfast.transcripts import discovery, foreign, formats, plain, repairing
from holdfast.transcripts.findings import report_of
from holdfast.transcripts.opened import open_transcript

Progress = Callable[[int, int], None]


@attrs.frozen
class Refused(Exception):
    """There is no answer, for a reason that a person can do something about."""

    kind: str
    message: str
    action: str


def check(path: Path, progress: Progress) -> dict[str, Any]:
    """Return what `holdfast check --json` says of a file. Raises `OSError`, `Refused`."""
    if formats.recognised(path) is formats.CLAUDE_CODE:
        with open_transcript(path, progress=progress) as opened:
            return plain.report(report_of(opened))
    report = foreign.check(path)
    if report is None:
        raise _unknown(path)
    return plain.report(report)


def repair(path: Path, params: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Return what `holdfast repair --json` says, with `outputUri`.

    Without `output`, `inPlace` and `dryRun` the copy gets a free name beside the file. Raises
    `OSError`, `Refused`.
    """
    reader = formats.reader_of(path)
    if reader is not formats.CLAUDE_CODE:
        raise Refused(
            "UnsupportedFormat",
            f"{path} is not a transcript of Claude Code, and only those are repaired.",
            "Import it: what needs mending is mended then.",
        )
    if params.get("dryRun"):
        done = repairing.repair(path, dry_run=True, progress=progress)
    elif params.get("inPlace"):
        done = repairing.repair(path, in_place=True, progress=progress)
    elif params.get("output"):
        done = _into(path, Path(params["output"]), progress)
    else:
        done = _beside(path, progress)
    uri = None if done.output is None else done.output.absolute().as_uri()
    return {**plain.repaired(done), "outputUri": uri}


def _into(path: Path, output: Path, progress: Progress) -> repairing.RepairReport:
    try:
        return repairing.repair(path, output=output, progress=progress)
    except FileExistsError:
        raise Refused(
            "OutputExists", f"{output} is there already.", "Choose another name, or remove it."
        ) from None


def _beside(path: Path, progress: Progress) -> repairing.RepairReport:
    for number in itertools.count(1):
        more = "" if number == 1 else f"-{number}"
        output = path.with_name(f"{path.stem}.repaired{more}.jsonl")
        try:
            return repairing.repair(path, output=output, progress=progress)
        except FileExistsError:
            continue
    raise AssertionError("there is always another number")


class Sessions:
    """Claude Code's sessions on this machine. What was seen of a file is kept until it changes."""

    def __init__(self) -> None:
        self._catalogue = discovery.Catalogue(())

    def listed(self, folder: str | None) -> dict[str, Any]:
        """Return all sessions, or those that have to do with a folder."""
        self._catalogue.config_dirs = discovery.config_dirs(os.environ, Path.home())
        found = self._catalogue.sessions(time.time())
        if folder is None:
            return {"sessions": [plain.session(each) for each in found]}
        related = discovery.of_folder(found, Path(folder))
        return {"sessions": [plain.session(*each) for each in related]}


def folder(path: Path) -> str | None:
    """Return the folder of a session, if it is one here, and null if not; "" for an unknown one.

    Raises `OSError`.
    """
    named = discovery.look(path).cwd
    return named if not named or discovery.is_folder(Path(named)) else None


def _unknown(path: Path) -> Refused:
    return Refused(
        "UnknownFormat",
        f"{path} is no transcript that Holdfast knows.",
        "Claude Code's, Codex's and lists of Messages API messages are known.",
    )
