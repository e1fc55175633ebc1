"""When the text of a compaction takes the place of its signed block.

Law: a signed block is only sent to who takes it. Where the next model takes none, or the endpoint
refuses this one, the text that was kept beside it is sent from then on, by a record (R91-R94).
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.session import events as ev
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.step import Step

_REFUSED: Final = re.compile(
    r"compaction_(?:block|content|signature|tool_changes)_\w+|[`'\"]compaction[`'\"]|"
    r"compact-2026-09-04"
)


def recast(step: Step) -> None:
    """Recast the compaction in force if the model that answers next takes no block."""
    found = step.state.in_force
    if found is None or found.block is None:
        return
    profile = step.env.limits.profile
    if "compaction" in profile.user_blocks and "compaction" in profile.assistant_blocks:
        return
    step.emit(ev.CompactionRecast(compaction_id=found.compaction_id, reason="model"))


def refused(step: Step, failure: Failure) -> bool:
    """Recast the compaction in force if it is what the API refused; say whether it was."""
    found = step.state.in_force
    if found is None or found.block is None or failure.kind is not FailureKind.INVALID_REQUEST:
        return False
    words = f"{failure.error_code or ''} {failure.message} {failure.raw}"
    if _REFUSED.search(words) is None:
        return False
    step.emit(
        ev.CompactionRecast(
            compaction_id=found.compaction_id, reason="refused", detail=failure.message
        )
    )
    return True
