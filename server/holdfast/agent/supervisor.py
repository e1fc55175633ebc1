"""All sessions of this process: opened on demand, owned by drivers, never by a connection.

Law: what editors and scripts can ask of sessions is here, once, and nowhere else. Each method
returns when its effect is durable. A session that another server owns can be read and followed
here, not changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from holdfast.agent import (
    approvals,
    compaction_reports,
    diffs,
    exports,
    intake,
    overview,
    reading,
    repairs,
)
from holdfast.agent.api import (
    Accepted,
    Batch,
    CompactionReports,
    CompactionText,
    ExportFormat,
    ReadableMessage,
    RepairReport,
    SessionList,
    SessionView,
    ToolDiff,
)
from holdfast.agent.choices import Choices
from holdfast.agent.doctor import Doctor, SubjectOf
from holdfast.agent.driver import Driver
from holdfast.agent.errors import NothingToCompact, NotWhileBusy, UnknownPrompt, UnknownQuestion
from holdfast.agent.item_lists import ItemLists
from holdfast.agent.limits import limits_of
from holdfast.agent.prompts import system_prompt
from holdfast.agent.registry import Registry
from holdfast.agent.selection import Selection
from holdfast.agent.services import Services
from holdfast.conversation import tokens
from holdfast.conversation.history import Block, text
from holdfast.journal import codec
from holdfast.journal.store import (
    SessionOwnedElsewhere,
    SessionSummary,
    StoreError,
)
from holdfast.model.credentials import Source
from holdfast.session import compaction as plans
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import budget
from holdfast.session.fold import apply
from holdfast.session.state import Phase, SessionState
from holdfast.tools.mentions import read as read_mentions
from holdfast.tools.port import Editor, Mention

FOREIGN_POLL_S: Final = 1.0
_log: Final = logging.getLogger(__name__)


class Supervisor:
    """Owns the drivers of all sessions that are open in this process."""

    def __init__(
        self,
        services: Services,
        *,
        owner: str,
        preload: Callable[[], None],
        subject_of: SubjectOf | None = None,
    ) -> None:
        """`subject_of` says what the doctor examines."""
        self._services = services
        self._preload = preload
        self._sessions = Registry(services, owner)
        self.selection: Final = Selection(services, self._sessions)
        self.choices: Final = Choices(services, self._sessions, self.selection)
        self.items: Final = ItemLists(services.store, self._sessions.reach)
        self.doctor: Final = Doctor.of(services, self._sessions, subject_of)

    # -- sessions --------------------------------------------------------------------------------

    async def create(
        self, *, workspace_uri: str | None, title: str | None, model: str | None
    ) -> str:
        """Create an empty session and return its id."""
        created = ev.SessionCreated(
            title=title or intake.UNTITLED,
            system=system_prompt(workspace_uri),
            workspace_uri=workspace_uri,
            model=model,
        )
        return await self._sessions.create((created, *self.selection.beginning(model)))

    async def summaries(self) -> list[SessionSummary]:
        """Return all sessions, newest first."""
        return await self._services.store.summaries()

    async def entries(self, after: int | None = None) -> SessionList:
        """Return all sessions with what those do that are open here, newest first.

        With `after` it first waits until a line has changed since the list of that version.
        Changes by other servers are found whenever the list is read.
        """
        board = self._services.overview
        if after is not None:
            await board.after(after)
        version = board.version
        open_here = {d.session_id: d.feed.status for d in self._sessions.open_drivers()}
        summaries = await self.summaries()
        lines = (overview.entry_of(s, open_here.get(s.session_id)) for s in summaries)
        return SessionList(tuple(lines), version)

    async def view(self, session_id: str) -> SessionView:
        """Return a session for people. Also of one that another server owns."""
        driver = await self._sessions.reach(session_id)
        if isinstance(driver, Driver):
            durable = driver.is_durable
            state = driver.state if durable else await self._sessions.read(session_id)
            limits = limits_of(self._services, state, driver.capabilities)
            context = (
                driver.context_tokens(limits) if durable else budget.context_tokens(state, limits)
            )
            return reading.view_of(
                session_id, state, driver.status(), self._services.settings, context, limits
            )
        state = await self._sessions.read(session_id)
        status = reading.status_of(session_id, state, read_only=driver)
        context = tokens.estimate(view.messages(state))
        return reading.view_of(session_id, state, status, self._services.settings, context)

    async def messages(
        self, session_id: str, *, limit: int | None, before: str | None
    ) -> list[ReadableMessage]:
        """Return the newest `limit` messages, those before the record `before` when given."""
        state = await self._sessions.state_of(session_id)
        found = reading.readable(state)
        if before is not None:
            end = next((i for i, m in enumerate(found) if m.origin == before), len(found))
            found = found[:end]
        return found if limit is None else found[-limit:] if limit > 0 else []

    async def rename(self, session_id: str, title: str) -> None:
        """Give a session a title."""
        await self._note(session_id, ev.SessionRenamed(title=intake.title(title)))

    async def archive(self, session_id: str, archived: bool) -> None:
        """Hide a session from lists, or bring it back."""
        await self._note(session_id, ev.SessionArchived(archived=archived))

    async def select_model(
        self, session_id: str, model: str | None, endpoint: str | None = None
    ) -> None:
        """Send the session's later requests to a model, at an endpoint; see `Selection`."""
        await self.selection.select(session_id, model, endpoint)

    async def delete(self, session_id: str) -> None:
        """Delete a session for good."""
        await self._sessions.delete(session_id)
        self.items.forget(session_id)

    async def fork(
        self, session_id: str, *, title: str | None, before_prompt_id: str | None
    ) -> str:
        """Create a session with this one's history, up to before a prompt when one is named."""
        state = await self._sessions.state_of(session_id)
        messages = list(state.messages)
        if before_prompt_id is not None:
            origin = state.prompt_origins.get(before_prompt_id)
            if origin is None:
                raise UnknownPrompt(f"The session has no prompt {before_prompt_id!r}.")
            end = next((i for i, m in enumerate(messages) if m.origin == origin), len(messages))
            messages = messages[:end]
        created = ev.SessionCreated(
            title=intake.title(title or f"{state.title} (fork)"),
            system=state.system or system_prompt(state.workspace_uri),
            workspace_uri=state.workspace_uri,
            model=state.model,
            parent_id=session_id,
        )
        imported = ev.HistoryImported(source=session_id, format="holdfast")
        todos = (ev.TodosUpdated(todos=state.todos),) if state.todos else ()
        there = self.selection.beginning(state.model, state.endpoint)
        return await self._sessions.create(
            (created, *there, imported, *intake.message_events(messages), *todos)
        )

    async def rewind(self, session_id: str, prompt_id: str) -> None:
        """Hide a prompt and everything after it. The session must not be busy."""
        driver = await self._sessions.at_rest(session_id)
        if prompt_id not in driver.state.prompt_origins:
            raise UnknownPrompt(f"The session has no prompt {prompt_id!r}.")
        if driver.state.turn is not None:
            await driver.ask(inp.Stop())
        rewound = ev.HistoryRewound(prompt_id=prompt_id)
        await driver.ask(inp.Note((rewound,), at_rest="idle"))
        if prompt_id in (await self._sessions.state_of(session_id)).visible_prompts():
            raise NotWhileBusy("A turn began meanwhile.")

    async def export(self, session_id: str, format: ExportFormat) -> str:  # noqa: A002
        """Return a session as text in one of the export formats."""
        records = await self._services.store.read(session_id)
        state = await self._sessions.state_of(session_id)
        return exports.export(session_id, records, state, format)

    async def import_transcript(
        self, path: Path, *, title: str | None, workspace_uri: str | None
    ) -> str:
        """Create a session whose past is a foreign transcript; the file is only read (P8).

        Its model is taken over when the endpoint says that it has it.
        """
        events = await asyncio.to_thread(intake.transcript_events, path, title, workspace_uri)
        model = intake.model_of(events)
        there = self._services.settings.begins_at
        if model is not None and not await self._services.offers(model, there):
            events = intake.without_model(events)
        begun = self.selection.beginning(intake.model_of(events))
        return await self._sessions.create((events[0], *begun, *events[1:]))

    # -- turns -----------------------------------------------------------------------------------

    async def send(
        self,
        session_id: str,
        content: Sequence[Block],
        prompt_id: str | None,
        mentions: Sequence[Mention] = (),
    ) -> Accepted:
        """Accept a prompt; it is durable when this returns. The same id twice is one prompt.

        Files that it mentions are read now and become part of it.
        """
        blocks = intake.prompt(content)
        driver = await self._sessions.owned(session_id)
        world = self._services.world
        prompt_id = prompt_id or world.new_id("p")
        if driver.is_durable and prompt_id in driver.state.prompts:
            mentions = ()  # The journal has it with its files: they are not read again.
        context = approvals.context_of(self._services, driver.state)
        read = await read_mentions(mentions, context)
        attached = (*await intake.attachments(blocks), *read.media)
        files = map(text, read.texts)
        paths = tuple(mention.path for mention in mentions)
        # Asked also when it is known: what is known may not be durable yet (P1).
        await driver.ask(inp.Submit(prompt_id, world.new_id("t"), (*attached, *files), paths))
        state = driver.state
        if state.title == intake.UNTITLED:
            await driver.ask(inp.Note((ev.SessionRenamed(title=intake.title_from(blocks)),)))
        queued = any(p.prompt_id == prompt_id for p in state.queue)
        return Accepted(state.prompts[prompt_id], prompt_id, driver.feed.head, queued)

    async def stop(self, session_id: str) -> str:
        """Stop the turn. Queued prompts are held until the next prompt or resume."""
        return await self._tell(session_id, inp.Stop())

    async def resume(self, session_id: str) -> str:
        """Let a paused, waiting or held session go on now."""
        return await self._tell(session_id, inp.Resume())

    async def retry(self, session_id: str) -> str:
        """Try again now, without waiting for the timer, the next look, or a silent answer."""
        driver = await self._sessions.owned(session_id)
        await driver.retry()
        return driver.state.phase.value

    async def answer(
        self, question_id: str, answer: Literal["allow", "allowAlways", "deny"]
    ) -> None:
        """Answer a permission question. The same answer twice is harmless."""
        session_id, _, rest = question_id.partition(":")
        if not rest:
            raise UnknownQuestion(f"There is no question {question_id!r}.")
        driver = await self._sessions.settled(session_id)
        if question_id not in driver.state.questions:
            if driver.state.answered.get(question_id) == answer:
                return
            raise UnknownQuestion(f"Question {question_id!r} is not open (any more).")
        await driver.ask(inp.Answered(question_id, answer))
        if driver.state.answered.get(question_id) != answer:  # another answer came first
            raise UnknownQuestion(f"Question {question_id!r} was answered otherwise meanwhile.")

    async def tool_diff(self, session_id: str, tool_use_id: str) -> ToolDiff:
        """Return what a call makes, or made, of its one file. Raises `UnknownToolCall`."""
        state = await self._sessions.state_of(session_id)
        context = approvals.context_of(self._services, state)
        return await diffs.diff(self._services, context, session_id, tool_use_id)

    # -- compaction and repair -------------------------------------------------------------------

    async def compact(self, session_id: str, instructions: str) -> str:
        """Begin a compaction beside the session and return its id at once."""
        driver = await self._sessions.settled(session_id)
        before = driver.state.in_force
        if driver.state.compaction is None:
            limits = limits_of(self._services, driver.state, driver.capabilities)
            if plans.plan(driver.state, budget.keep_tokens(driver.state, limits)) is None:
                raise NothingToCompact("There is nothing to compact yet.")
            await driver.ask(inp.CompactAsked(instructions))
        state = await self._sessions.state_of(session_id)
        if state.compaction is not None:
            return state.compaction.started.compaction_id
        done = state.in_force
        if done is None or (before is not None and done.compaction_id == before.compaction_id):
            raise NothingToCompact("There is nothing to compact yet.")
        return done.compaction_id

    async def cancel_compaction(self, session_id: str) -> None:
        """Cancel the compaction under way; nothing starts by itself until a person acts."""
        driver = await self._sessions.owned(session_id)
        await driver.ask(inp.CancelCompaction())

    async def undo_compaction(self, session_id: str) -> str | None:
        """Take the newest compaction back; None when there is none."""
        driver = await self._sessions.settled(session_id)
        found = driver.state.in_force
        if found is None:
            return None
        await driver.ask(inp.Note((ev.CompactionUndone(compaction_id=found.compaction_id),)))
        return found.compaction_id

    async def redo_compaction(self, session_id: str) -> str | None:
        """Put back the compaction that was taken back last; None when there is none."""
        driver = await self._sessions.settled(session_id)
        if not driver.state.undone:
            return None
        compaction_id = driver.state.undone[-1].compaction.compaction_id
        await driver.ask(inp.Note((ev.CompactionRedone(compaction_id=compaction_id),)))
        return compaction_id

    async def compactions(self, session_id: str) -> CompactionReports:
        """Return what became of each compaction of a session."""
        state = await self._sessions.state_of(session_id)
        stories = await compaction_reports.of_session(self._services.store, session_id)
        return compaction_reports.reports(stories, state)

    async def compaction_text(
        self, session_id: str, compaction_id: str, part: Literal["covered", "summary"]
    ) -> CompactionText:
        """Return what a compaction covers, or what stands for it. Raises `UnknownCompaction`."""
        stories = await compaction_reports.of_session(self._services.store, session_id)
        state = await self._sessions.read(session_id)  # one of its own, for the thread
        return await asyncio.to_thread(compaction_reports.text, stories, state, compaction_id, part)

    async def repair(self, session_id: str, *, dry_run: bool) -> RepairReport:
        """Check the whole history and mend it, once, by a record that can be undone."""
        return await repairs.repair(self._sessions, self._services, session_id, dry_run=dry_run)

    async def undo_repair(self, session_id: str, repair_id: str) -> None:
        """Take a repair back."""
        await repairs.undo(self._sessions, session_id, repair_id)

    # -- followers, models, life -----------------------------------------------------------------

    async def follow(self, session_id: str, since_seq: int) -> AsyncIterator[Batch]:
        """Yield events after `since_seq` and statuses, pulled by the reader, without a gap."""
        driver = await self._sessions.reach(session_id)
        if isinstance(driver, Driver):
            async for batch in driver.feed.follow(since_seq):
                yield batch
            return
        seq, last = since_seq, None
        state = SessionState()
        while True:
            records = await self._services.store.read(session_id, min(seq, state.seq))
            decoded = [codec.decode(record) for record in records]
            for recorded in decoded:
                if recorded.seq > state.seq:
                    apply(state, recorded.event, recorded.seq, recorded.at_ms)
            events = tuple(recorded for recorded in decoded if recorded.seq > seq)
            seq = events[-1].seq if events else seq
            status = reading.status_of(session_id, state, read_only=driver)
            if events or status != last:
                yield Batch(events, status if status != last else None)
                last = status
            await self._services.world.sleep(FOREIGN_POLL_S)

    async def use_credentials(
        self, api_key: str | None, auth_token: str | None, endpoint: str | None = None
    ) -> Source:
        """Authenticate with these from the next attempt on; with neither, as the environment says.

        Turns that wait for credentials go on at once. Says where the credentials now come from.
        """
        return self.selection.use_credentials(api_key, auth_token, endpoint)

    async def recover(self, workspace_uris: Sequence[str]) -> list[str]:
        """Open the sessions of these folders whose server died in the middle of a turn."""
        recovered = []
        for summary in await self.summaries():
            at_work = summary.phase != Phase.IDLE.value and not summary.archived
            here = summary.workspace_uri is None or summary.workspace_uri in workspace_uris
            if at_work and here and not self._sessions.is_open(summary.session_id):
                try:
                    await self._sessions.owned(summary.session_id)
                except SessionOwnedElsewhere:
                    continue  # It lives in another server.
                except StoreError:
                    _log.exception("session %s could not be recovered", summary.session_id)
                    continue
                recovered.append(summary.session_id)
        return recovered

    def use_editor(self, connection_id: str, editor: Editor | None) -> None:
        """Edit open files through this connection from now on; None when it has gone."""
        self._services.editors.pop(connection_id, None)
        if editor is not None:
            self._services.editors[connection_id] = editor

    def preload(self) -> None:
        """Begin to load what the first turn needs, beside the event loop."""
        self._preload()

    async def close(self) -> None:
        """Give all sessions back and close the store and the model's connections."""
        await self._sessions.close()
        await self._services.close_models()
        await self._services.store.close()

    # -- reaching a session ----------------------------------------------------------------------

    async def _tell(self, session_id: str, given: inp.Input) -> str:
        driver = await self._sessions.owned(session_id)
        await driver.ask(given)
        return driver.state.phase.value

    async def _note(self, session_id: str, event: ev.AnyEvent) -> Driver:
        driver = await self._sessions.owned(session_id)
        await driver.ask(inp.Note((event,)))
        return driver
