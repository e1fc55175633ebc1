"""What an examination finds: checks, and the diagnosis that is drawn from them.

Law: a report holds no secret and nothing that was said in a session (P11); it is plain data, the
same for the command line, editors and bug reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

HEALTHY: Final = "healthy"
"""The verdict when no step has found anything wrong."""


NOT_REACHED: Final = "An earlier step has failed."
"""What is said of a step that was left out because of another one."""

TITLES: Final[Mapping[str, str]] = {
    "route": "Network",
    "names": "Name",
    "connect": "Connection",
    "proxy": "Proxy",
    "tls": "Encryption",
    "answer": "Answer",
    "upload": "Upload",
    "stream": "Stream",
    "past": "Before",
    "line": "Line",
    "limits": "Limits",
    "clock": "Clock",
    "disk": "Disk",
    "store": "Store",
    "compare": "Comparison",
}
"""What the checks are called before people."""


class State(StrEnum):
    """How a step ended."""

    GOOD = "good"
    WARNING = "warning"  # it works, and something is worth knowing
    BAD = "bad"  # this keeps turns from going on
    SKIPPED = "skipped"  # nothing to look at, or an earlier step has failed


@attrs.frozen(kw_only=True)
class Check:
    """One step. `says` is what was seen, `advice` the next thing to try; `ms` how long it took.

    `cause` is empty, or the word under which a verdict explains what was seen: a
    `session.causes.Cause`, or one of `verdicts.OWN`. `facts` are for machines and curious people.
    """

    name: str
    state: State
    says: str
    advice: str = ""
    cause: str = ""
    ms: int = 0
    facts: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def reached(self) -> bool:
        """Whether there is anything to tell: people need no line for what was left out."""
        return self.state is not State.SKIPPED or self.says != NOT_REACHED

    @property
    def title(self) -> str:
        """What the check is called before people."""
        return TITLES.get(self.name, self.name)


@attrs.frozen(kw_only=True)
class Diagnosis:
    """What is wrong, in one word and in words for people, and all that was looked at.

    `also` are causes beside the verdict which it does not explain. `started_ms` is wall-clock time,
    `ms` how long everything took. `endpoint` is the address without secrets. `says` begins with
    `headline`, which is the verdict alone.
    """

    verdict: str
    says: str
    advice: str
    endpoint: str
    checks: tuple[Check, ...]
    also: tuple[str, ...] = ()
    started_ms: int = 0
    ms: int = 0
    versions: Mapping[str, str] = attrs.field(factory=dict)
    headline: str = ""

    @property
    def title(self) -> str:
        """The verdict alone, in words."""
        return self.headline or self.says

    @property
    def seen(self) -> str:
        """What was seen that tells so, in words; may be empty."""
        return self.says.removeprefix(self.title).strip()

    @property
    def healthy(self) -> bool:
        """Whether nothing that was looked at keeps a turn from going on."""
        return self.verdict == HEALTHY

    def check(self, name: str) -> Check | None:
        """Return the check of that name."""
        return next((check for check in self.checks if check.name == name), None)


def plain(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as it is on the wire and in `--json`."""
    return {
        "verdict": diagnosis.verdict,
        "says": diagnosis.says,
        "advice": diagnosis.advice,
        "also": list(diagnosis.also),
        "endpoint": diagnosis.endpoint,
        "startedAt": diagnosis.started_ms,
        "ms": diagnosis.ms,
        "checks": [
            {
                "name": check.name,
                "state": check.state.value,
                "says": check.says,
                "advice": check.advice,
                "cause": check.cause,
                "ms": check.ms,
                "facts": dict(check.facts),
            }
            for check in diagnosis.checks
        ],
        "versions": dict(diagnosis.versions),
    }
