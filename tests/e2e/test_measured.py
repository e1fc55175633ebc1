"""What `make weather` and `make suspended` have measured keeps what is promised (P3, P6, P7, P12).

The numbers are in `measured.json`, at the limits that people have; the page prints them. Here they
are held to their bounds, so that a campaign that went badly cannot be kept.
"""

from __future__ import annotations

import pytest

from e2e import measured
from e2e.suspended import MOMENTS
from e2e.weather import DEFAULTS, STOP_S
from e2e.weathered import WEATHER
from holdfast.settings import RetrySettings, StreamSettings

KNOWN = measured.read()
VISIBLE_S = 10.0
PROMPTLY_S = 2.0
"""What an answer takes until it begins, when nothing is in its way any more."""

STREAM, RETRY = StreamSettings(), RetrySettings()
HANGS_S = {
    "half-open": STREAM.idle_cut_s,
    "pings only": STREAM.progress_cut_s,
    "never answers": STREAM.first_byte_s,
    "black hole": 10.0,
}
"""A request that hangs gets its limit, even if all is well again around it."""

NIGHTS = [name for name, moment in MOMENTS.items() if not moment.others]
DOUBT_S = 22.0
"""How soon a sleep is noticed, and how long a request of before it may then be silent."""

TRIES_S = 30.0
"""What the waits between some tries are together."""


def test_every_fault_and_every_moment_was_measured() -> None:
    assert set(KNOWN.weather) == set(WEATHER)
    assert set(KNOWN.suspended) == set(MOMENTS)
    assert set(KNOWN.asleep) == set(NIGHTS)
    assert set(KNOWN.versions) == {"holdfast", "python", "anthropic", "system"}


@pytest.mark.parametrize("fault", WEATHER)
@pytest.mark.survives("C01", "C02", "C05", "C12", "V4")
def test_P7_at_the_default_limits_a_fault_is_seen_stopped_and_left_behind(fault: str) -> None:
    promised, row = WEATHER[fault], KNOWN.weather[fault]
    assert row.verdicts == ((promised.verdict,) if promised.verdict else ())
    if promised.verdict:
        begins_s = DEFAULTS.pace_s if fault == "cut at T" else 0.0
        assert row.visible_s is not None
        assert row.visible_s <= begins_s + VISIBLE_S
    if promised.heals in {"no harm", "elsewhere"}:
        assert row.paused is None
        return
    assert row.stop_s is not None
    assert row.stop_s <= STOP_S, "C12"
    assert row.asked_in_pause == 0, "a pause looks, it does not ask"
    assert row.paused is not None
    assert row.paused.goes_on_s <= (row.paused.due_s or 0.0) + PROMPTLY_S, "as it was announced"
    assert row.paused.goes_on_s <= RETRY.probe_max_s, "within one probe interval"
    if row.short is not None:
        limit_s = max(row.short.due_s or 0.0, HANGS_S.get(fault, 0.0))
        assert row.short.goes_on_s <= limit_s + PROMPTLY_S
    if row.pressed is not None:
        assert row.pressed.goes_on_s <= PROMPTLY_S, "a press is enough, whatever hangs"


@pytest.mark.parametrize("fault", WEATHER)
def test_P12_at_the_default_limits_no_fault_makes_a_storm_of_requests(fault: str) -> None:
    """Ten minutes of growing pauses are twenty requests."""
    assert KNOWN.weather[fault].requests <= 24


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.survives("C09", "V11")
def test_C09_a_server_that_did_not_run_for_five_minutes_goes_on_by_itself(moment: str) -> None:
    promised, row = MOMENTS[moment], KNOWN.suspended[moment]
    assert row.stopped_s >= 300
    check_woken(row, promised.requests, promised.commands)


@pytest.mark.parametrize("moment", NIGHTS)
def test_C09_a_machine_that_slept_for_a_night_goes_on_by_itself(moment: str) -> None:
    promised, row = MOMENTS[moment], KNOWN.asleep[moment]
    assert row.stopped_s >= 8 * 3_600
    check_woken(row, promised.requests, promised.commands)


def check_woken(row: measured.Stopped, requests: int, commands: int) -> None:
    """Once asked for, once run, and soon."""
    assert row.requests <= requests
    assert row.commands == commands, "P6"
    assert row.goes_on_s <= DOUBT_S + PROMPTLY_S
    assert row.ended_s <= DOUBT_S + TRIES_S
