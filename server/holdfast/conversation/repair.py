"""Repair: any history becomes one that the API accepts, and loses no words.

Law: `validate(repair(h).history) == ()` for every history whose blocks are JSON (only the number
of messages, R19, is left to compaction). Repair is pure, deterministic and idempotent; it returns
the same object when there is nothing to do; it never removes a call from a turn with signed
thinking and never merges or reorders assistant messages.

What stays the same while a history grows: if `h` ends with a message of the user that says
something, and what is appended starts with the assistant and answers no earlier call, then
`repair(h)` is a prefix of `repair(h + more)`, cache marks aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import History
from holdfast.conversation.outcomes import Outcome
from holdfast.conversation.passes import PASSES, Context, Log
from holdfast.conversation.profile import DEFAULT, Profile

NO_OUTCOMES: Final[Mapping[str, Outcome]] = MappingProxyType({})

__all__ = ["NO_OUTCOMES", "Outcome", "Repaired", "repair"]


@attrs.frozen
class Repaired:
    """A history that the API accepts, and what was done to get there (empty: nothing)."""

    history: History
    steps: tuple[RepairStep, ...] = ()


def repair(
    history: History,
    outcomes: Mapping[str, Outcome] = NO_OUTCOMES,
    profile: Profile = DEFAULT,
    *,
    open_ids: frozenset[str] = frozenset(),
) -> Repaired:
    """Return the history with every broken rule mended.

    `outcomes` says how far calls without a result came, by their id as it stands in `history`;
    what it does not name is unknown. `open_ids` are calls that are still running: they get no
    result, and a history that ends waiting for them gets no last word.
    """
    context = Context(profile, outcomes, open_ids)
    log = Log()
    for mend in PASSES:
        history = mend(history, context, log)
    return Repaired(history, tuple(log.steps))
