"""`holdfast doctor`: is it me, my network or the API?

Law: the verdict stands first and alone on its line. No session is opened and nothing is changed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from holdfast.cli import tables
from holdfast.conversation import encoding
from holdfast.model.credentials import resolve
from holdfast.network import Diagnosis, Reached, State, examine
from holdfast.network.reports import plain
from holdfast.network.surroundings import subject_of
from holdfast.network.words import MARKS, bundle
from holdfast.settings import Settings

_TITLE_CHARS = 11


async def run(
    *, compare_url: str | None, free: bool, bundle_file: Path | None, as_json: bool
) -> int:
    """Examine and print; 0 when nothing is wrong, 1 when something is."""
    settings, problems = Settings.load(None, os.environ)
    subject = subject_of(
        settings,
        resolve(os.environ),
        os.environ,
        compare_url=compare_url,
        model=None if free else settings.model,
    )
    shown = None if as_json or not sys.stderr.isatty() else _tell
    diagnosis = await examine(subject, progress=shown)
    if shown is not None:
        print("\r\033[K", end="", file=sys.stderr)
    if bundle_file is not None:
        words = [problem.message for problem in problems]
        text = bundle(diagnosis, subject.secrets, words)
        await asyncio.to_thread(bundle_file.write_text, text, encoding="utf-8")
    print(encoding.encode(plain(diagnosis)) if as_json else _shown(diagnosis))
    if bundle_file is not None and not as_json:
        print(f"\nWritten to {bundle_file}; it holds no key and no text of a session.")
    return 0 if diagnosis.healthy else 1


def _tell(reached: Reached) -> None:
    print(f"\r\033[K{reached.done} of {reached.total}", end="", file=sys.stderr, flush=True)


def _shown(diagnosis: Diagnosis) -> str:
    lines = [tables.entry("", diagnosis.says, f"→ {diagnosis.advice}"), ""]
    for check in filter(lambda check: check.reached, diagnosis.checks):
        took = f" ({check.ms} ms)" if check.ms and check.state is not State.SKIPPED else ""
        advice = (f"→ {check.advice}",) if check.advice and check.state is State.WARNING else ()
        label = f"  {MARKS[check.state]} {check.title:<{_TITLE_CHARS}} "
        lines.append(tables.entry(label, f"{check.says}{took}", *advice))
    lines += ["", f"{diagnosis.endpoint}, {diagnosis.ms / 1000:.1f} s"]
    return "\n".join(lines)
