"""Words for editors without a view of their own: why a turn is paused, and what helps.

Law: one pause is told once on each connection that cares about its session; trying again and
failing the same way is no news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from holdfast.agent.api import Batch, SessionView, Status
    from holdfast.lsp.bars import Link


class Notices:
    """The pauses that one connection was told of. `wanted`: the client shows no statuses."""

    def __init__(self, link: Link) -> None:
        self.wanted = True
        self._link = link
        self._told: dict[str, tuple[str | None, str | None]] = {}

    def session_seen(self, view: SessionView) -> None:
        """See `followers.Audience`."""
        self._status(view.title, view.status)

    def batch_seen(self, session_id: str, batch: Batch) -> None:
        """See `followers.Audience`."""
        del session_id
        if batch.status is not None:
            self._status("", batch.status)

    def session_ended(self, session_id: str) -> None:
        """See `followers.Audience`."""
        self._told.pop(session_id, None)

    def _status(self, title: str, status: Status) -> None:
        match status.phase:
            case "paused" if status.read_only is None:
                why = (status.reason, status.cause)
                if not self.wanted or self._told.get(status.session_id) == why:
                    return
                self._told[status.session_id] = why
                what = f"“{title}” is paused." if title else "The turn is paused."
                words = [what, status.message, status.advice]
                self._link.notify(
                    types.WINDOW_SHOW_MESSAGE,
                    types.ShowMessageParams(
                        type=types.MessageType.Warning,
                        message=" ".join(word for word in words if word),
                    ),
                )
            case "streaming" | "idle" | "runningTools" | "asking":
                self._told.pop(status.session_id, None)
            case _:
                pass
