"""Repair: any history becomes one that the API accepts, and loses no words.

Law: `validate(repair(h).history) == ()` for every history whose blocks are JSON. Two things are no
history's fault and left to others: too much of it (R7, R19: compaction), and manual thinking in a
turn that was begun without (R68: the sender leaves it off). Repair is pure, deterministic and
idempotent; it returns the same object when there is nothing to do; it never removes a call from a
turn with signed thinking, never reorders assistant messages, and joins them only where an endpoint
takes no two of one role in a row.

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
from holdfast.conversation.rules import validate

ROUNDS_MAX: Final = 4
"""How often the passes are gone through. Two rounds do: one that mends, one that finds nothing."""
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
    if not open_ids and not validate(history, profile):
        return Repaired(history)
    context = Context(profile, outcomes, open_ids)
    log = Log()
    for _ in range(ROUNDS_MAX):
        before = history
        for mend in PASSES:
            history = mend(history, context, log)
        if history is before:
            break
    return Repaired(history, tuple(log.steps))
