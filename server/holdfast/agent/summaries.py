"""What an append changes about the line that a list of sessions shows.

Law: a pure function of the records; the change is written in the same transaction as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.journal.store import SummaryChange
from holdfast.session import inputs as inp
from holdfast.session.events import (
    EndpointSelected,
    ModelSelected,
    SessionArchived,
    SessionCreated,
    SessionRenamed,
)
from holdfast.session.state import Phase


def summary_change(
    records: Sequence[inp.Recorded], phase: Phase, phase_written: str
) -> SummaryChange | None:
    """Return what `records` change; None when nothing. `phase` is the one after them."""
    title = model = archived = None
    for record in records:
        match record.event:
            case SessionCreated(title=named) | SessionRenamed(title=named):
                title = named
            case ModelSelected(model=selected) | EndpointSelected(model=selected):
                model = selected
            case SessionArchived(archived=flag):
                archived = flag
            case _:
                pass
    changed = phase.value if phase.value != phase_written else None
    if title is None and model is None and changed is None and archived is None:
        return None
    return SummaryChange(title=title, model=model, phase=changed, archived=archived)
