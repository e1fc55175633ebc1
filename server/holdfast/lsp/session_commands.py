"""`holdfast.session.*` and `holdfast.model.*`: convert, call the supervisor, convert back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from pygls.uris import to_fs_path, uri_scheme

from holdfast.lsp import errors, wire
from holdfast.lsp import params as p
from holdfast.lsp.followers import batches
from holdfast.lsp.streams import EventStream, ItemStream

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.lsp.server import HoldfastServer

EVENTS_MAX: Final = 512
"""How many events one answer of `holdfast.session.open` holds at least, when there are so many.

The rest follows as notifications, at the pace of the reader.
"""


async def create(ls: HoldfastServer, params: p.CreateParams) -> Any:
    """Create a session; this connection hears of its questions and progress from now on."""
    supervisor = await ls.supervisor()
    session_id = await supervisor.create(
        workspace_uri=params.workspace_uri, title=params.title, model=params.model
    )
    await ls.followers.watch(session_id)
    return {"sessionId": session_id}


async def list_sessions(ls: HoldfastServer, params: p.ListParams) -> Any:
    """List all sessions, newest first; with `follow`, what changes follows as notifications."""
    supervisor = await ls.supervisor()
    found = await supervisor.entries()
    if params.follow:
        ls.protocol.after_response(lambda: ls.lists.follow(found))
    return {"sessions": wire.plain(found.entries)}


async def open_session(ls: HoldfastServer, params: p.OpenParams) -> Any:
    """Return the session and what happened since; what comes later follows as notifications."""
    supervisor = await ls.supervisor()
    if params.view == "items":
        return await _open_items(ls, params)
    view = await supervisor.view(params.session_id)
    since = view.seq if params.since_seq is None else min(params.since_seq, view.seq)
    events: list[Any] = []
    async with aclosing(batches(supervisor, params.session_id, since)) as missed:
        while since < view.seq and len(events) < EVENTS_MAX:
            batch = await anext(missed, None)
            if batch is None:
                break
            events += map(wire.event_item, batch.events)
            since = batch.events[-1].seq if batch.events else since
    stream = EventStream(params.session_id, since)
    ls.protocol.after_response(lambda: ls.followers.open(view, since, stream))
    return {"session": wire.plain(view), "events": events, "seq": since}


async def _open_items(ls: HoldfastServer, params: p.OpenParams) -> Any:
    supervisor = await ls.supervisor()
    opened = await supervisor.items.open(
        params.session_id, since_seq=params.since_seq, limit=params.limit
    )
    # The view is the newer of the two: what it says is told again, never too late.
    view = await supervisor.view(params.session_id)
    seq = opened.fold.seq
    stream = ItemStream(opened.fold, view, lambda: supervisor.view(params.session_id))
    ls.protocol.after_response(lambda: ls.followers.open(view, seq, stream))
    result = {"session": wire.plain(view), "seq": seq}
    if opened.changes is not None:
        return {**result, "changes": opened.changes}
    return {**result, "items": opened.items, "more": opened.more}


async def items(ls: HoldfastServer, params: p.ItemsParams) -> Any:
    """Return a page of a session as a person sees it."""
    supervisor = await ls.supervisor()
    found, more = await supervisor.items.page(
        params.session_id, limit=params.limit, before=params.before
    )
    return {"items": found, "more": more}


async def tool_output(ls: HoldfastServer, params: p.OnToolCall) -> Any:
    """Return the whole output of a tool call."""
    supervisor = await ls.supervisor()
    return {"text": await supervisor.items.output(params.session_id, params.tool_use_id)}


async def tool_diff(ls: HoldfastServer, params: p.OnToolCall) -> Any:
    """Return what a call makes, or made, of its one file; texts that are not there are null."""
    supervisor = await ls.supervisor()
    found = await supervisor.tool_diff(params.session_id, params.tool_use_id)
    return {"before": None, "after": None, **wire.plain(found)}


async def state(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Say what a session is doing, what it asks and what it waits for."""
    supervisor = await ls.supervisor()
    return wire.state_result(await supervisor.view(params.session_id))


