"""`holdfast doctor`: is it me, my network or the API?

Law: the verdict stands first and alone on its line. No session is opened and nothing is changed.
Colour only repeats what marks and words say; a pipe, NO_COLOR and a plain terminal lose nothing.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from holdfast.cli import tables
from holdfast.conversation import encoding
from holdfast.journal import glance
from holdfast.model.credentials import resolve
from holdfast.model.port import Probe
from holdfast.network import Check, Diagnosis, Reached, State, Subject, examine
from holdfast.network.reports import plain
from holdfast.network.surroundings import subject_of
from holdfast.network.words import ASCII_MARKS, MARKS, bundle
from holdfast.settings import EndpointSetting, Kind, Settings

_TITLE_CHARS: Final = 11
_STYLES: Final[Mapping[State, str]] = {
    State.GOOD: "green",
    State.WARNING: "yellow",
    State.BAD: "bold red",
    State.SKIPPED: "dim",
}


@attrs.frozen(kw_only=True)
class Wanted:
    """What is asked for on the command line. `cloud` is a kind of endpoint instead of the first."""

    cloud: str | None = None
    compare_url: str | None = None
    free: bool = False
    long: bool = False
    bundle_file: Path | None = None
    as_json: bool = False


async def run(wanted: Wanted) -> int:
    """Examine and print; 0 when nothing is wrong, 1 when something is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # others' words may not fit into a terminal's set
    settings, problems = Settings.load(None, os.environ)
    subject = _subject(settings, wanted)
    with _bar(shown=not wanted.as_json) as tell:
        diagnosis = await examine(subject, progress=tell)
    if wanted.bundle_file is not None:
        words = [problem.message for problem in problems]
        text = bundle(diagnosis, subject.secrets, words)
        await asyncio.to_thread(wanted.bundle_file.write_text, text, encoding="utf-8")
    if wanted.as_json:
        print(encoding.encode(plain(diagnosis)))
    else:
        show(diagnosis, Console(width=tables.width(), highlight=False))
        if wanted.bundle_file is not None:
            print(f"\nWritten to {wanted.bundle_file}; it holds no key and no text of a session.")
    return 0 if diagnosis.healthy else 1


def show(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis, the verdict first."""
    marks = MARKS if _has_marks(console.encoding) else ASCII_MARKS
    arrow = "→" if marks is MARKS else "->"
    style = "bold green" if diagnosis.healthy else "bold red"
    _print(console, Text(tables.entry("", diagnosis.title), style=style))
    if diagnosis.seen:
        _print(console, Text(tables.entry("", diagnosis.seen)))
    _print(console, Text(tables.entry("", f"{arrow} {diagnosis.advice}")))
    console.print()
    for check in filter(lambda check: check.reached, diagnosis.checks):
        _print(console, _line(check, marks[check.state], arrow))
    console.print()
    where = diagnosis.endpoint or "no address"
    _print(console, Text(f"{where}, {diagnosis.ms / 1000:.1f} s", style="dim"))


def _line(check: Check, mark: str, arrow: str) -> Text:
    """Return one step: mark, title, what was seen, how long it took, and what to do about it."""
    took = f" ({check.ms} ms)" if check.ms and check.state is not State.SKIPPED else ""
    advice = (f"{arrow} {check.advice}",) if check.advice and check.state is State.WARNING else ()
    label = f"  {mark} {check.title:<{_TITLE_CHARS}} "
    line = Text(tables.entry(label, f"{check.says}{took}", *advice))
    line.stylize(_STYLES[check.state], 2, 2 + len(mark))
    line.stylize("dim" if check.state is State.SKIPPED else "bold", 2 + len(mark), len(label))
    return line


def _print(console: Console, text: Text) -> None:
    """Print what is wrapped already: copied words have no line breaks that nobody asked for."""
    console.print(text, soft_wrap=True)


def _has_marks(charset: str) -> bool:
    """Whether a terminal's characters include the marks; an old one of Windows has not."""
    try:
        "".join((*MARKS.values(), "→")).encode(charset)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[Reached], None]]:
    """Show on a terminal how far it is; it is gone when the report comes."""
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    off = not (shown and console.is_terminal and sys.stdout.isatty())
    with Progress(*columns, console=console, transient=True, disable=off) as progress:
        task = progress.add_task("Examining", total=None, count="")

        def tell(reached: Reached) -> None:
            progress.update(
                task,
                description=f"{reached.title:<{_TITLE_CHARS}}",
                completed=reached.done,
                total=reached.total,
                count=f"{reached.done} of {reached.total}",
            )

        yield tell


def _subject(settings: Settings, wanted: Wanted) -> Subject:
    """Return what is examined: the endpoint of the environment, or that of a cloud's variables."""
    look, name = None, ""
    if wanted.cloud is not None:
        cloud = EndpointSetting(wanted.cloud, Kind(wanted.cloud))
        settings = attrs.evolve(settings, endpoints=(cloud,))
        look, name = partial(_looked, cloud), cloud.name
    subject = subject_of(
        settings,
        resolve(os.environ),
        os.environ,
        endpoint=name,
        compare_url=wanted.compare_url,
        model=None if wanted.free else settings.model,
        look=look,
        stored=partial(glance.look, settings.store_path),
    )
    return attrs.evolve(subject, long=wanted.long)


async def _looked(cloud: EndpointSetting) -> Probe:
    """Look at a cloud through the client that its requests go through."""
    from holdfast.model.clouds.adapter import CloudModel

    model = CloudModel(cloud, os.environ)
    try:
        return await model.probe()
    finally:
        await model.close()
