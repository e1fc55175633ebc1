"""`docs/survival.md`: what ends sessions elsewhere, and the test that plays it here.

Law: a class is on the page if and only if a test says that it plays it, by its marker
`survives("C03", ...)` or by the class in its name; nothing is claimed by hand, and what surviving
costs is what a test asserts. `make survival` writes it; `test_survival.py` compares.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e import measured
from e2e.live_damage import PLAYS
from e2e.measured import Cleared
from e2e.survived import SURVIVED
from e2e.suspended import MOMENTS
from e2e.weather import DEFAULTS, STOP_S
from e2e.weathered import WEATHER
from holdfast.session.causes import CAUSES
from holdfast.settings import StreamSettings
from network.faults import FAULTS

MARKER = "pytest.mark.survives"
TESTS = Path(__file__).resolve().parents[1]

CLASSES = {
    "A01": "orphan tool use",
    "A02": "orphan mid history",
    "A03": "orphan tool result",
    "A04": "server tool unpaired",
    "A05": "dup tool use id",
    "A06": "bad tool id",
    "A07": "dup tool result",
    "A08": "thinking modified",
    "A09": "thinking signature invalid",
    "A10": "thinking must lead",
    "A11": "empty text",
    "A12": "whitespace text",
    "A13": "trailing whitespace",
    "A14": "assistant last",
    "A15": "cache control empty",
    "A16": "cache control too many",
    "A17": "image too big",
    "A18": "image many 2000px",
    "A19": "image type mismatch",
    "A20": "image undecodable",
    "A21": "pdf limit",
    "A22": "inline file too big",
    "A23": "lone surrogate",
    "A24": "prompt too long",
    "A25": "bytes 413",
    "A26": "concurrency 400",
    "A27": "tool input malformed",
    "A28": "tool name bad",
    "A29": "tool schema refused",
    "A30": "tool names dup",
    "A31": "tool reference stale",
    "A32": "roles not alternating",
    "A33": "other provider pairing",
    "A34": "model gone",
    "A35": "refusal poison",
    "B01": "compact timeout",
    "B02": "compact retry storm",
    "B03": "compact too long",
    "B04": "compact thrash",
    "B05": "compact wrong count",
    "B06": "compact never fires",
    "B07": "compact same 400",
    "B08": "compact empty summary",
    "B09": "compact splits pair",
    "B10": "compact terminal state",
    "B11": "compact bad request after",
    "B12": "compact ratio gate",
    "B13": "compact loses task state",
    "B14": "compact wrong task",
    "B15": "compact loses agents",
    "B16": "compact uncancellable",
    "B17": "compact kills turn",
    "B18": "compact destroys archive",
    "B19": "compact tier gate",
    "B20": "summary thread fails",
    "B21": "compact reexecutes old",
    "B22": "compact undone by resume",
    "B23": "compact noop loop",
    "C01": "stream stall",
    "C02": "no first byte",
    "C03": "midstream drop",
    "C04": "continue without anchor",
    "C05": "overload exhausted",
    "C06": "gateway duration cap",
    "C07": "auth 401 mid session",
    "C08": "quota mid turn",
    "C09": "sleep wake",
    "C10": "duplicate side effects",
    "C11": "max tokens loop",
    "C12": "dead cancel",
    "D01": "parent missing",
    "D02": "side entry forks",
    "D03": "parallel branches",
    "D04": "retry wrong parent",
    "D05": "nul block",
    "D06": "malformed middle line",
    "D07": "torn tail",
    "D08": "tail never flushed",
    "D09": "disk full",
    "D10": "two writers",
    "D11": "shared index race",
    "D12": "id not found",
    "D13": "wrong session resumed",
    "D14": "index stale",
    "D15": "project moved",
    "D16": "path spelling",
    "D17": "huge transcript",
    "D18": "retention delete",
    "D19": "window reload",
    "D20": "json rewrite truncated",
    "D21": "destroyed by opening",
    "D22": "reset on error",
    "D23": "schema upgrade",
    "D24": "pending question lost",
    "D25": "checkpoint restore damage",
    "D26": "new thread clobbers stream",
    "D27": "host process death",
    "D28": "subtask tree lost",
    "D29": "hook lease orphan",
    "V2": "no request is refused",
    "V3": "a prompt while compaction fails for ever",
    "V4": "a silent stream",
    "V5": "504 ten times",
    "V6": "kill -9 at any moment",
    "V7": "a damaged stored record",
    "V8": "damaged histories and refusals nobody has seen",
    "V9": "mutants of real transcripts",
    "V10": "a simulated world of faults",
    "V11": "disk full, read-only, two servers, suspended",
}
"""Classes of failures that users of AI coding tools report: poisoned histories (A), compaction (B),
transport and provider (C), persistence and the editor's life cycle (D); and the goals of survival
(V) that the agents of today are measured by."""

SECTIONS = {
    "A": "Poisoned history",
    "B": "Compaction",
    "C": "Transport and provider",
    "D": "Persistence, resume, editor life cycle",
    "V": "Goals of survival",
}

_INTRODUCTION = """\
# What it survives

