"""What the editor surface needs of the agent: the supervisor as its handlers see it.

Law: handlers know nothing of drivers, stores or models. `agent/supervisor.py` is the real one;
tests script their own. All methods raise `StoreError` and `AgentError` subclasses, `models` also
`ModelFailed`; `errors.py` says what each of them becomes on the wire.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    # Half of the agent, which loads after `initialize` (S1).
    from holdfast.agent.api import (
        Accepted,
        Batch,
        CompactionReports,
        CompactionText,
        ExportFormat,
        OpenedItems,
        ReadableMessage,
        RepairReport,
        SessionList,
        SessionView,
        ToolDiff,
    )
    from holdfast.agent.choices import Choices
    from holdfast.agent.doctor import Doctor
    from holdfast.agent.selection import Selection
    from holdfast.conversation.history import Block
    from holdfast.journal.store import SessionSummary
    from holdfast.model.credentials import Source
    from holdfast.session.items import Item
    from holdfast.tools.port import Editor, Mention

Answer: TypeAlias = Literal["allow", "allowAlways", "deny"]


class ItemLists(Protocol):
    """Sessions as a person sees them."""

    async def open(self, session_id: str, *, since_seq: int | None, limit: int) -> OpenedItems:
        """Return what changed after `since_seq`, or the newest `limit` items, and their fold."""
        ...

    async def page(
        self, session_id: str, *, limit: int, before: str | None
    ) -> tuple[list[Item], bool]:
        """Return the newest `limit` items, or those before one, and whether there are more."""
        ...

    async def output(self, session_id: str, tool_use_id: str) -> str:
        """Return the whole output of a tool call."""
        ...


class Supervisor(Protocol):
    """All sessions of this process. They belong to it, never to a connection (P9)."""

    @property
    def items(self) -> ItemLists:
        """Sessions as a person sees them."""
        ...

    @property
    def doctor(self) -> Doctor:
        """What finds out why a turn waits."""
        ...

    async def create(
        self, *, workspace_uri: str | None, title: str | None, model: str | None
    ) -> str:
        """Create an empty session and return its id."""
        ...

    async def summaries(self) -> list[SessionSummary]:
        """Return all sessions, newest first."""
        ...

    async def entries(self, after: int | None = None) -> SessionList:
        """Return the list of sessions; with `after`, once a line of that version has changed."""
        ...

    async def use_credentials(
        self, api_key: str | None, auth_token: str | None, endpoint: str | None = None
    ) -> Source:
        """Authenticate with these from now on; with neither, as the environment says."""
        ...

    async def view(self, session_id: str) -> SessionView:
        """Return a session as it is now, opening it if need be."""
        ...

    async def messages(
        self, session_id: str, *, limit: int | None, before: str | None
    ) -> list[ReadableMessage]:
        """Return the newest `limit` messages before the one of the record `before`."""
        ...

    async def send(
        self,
        session_id: str,
        content: Sequence[Block],
        prompt_id: str | None,
        mentions: Sequence[Mention] = (),
    ) -> Accepted:
        """Accept a prompt; it is durable when this returns. The same id twice is one prompt."""
        ...

    async def stop(self, session_id: str) -> str:
        """Stop the turn and return the phase."""
        ...

    async def resume(self, session_id: str) -> str:
        """Let a paused, waiting or held session go on now; return the phase."""
        ...

    async def retry(self, session_id: str) -> str:
        """Try a failed request again now; return the phase."""
        ...

    async def compact(self, session_id: str, instructions: str) -> str:
        """Begin a compaction and return its id at once."""
        ...

    async def cancel_compaction(self, session_id: str) -> None:
        """Cancel the compaction under way."""
        ...

    async def undo_compaction(self, session_id: str) -> str | None:
        """Take the newest compaction back and return its id; None when there is none."""
        ...

    async def redo_compaction(self, session_id: str) -> str | None:
        """Put back what was taken back last and return its id; None when there is none."""
        ...

    async def compactions(self, session_id: str) -> CompactionReports:
        """Return what became of each compaction."""
        ...

    async def compaction_text(
        self, session_id: str, compaction_id: str, part: Literal["covered", "summary"]
    ) -> CompactionText:
        """Return what a compaction covers, or what stands for it."""
        ...

    async def repair(self, session_id: str, *, dry_run: bool) -> RepairReport:
        """Check the history and mend it."""
        ...

    async def undo_repair(self, session_id: str, repair_id: str) -> None:
        """Take a repair back."""
        ...

    async def rename(self, session_id: str, title: str) -> None:
        """Give a session a title."""
        ...

    async def archive(self, session_id: str, archived: bool) -> None:
        """Hide a session from lists, or bring it back."""
        ...

    async def delete(self, session_id: str) -> None:
        """Delete a session with all it holds."""
        ...

    async def select_model(
        self, session_id: str, model: str | None, endpoint: str | None = None
    ) -> None:
        """Send later requests to a model, at an endpoint."""
        ...

    async def fork(
        self, session_id: str, *, title: str | None, before_prompt_id: str | None
    ) -> str:
        """Create a session with this one's history and return its id."""
        ...

    async def rewind(self, session_id: str, prompt_id: str) -> None:
        """Hide a prompt and everything after it."""
        ...

    async def export(self, session_id: str, format: ExportFormat) -> str:  # noqa: A002
        """Return a session as text."""
        ...

    async def import_transcript(
        self, path: Path, *, title: str | None, workspace_uri: str | None
    ) -> str:
        """Create a session whose past is a foreign transcript."""
        ...

    async def tool_diff(self, session_id: str, tool_use_id: str) -> ToolDiff:
        """Return what a call makes, or made, of its one file."""
        ...

    async def answer(self, question_id: str, answer: Answer) -> None:
        """Answer a permission question."""
        ...

    def follow(self, session_id: str, since_seq: int) -> AsyncIterator[Batch]:
        """Yield what comes after `since_seq`, made only when it is pulled, without gap or repeat.

        Ends when the session is closed here; raises what `view` raises.
        """
        ...

    @property
    def choices(self) -> Choices:
        """What a person can choose from for a session."""
        ...

    @property
    def selection(self) -> Selection:
        """The endpoints and models there are."""
        ...

    async def recover(self, workspace_uris: Sequence[str]) -> list[str]:
        """Continue the sessions of these folders whose server died; return their ids."""
        ...

    def use_editor(self, connection_id: str, editor: Editor | None) -> None:
        """Edit open files through this connection; None when it has gone."""
        ...

    def preload(self) -> None:
        """Begin to load what the first turn needs, beside the event loop."""
        ...

    async def close(self) -> None:
        """Give all sessions back and close what is open."""
        ...
