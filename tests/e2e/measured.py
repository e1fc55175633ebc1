"""What faults cost at the limits that people have: the numbers that `make weather` has measured.

Law: numbers come from a campaign, never from a hand. They are read here, bounded by
`test_measured.py` and printed by `survival.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = Path(__file__).with_name("measured.json")


class Cleared(msgspec.Struct, frozen=True):
    """A fault that was over: in how many seconds the next look or try was announced at that
    moment (None: there was none), and after how many an answer began to come.
    """

    due_s: float | None
    goes_on_s: float


class Row(msgspec.Struct, frozen=True):
    """One fault. Times in seconds; None for what did not happen.

    `stop_s` is the slowest of the states in which a stop was measured. The fault was cleared while
    the turn was `paused`; as soon as it was seen (`short`); and then with "Retry now" (`pressed`).
    """

    made: str
    verdicts: tuple[str, ...]
    visible_s: float | None
    stop_s: float | None
    paused_s: float | None
    requests: int
    asked_in_pause: int
    paused: Cleared | None = None
    short: Cleared | None = None
    pressed: Cleared | None = None


class Stopped(msgspec.Struct, frozen=True):
    """A server that did not run for `stopped_s`, in one moment of a turn, and went on.

    Of a machine that slept it is what the wall clock says.

    `goes_on_s` is how long after that something of the turn was recorded, `ended_s` how long until
    it was through; `requests` were made in all, and `tools` ran.
    """

    made: str
    stopped_s: float
    goes_on_s: float
    ended_s: float
    requests: int
    commands: int


class Measured(msgspec.Struct):
    """All that was measured, and with what."""

    versions: dict[str, str] = {}
    weather: dict[str, Row] = {}
    suspended: dict[str, Stopped] = {}
    asleep: dict[str, Stopped] = {}


def read() -> Measured:
    """Return what is known; nothing before the first campaign."""
    if not FILE.exists():
        return Measured()
    return msgspec.json.decode(FILE.read_bytes(), type=Measured)


def keep_weather(fault: str, row: Row) -> None:
    """Put one row in the place of the one that there was."""
    known = read()
    known.weather[fault] = row
    _write(known)


def keep_stopped(moment: str, row: Stopped, *, asleep: bool) -> None:
    """Put one row in the place of the one that there was."""
    known = read()
    (known.asleep if asleep else known.suspended)[moment] = row
    _write(known)


def keep_versions(versions: Mapping[str, str]) -> None:
    """Say what was measured with."""
    known = read()
    known.versions = dict(versions)
    _write(known)


def _write(known: Measured) -> None:
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(known, order="sorted")) + b"\n")
