"""`docs/doctor.md`: what the doctor looks at, what it can find, and how fast it has found it.

Law: the page is made of the code's own tables and of what `make doctors` has measured;
`test_doctor_page.py` compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from holdfast.network import answers, line, machine, past, path, streams, verdicts
from holdfast.network.reports import HEALTHY, TITLES
from network.doctor_campaign import MEASURED

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"

STEPS: Final = {
    verdicts.ROUTE: "whether this machine has a route to anywhere",
    path.NAMES: "the name of the endpoint, or of the proxy, by the system's own resolver",
    path.CONNECT: "every address of it, both families at once",
    path.PROXY: "the proxy of the environment, as requests use it: reachable, login, opens the way",
    path.TLS: "the certificate: signed by whom, for which name, valid by which clock",
    answers.ANSWER: "a free question with the key: the list of models",
    answers.UPLOAD: "128 KB to be counted, which is free: do large requests arrive and get through",
    streams.STREAM: "a streamed answer of forty tokens: held back, cut, silent",
    past.PAST: "what the session has met: answers that died at one age, the newest trouble",
    line.LINE: "ten connections: how long they take and how many get lost",
    answers.LIMITS: "how much of the rate limits is left, by the answers' headers",
    answers.CLOCK: "this machine's clock against the server's",
    machine.DISK: "the folder of sessions: writable, room, speed, whose disk",
    machine.STORE: "the store of sessions: readable, locked, who has sessions open",
    verdicts.COMPARE: "another address that you name, without any secret",
}

FIELDS: Final = {
    "verdict": "`healthy`, or the word of the deepest cause that explains the others",
    "says": "what is wrong, in words",
    "advice": "the next thing to try",
    "also": "words of causes that the verdict does not explain",
    "endpoint": "the address that was examined, without a login",
    "startedAt": "when it began, in milliseconds since 1970",
    "ms": "how long all of it took",
    "checks": "the steps: `name`, `state` (`good`, `warning`, `bad`, `skipped`), `says`, `advice`, "
    "`cause`, `ms`, and `facts`, whose members depend on the step",
    "versions": "of Holdfast, Python, the system, OpenSSL and the packages that matter here",
}

_INTRODUCTION: Final = """# The doctor

Is it me, my network or the API? The doctor goes the way to the endpoint step by step, all of them
at once where they do not need each other, and names the deepest cause it has seen. It takes a
second when nothing hangs and never more than {limit:g} s; it changes nothing, and it names no
cause that no step has seen.

```
holdfast doctor                        # the endpoint of ANTHROPIC_BASE_URL, or the API itself
holdfast doctor --compare URL          # another address too: is it the endpoint or the network?
holdfast doctor --free                 # without the streamed answer, which costs some forty tokens
holdfast doctor --long                 # two answers of up to 11 s: what ends them by the clock?
holdfast doctor --cloud bedrock        # or vertex, foundry: as the cloud's own variables say
holdfast doctor --bundle report.md     # also a bug report, without keys and texts of sessions
holdfast doctor --json                 # for scripts; fields below
```

It ends with 0 when nothing is wrong, 1 when something is. Marks and words say all that colours say:
a pipe, `NO_COLOR` and a terminal without such characters lose nothing. In an editor it is the
command `holdfast.doctor.run` (and *Diagnose* of every turn that waits), with progress that can be
cancelled. A session's own examination is of the endpoint that the session uses, knows what the
session has met, and is kept with the turn while that waits.

What goes out: the key goes to the endpoint only, and to a cloud nothing goes but its own client's
free look. A proxy gets the login that is set for it. Keys, logins and what a server repeats of them
are blotted out of everything that is shown, kept or written to a bug report.
"""


def page() -> str:
    """Return the whole page."""
    measured = json.loads(MEASURED.read_text("utf-8"))
    parts = (
        _INTRODUCTION.format(limit=measured["limitSeconds"]),
        *_steps(),
        "",
        *_verdicts(),
        "",
        *_fields(),
        "",
        *_measured(measured),
        "",
    )
    return "\n".join(parts)


def _steps() -> Iterator[str]:
    yield "## What it looks at\n"
    yield "| step | `name` | what |"
    yield "|---|---|---|"
    for name, what in STEPS.items():
        yield f"| {TITLES[name]} | `{name}` | {what} |"


def _verdicts() -> Iterator[str]:
    yield "## What it can find\n"
    yield "Every cause of [failures.md](failures.md) that can be seen from outside a turn, and:\n"
    yield "| verdict | what it says | what to do |"
    yield "|---|---|---|"
    for word in (HEALTHY, *(word for word in verdicts.OWN if word != HEALTHY)):
        yield f"| `{word}` | {verdicts.OWN[word].says} | {verdicts.OWN[word].advice} |"


def _fields() -> Iterator[str]:
    yield "## What `--json` prints\n"
    yield "One object, as `holdfast.doctor.run` returns it with a `report` for people besides:\n"
    yield "| member | what |"
    yield "|---|---|"
    for name, what in FIELDS.items():
        yield f"| `{name}` | {what} |"


def _measured(measured: dict[str, Any]) -> Iterator[str]:
    limit, rows = measured["limitSeconds"], measured["rows"]
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    yield "## How fast it finds it\n"
    yield (
        f"Planted over real sockets and examined at the default limit of {limit:g} s, ten at a "
        f"time (`make doctors`, {measured['date']}, {versions}, {measured['system']}).\n"
    )
    yield "| planted | verdict | seconds |"
    yield "|---|---|---:|"
    for row in rows:
        yield f"| {row['planted']} | `{row['verdict']}` | {row['seconds']:.1f} |"


if __name__ == "__main__":
    sys.stdout.write(page())
