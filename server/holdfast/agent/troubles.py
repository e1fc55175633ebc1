"""What a session's journal tells of the way to its endpoint: how old answers get, what ends them.

Law: pure. Only what somebody else ended counts: a stop by a person, a cut by our own watchdog and a
full window say nothing of the way. Another endpoint is another way, so a change forgets all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.network.past import Life, Past, outlived_by_none
from holdfast.session import events as ev
from holdfast.session.events.base import tag
from holdfast.session.failures import Failure, explain
from holdfast.session.lifetimes import ended_by_others

RECORDS_MAX: Final = 5_000
"""So many of the newest records are looked at: some hours of a busy session."""

_READ: Final = frozenset(
    tag(kind.__name__) for kind in (ev.RequestFailed, ev.ResponseFinished, ev.EndpointSelected)
)


def past_of(records: Sequence[Record], now_ms: int) -> Past:
    """Return what a session's newest records say. `now_ms` is of the wall clock."""
    lives: list[Life] = []
    failed: tuple[int, Failure] | None = None
    for recorded in (codec.decode(record) for record in records if record.type in _READ):
        match recorded.event:
            case ev.RequestFailed(failure=failure, age_ms=age_ms):
                failed = recorded.at_ms, failure
                if age_ms and ended_by_others(failure):
                    lives.append(Life(age_ms, killed=True))
            case ev.ResponseFinished(age_ms=age_ms) if age_ms:
                lives.append(Life(age_ms, killed=False))
            case ev.EndpointSelected():
                lives, failed = [], None
    died = outlived_by_none(lives)
    if failed is None:
        return Past(died)
    at_ms, failure = failed
    # Its own words stay where they are: they may say what was asked (P11).
    return Past(died, said=explain(failure).says, said_ms_ago=max(0, now_ms - at_ms))