async def messages(ls: HoldfastServer, params: p.MessagesParams) -> Any:
    """Return a page of the history as a person would read it."""
    supervisor = await ls.supervisor()
    found = await supervisor.messages(params.session_id, limit=params.limit, before=params.before)
    return {"messages": wire.plain(found)}


async def rename(ls: HoldfastServer, params: p.RenameParams) -> Any:
    """Give a session a title."""
    supervisor = await ls.supervisor()
    await supervisor.rename(params.session_id, params.title)
    return {}


async def archive(ls: HoldfastServer, params: p.ArchiveParams) -> Any:
    """Hide a session from lists, or bring it back."""
    supervisor = await ls.supervisor()
    await supervisor.archive(params.session_id, params.archived)
    return {}


async def delete(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Delete a session with all it holds."""
    supervisor = await ls.supervisor()
    await supervisor.delete(params.session_id)
    await ls.followers.end(params.session_id)
    return {}


async def fork(ls: HoldfastServer, params: p.ForkParams) -> Any:
    """Create a session with another's history."""
    supervisor = await ls.supervisor()
    session_id = await supervisor.fork(
        params.session_id, title=params.title, before_prompt_id=params.before_prompt_id
    )
    return {"sessionId": session_id}


async def rewind(ls: HoldfastServer, params: p.RewindParams) -> Any:
    """Hide a prompt and everything after it."""
    supervisor = await ls.supervisor()
    await supervisor.rewind(params.session_id, params.prompt_id)
    return {}


async def export(ls: HoldfastServer, params: p.ExportParams) -> Any:
    """Return a session as text."""
    supervisor = await ls.supervisor()
    content = await supervisor.export(params.session_id, params.format)
    return {"format": params.format, "content": content}


async def import_session(ls: HoldfastServer, params: p.ImportParams) -> Any:
    """Make a session of a transcript file."""
    path = _path(params.uri)
    supervisor = await ls.supervisor()
    session_id = await supervisor.import_transcript(
        path, title=params.title, workspace_uri=params.workspace_uri
    )
    return {"sessionId": session_id}


async def compact(ls: HoldfastServer, params: p.CompactParams) -> Any:
    """Begin a compaction; its progress is reported until it ends."""
    supervisor = await ls.supervisor()
    await ls.followers.watch(params.session_id)
    with ls.bars.expecting(params.session_id, params.work_done_token) as expected:
        compaction_id = await supervisor.compact(params.session_id, params.instructions)
        expected.bind(compaction_id)
    return {"compactionId": compaction_id}


async def cancel_compaction(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Cancel the compaction under way."""
    supervisor = await ls.supervisor()
    await supervisor.cancel_compaction(params.session_id)
    return {}


async def undo_compaction(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Take the newest compaction back."""
    supervisor = await ls.supervisor()
    return {"compactionId": await supervisor.undo_compaction(params.session_id)}


async def redo_compaction(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Put back the compaction that was taken back last."""
    supervisor = await ls.supervisor()
    return {"compactionId": await supervisor.redo_compaction(params.session_id)}


async def compactions(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Say what became of each compaction."""
    supervisor = await ls.supervisor()
    return wire.plain(await supervisor.compactions(params.session_id))


async def compaction_text(ls: HoldfastServer, params: p.CompactionTextParams) -> Any:
    """Return what a compaction covers, or what stands for it."""
    supervisor = await ls.supervisor()
    found = await supervisor.compaction_text(params.session_id, params.compaction_id, params.part)
    return wire.plain(found)


async def repair(ls: HoldfastServer, params: p.RepairParams) -> Any:
    """Check the history and mend it, or take a repair back."""
    supervisor = await ls.supervisor()
    if params.undo is not None:
        await supervisor.undo_repair(params.session_id, params.undo)
        return {"undone": params.undo}
    return wire.plain(await supervisor.repair(params.session_id, dry_run=params.dry_run))


def _path(uri: str) -> Path:
    from pathlib import Path  # noqa: PLC0415 (the name is needed for types above)

    path = to_fs_path(uri) if uri_scheme(uri) == "file" else None
    if not path:
        raise errors.invalid_params("holdfast.session.import: `uri` must be a file: URI.")
    return Path(path)
