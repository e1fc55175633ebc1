"""Keeping a session's history such that the API takes it.

Law: whatever broke it - a crash, an import, a compaction that a person undid - is mended by a
record, once, before anything is built on it: a request (P2), or a compaction, whose cut is only
legal in a history that is.
"""

from __future__ import annotations

from holdfast.session import preflight, view
from holdfast.session.step import Step


def ensure(step: Step, *, sending: bool = False) -> None:
    """Repair the history if a rule is broken; the repair is a record, made once (design §4).

    What is checked is the view. When the whole history is in order and the view still is not - a
    repair gave a result to a call that a compaction hides - the view itself is mended. `sending`
    says that the history is sent as it is, without a prompt behind it. Not for a history with calls
    under way: their results will follow.
    """
    state = step.state
    profile = step.env.limits.profile
    for part in (lambda: state.messages, lambda: view.messages(state)):
        if not preflight.check(view.messages(state), profile, sending=sending):
            return
        event, _ = preflight.mend(part(), f"r_{state.seq + 1}", profile, sending=sending)
        if event is not None:
            step.emit(event)