Each row is a class of failure that ends sessions in practice, and a test of this suite that plays
it; the sentence is the test's name and says what happens instead. The rows are made from the tests
(`make survival`), so a class that no test plays is not in a table but in the list at the end. The
kill -9 campaign behind D27 and C10 can be played with as many points as one likes:
`make crashes POINTS=1000`.
"""

_COSTS = """\
### What it costs

Each damage below is brought into a session of the real server: in a transcript that is imported, or
while it is alive, by an answer, a tool, a prompt or the endpoint. Then two prompts are sent. Both
are answered, the model still knows the beginning, and the second costs nothing more. *Refused* is
how many requests for answers the API refused on the way: none where it can be known before.
*Kept* is where every word of the damaged history is afterwards. `tests/e2e/survived.py` holds the
numbers, `tests/e2e/test_poisoned_histories.py` asserts each.

| class | damage | way in | refused | kept | what was changed |
|---|---|---|---|---|---|
"""

_WEATHER = """\
### What each fault costs

Each fault below is put on the way between the real server and the API, over real sockets, with the
settings of somebody who has set nothing. A prompt meets it. *Seen* is how long until a person is
told something, *stopped* the slowest of the states in which a turn of another session was stopped,
*requests* how many were made until the turn was paused; while it is paused there are none, only
looks, which are free. Then the fault is cleared, once in each of three ways:
*paused* is how long after that an answer began to come when the turn was paused, and what the
person had been told the next look would be in; *short* the same for a fault that was over as soon
as it was seen; *retry now* the same with that button. A request that hangs is given its limit
(silence {cut:g} s, no first byte {first:g} s, signs of life without an answer {barren:g} s) even if
all is well again around it; the button is there for that. The proxy that cuts at T does so after
{pace:g} s, so that its fault begins then.

Seconds, measured on {made} by `make weather` ({versions}).
`tests/network/faults.py` holds the faults, `tests/e2e/test_measured.py` the bounds: seen within 10
s, stopped within {stop:g} ms, on the way again when it was announced and within one interval
between looks. `tests/e2e/test_weather.py` plays each row in the suite as well, with scaled limits.

| fault | shown | goes on | seen | stopped | requests | paused | short | retry now |
|---|---|---|---|---|---|---|---|---|
"""

_SUSPENDED = """\
### A machine that sleeps

The server does not run for five minutes (SIGSTOP, then SIGCONT), or a night of eight hours passes
in which its timers stand still, in each moment below; nobody presses anything afterwards. *On* is
how many seconds later something of the session was recorded, *done* when the turn or the compaction
was over, *requests* how many were made for it in all, *commands* how many ran. Measured by
`make suspended`; `tests/e2e/test_suspended.py` plays the night in the suite as well.

| moment | stopped | on | done | requests | commands |
|---|---|---|---|---|---|
"""

_GOES_ON = {
    "itself": "by itself",
    "asking": "by itself, by requests: no look can see it",
    "a new key": "with a new key, at once",
    "a person": "when a person says so",
    "a restart": "when the server is started with another environment, by itself",
    "no harm": "is never stopped",
    "elsewhere": "by itself, but no test can mend a name server",
}

_IN_NAME = re.compile(r"(?<![a-z0-9])([a-d]\d\d|v\d{1,2})(?![a-z0-9])", re.IGNORECASE)
_LEADING = re.compile(r"^(?:(?:[a-dprsv]\d{1,2}|to)_)+", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Played:
    """One test and one class that it plays."""

    code: str
    path: str
    name: str

    @property
    def sentence(self) -> str:
        """Return the test's name as a sentence."""
        words = _LEADING.sub("", self.name.removeprefix("test_")).replace("_", " ")
        return words[:1].upper() + words[1:] + "."


