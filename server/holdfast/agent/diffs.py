"""What a call makes, or made, of its one file: the text before and after it.

Law: a text that is shown was there, or is what the tool itself makes of one that was: nothing is
guessed. The text that a call found is kept, up to `KEPT_BYTES_MAX`, before the call runs. It is
kept for this call alone, also when others found the same, so that it can go with its session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import msgspec

from holdfast.agent.api import ToolDiff
from holdfast.agent.approvals import arguments_of
from holdfast.agent.errors import UnknownToolCall
from holdfast.agent.services import Services
from holdfast.conversation import encoding
from holdfast.conversation.history import Block
from holdfast.journal import codec
from holdfast.journal.store import Record, Store, StoreError
from holdfast.session import events as ev
from holdfast.tools.base import in_words
from holdfast.tools.changes import text_found
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Tool, ToolContext

KEPT_BYTES_MAX: Final = 2_000_000
_STARTED: Final = "toolStarted"
_OLD: Final = "What the file was before this call was not kept."
_log: Final = logging.getLogger(__name__)


@attrs.define
class _Call:
    """What the journal has of one call."""

    block: Block | None = None
    started: ev.ToolStarted | None = None
    finished: ev.ToolFinished | None = None


async def keep(
    store: Store,
    session_id: str,
    tool_use_id: str,
    before: ev.FileEvidence,
    context: ToolContext,
) -> ev.FileEvidence:
    """Keep the text that a call is about to find, and name it in its evidence.

    Total but for cancellation: a call whose text cannot be kept runs all the same.
    """
    try:
        found = await text_found(Path(before.path), context)
        content = None if found is None else found.encode(errors="surrogateescape")
        if content is None or len(content) > KEPT_BYTES_MAX:
            return before
        head = f"{session_id} {tool_use_id}\n".encode()
        digest = await store.put_blob(head + content)
    except (ToolFailure, OSError, UnicodeError):
        return before  # No text that a tool could change; the call will say so.
    except StoreError as error:
        _log.warning("session %s: a text could not be kept: %s", session_id, error)
        return before
    return msgspec.structs.replace(before, content=digest)


async def diff(
    services: Services, context: ToolContext, session_id: str, tool_use_id: str
) -> ToolDiff:
    """Return the text before and after a call. Raises `UnknownToolCall`."""
    records = await services.store.read(session_id)
    call = await asyncio.to_thread(_find, records, tool_use_id)
    if call.block is None:
        raise UnknownToolCall(f"The session has no tool call {tool_use_id!r}.")
    tool = services.tools.get(call.block.text_of("name"))
    arguments = arguments_of(call.block)
    path = await asyncio.to_thread(tool.changes, arguments, context) if tool is not None else None
    if tool is None or path is None:
        return ToolDiff("", None, None, "unknown", "This call does not change one file.")
    found = _Found(tool, call.block, context, path.as_uri())
    if call.started is None and call.finished is None:
        return await _proposed(found, path)
    if call.started is None:
        return found.unknown("The call was not run.")
    return await _of_a_started_call(services.store, found, call.started, call.finished)


@attrs.frozen
class _Found:
    """A call that changes one file."""

    tool: Tool
    block: Block
    context: ToolContext
    uri: str

    def unknown(self, reason: str) -> ToolDiff:
        """Say why there is nothing to show."""
        return ToolDiff(self.uri, None, None, "unknown", reason)

    def after(self, before: str | None) -> str:
        """Return what the tool makes of a text. Raises `ToolFailure`."""
        return self.tool.changed(arguments_of(self.block), self.context, before)


async def _proposed(found: _Found, path: Path) -> ToolDiff:
    before = None
    try:
        before = await text_found(path, found.context)
        after = found.after(before)
    except ToolFailure as failure:
        return ToolDiff(found.uri, _shown(before), None, "proposed", str(failure))
    except OSError as error:
        reason = in_words(error, found.context)
        return ToolDiff(found.uri, None, None, "proposed", reason)
    return ToolDiff(found.uri, _shown(before), _shown(after), "proposed")


async def _of_a_started_call(
    store: Store, found: _Found, started: ev.ToolStarted, finished: ev.ToolFinished | None
) -> ToolDiff:
    if finished is not None and finished.outcome is ev.ToolOutcome.FINISHED and finished.is_error:
        return found.unknown("The call failed; its result says why.")
    evidence = started.before
    if evidence is None or (evidence.content is None and evidence.size is not None):
        return found.unknown(_OLD)
    try:
        before = None if evidence.content is None else await _kept(store, evidence.content)
        after = found.after(before)
    except KeyError:
        return found.unknown(_OLD)
    except ToolFailure as failure:
        return found.unknown(str(failure))
    if finished is not None and finished.outcome is ev.ToolOutcome.FINISHED:
        return ToolDiff(found.uri, _shown(before), _shown(after), "applied")
    reason = "The call is still running."
    if finished is not None:
        reason = "Whether the call took effect is not known; this is what it was to do."
    return ToolDiff(found.uri, _shown(before), _shown(after), "unknown", reason)


def kept_by(records: Sequence[Record]) -> list[str]:
    """Return the digests of the texts that were kept for the calls of a session."""
    starts = (codec.decode(record).event for record in records if record.type == _STARTED)
    evidence = (event.before for event in starts if isinstance(event, ev.ToolStarted))
    return [found.content for found in evidence if found is not None and found.content]


async def _kept(store: Store, digest: str) -> str:
    """Return a kept text. Raises `KeyError`."""
    _, _, content = (await store.get_blob(digest)).partition(b"\n")
    return content.decode(errors="surrogateescape")


def _shown(text: str | None) -> str | None:
    """Return a text as it can be shown: bytes that are no UTF-8 become U+FFFD."""
    return None if text is None else str(encoding.without_lone_surrogates(text))


def _find(records: Sequence[Record], tool_use_id: str) -> _Call:
    call = _Call()
    quoted = msgspec.json.encode(tool_use_id)
    for record in records:
        if quoted not in record.payload:
            continue
        match codec.decode(record).event:
            case ev.BlockFinished(block=raw):
                block = ev.blocks_of((raw,))[0]
                if block.type == "tool_use" and block.text_of("id") == tool_use_id:
                    call.block = block
            case ev.ToolStarted() as started if started.tool_use_id == tool_use_id:
                call.started = started
            case ev.ToolFinished() as finished if finished.tool_use_id == tool_use_id:
                call.finished = finished
            case _:
                pass
    return call