def played() -> list[Played]:
    """Return what all tests play. Raises `ValueError` for a class that there is not."""
    found: set[Played] = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = path.relative_to(TESTS.parent).as_posix()
                found.update(Played(code, place, node.name) for code in _codes(node))
    if unknown := {entry.code for entry in found} - set(CLASSES):
        raise ValueError(f"there are no classes {sorted(unknown)}")
    return sorted(found, key=lambda entry: (entry.code[0], int(entry.code[1:]), entry))


def _codes(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    if not test.name.startswith("test_"):
        return
    for code in _IN_NAME.findall(test.name.replace("_", " ")):
        yield code.upper()
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == MARKER:
            for argument in decorator.args:
                yield ast.literal_eval(argument)


def page() -> str:
    """Return the whole page."""
    entries = played()
    lines = [_INTRODUCTION]
    for letter, title in SECTIONS.items():
        lines += [f"## {title}", "", "| class | what happens | test |", "|---|---|---|"]
        lines += [
            f"| {entry.code} {CLASSES[entry.code]} | {entry.sentence} | `{entry.path}` |"
            for entry in entries
            if entry.code.startswith(letter)
        ]
        lines.append("")
        if letter == "A":
            lines += [_COSTS + "\n".join(_costs()), ""]
        if letter == "C":
            lines += [_weather_heading() + "\n".join(_weather()), ""]
            lines += [_SUSPENDED + "\n".join(_suspended()), ""]
    missing = [code for code in CLASSES if code not in {entry.code for entry in entries}]
    lines += ["## Not played by a test", ""]
    lines += [", ".join(f"{code} {CLASSES[code]}" for code in missing) + ".", ""]
    return "\n".join(lines)


def _costs() -> Iterator[str]:
    """Yield the rows of the table of costs, by class."""
    order = sorted(SURVIVED, key=lambda name: (name[0], int(name.split()[0][1:])))
    for name in order:
        code, _, damage = name.partition(" ")
        found = SURVIVED[name]
        way = "alive" if name in PLAYS else "imported"
        changed = "<br>".join(found.changed) or "nothing"
        yield f"| {code} | {damage} | {way} | {found.refused} | {found.kept} | {changed} |"


def _weather_heading() -> str:
    known, stream = measured.read(), StreamSettings()
    days = sorted({row.made for row in known.weather.values()})
    return _WEATHER.format(
        stop=STOP_S * 1000,
        pace=DEFAULTS.pace_s,
        cut=stream.idle_cut_s,
        first=stream.first_byte_s,
        barren=stream.progress_cut_s,
        made=" and ".join(dict.fromkeys((days[0], days[-1]))),
        versions=", ".join(f"{name} {version}" for name, version in known.versions.items()),
    )


def _weather() -> Iterator[str]:
    """Yield the rows of the table of faults on the way, in the stage's order."""
    rows = measured.read().weather
    for name, fault in FAULTS.items():
        promised, row = WEATHER[name], rows[name]
        shown = "the answer" if promised.cause is None else CAUSES[promised.cause].says
        cells = (
            f"{name}: {fault.says}",
            shown,
            _GOES_ON[promised.heals],
            _seconds(row.visible_s),
            _seconds(row.stop_s),
            str(row.requests),
            *(_cleared(found) for found in (row.paused, row.short, row.pressed)),
        )
        yield f"| {' | '.join(cells)} |"


def _suspended() -> Iterator[str]:
    """Yield the rows of the table of servers that did not run, in the order of the moments."""
    known = measured.read()
    for name, moment in MOMENTS.items():
        for how, rows in (("5 min", known.suspended), ("8 h", known.asleep)):
            if (row := rows.get(name)) is not None:
                cells = (
                    f"{name}: {moment.says}",
                    how,
                    _seconds(row.goes_on_s),
                    _seconds(row.ended_s),
                    str(row.requests),
                    str(row.commands),
                )
                yield f"| {' | '.join(cells)} |"


def _seconds(found: float | None) -> str:
    return "-" if found is None else f"{found:.1f}" if found >= 1 else f"{found:.2f}"


def _cleared(found: Cleared | None) -> str:
    if found is None:
        return "-"
    told = "" if found.due_s is None else f" (told: {_seconds(found.due_s)})"
    return f"{_seconds(found.goes_on_s)}{told}"


if __name__ == "__main__":
    sys.stdout.write(page())
