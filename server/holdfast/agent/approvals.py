"""Judging and running tool calls.

Law: a call of an unknown tool is answered, not raised; a tool that breaks its contract becomes an
error result with its own words. Permissions are asked for every call; only their answer is
remembered, never assumed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from holdfast.agent import intake
from holdfast.agent.recall import SessionRecall
from holdfast.agent.services import Services
from holdfast.conversation.history import Block, text
from holdfast.session import inputs as inp
from holdfast.session.events import CommandEvidence, FileEvidence, TodoItem
from holdfast.session.state import SessionState
from holdfast.tools.evidence import file_evidence
from holdfast.tools.permissions import Answer, Rule, decide
from holdfast.tools.port import ToolContext

_log: Final = logging.getLogger(__name__)


def workspace_path(uri: str | None) -> Path | None:
    """Return the folder that a `file:` URI names; None for none or another scheme."""
    if not uri:
        return None
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    return Path(url2pathname(parts.path))


def context_of(
    services: Services,
    state: SessionState,
    trace: Path | None = None,
    session_id: str | None = None,
) -> ToolContext:
    """Return where the session's calls run; `trace` is the folder of the one call that is run.

    With a `session_id` the call may look into that session's past.
    """
    return ToolContext(
        workspace=workspace_path(state.workspace_uri),
        editor=services.editor(),
        trace=trace,
        recall=SessionRecall(services.recall, session_id, state) if session_id else None,
    )


def judge(services: Services, state: SessionState, block: Block) -> inp.Verdict:
    """Say what the permission rules say about a call."""
    tool = services.tools.get(block.text_of("name"))
    if tool is None:
        names = ", ".join(str(d["name"]) for d in services.tools.definitions)
        return inp.Verdict(
            "deny", "unknown tool", detail=f"[Not run: there is no such tool. There are: {names}.]"
        )
    arguments = arguments_of(block)
    context = context_of(services, state)
    granted = [Rule(g.tool, g.pattern, Answer.ALLOW) for g in state.grants]
    answer = decide(
        tool.name,
        tool.target(arguments, context),
        services.settings.permissions,
        tool.mutates,
        granted,
    )
    match answer:
        case Answer.ALLOW:
            return inp.Verdict("allow", "rule", mutates=tool.mutates)
        case Answer.DENY:
            return inp.Verdict(
                "deny", "rule", detail="[Not run: the user's settings do not allow this call.]"
            )
        case Answer.ASK:
            question = tool.question(arguments, context)
            return inp.Verdict(
                "ask",
                "rule",
                mutates=tool.mutates,
                title=question.title,
                detail=question.detail,
                pattern=question.pattern,
            )


def evidence_before(services: Services, state: SessionState, block: Block) -> FileEvidence | None:
    """Return what the file is that a call would change; None when it changes no single file."""
    tool = services.tools.get(block.text_of("name"))
    path = tool and tool.changes(arguments_of(block), context_of(services, state))
    return evidence_of(path) if path else None


def leaves_trace(services: Services, block: Block) -> bool:
    """Say whether a call will leave a trace while it runs."""
    tool = services.tools.get(block.text_of("name"))
    return services.traces is not None and tool is not None and tool.leaves_trace


def evidence_of(path: Path) -> FileEvidence:
    """Return what a file is now; without digest and size when there is none to read. Blocking."""
    found = file_evidence(path) or {"sha256": None, "bytes": None}
    return FileEvidence(path=str(path), sha256=found["sha256"], size=found["bytes"])


def trace_of(services: Services, session_id: str, tool_use_id: str) -> inp.TraceFound:
    """Return what an interrupted call has left, having stopped it if it still ran. Blocking."""
    if services.traces is None:
        return inp.TraceFound(tool_use_id, None)
    trace = services.traces.look(session_id, tool_use_id)
    evidence = CommandEvidence(found=trace.how, pid=trace.pid, exit_code=trace.exit_code)
    return inp.TraceFound(tool_use_id, evidence, trace.output)


async def run(services: Services, context: ToolContext, tool_use_id: str, block: Block) -> inp.Ran:
    """Run a call. Cancellation passes through after the tool has cleaned up."""
    tool = services.tools.get(block.text_of("name"))
    if tool is None:
        return inp.Ran(tool_use_id, (text("There is no such tool."),), is_error=True)
    try:
        output = await tool.run(arguments_of(block), context)
    except Exception as error:  # noqa: BLE001 (the one guard of a foreign part)
        # A tool is total by contract; one that is not must not end the turn (P3).
        _log.exception("tool %s failed", tool.name)
        return inp.Ran(tool_use_id, (text(f"The tool failed: {error!r}"),), is_error=True)
    todos = None
    if output.todos is not None:
        todos = tuple(TodoItem(text=todo.text, status=todo.status) for todo in output.todos)
    content = await intake.tool_output(output.content)
    return inp.Ran(tool_use_id, content, output.is_error, output.summary, todos)


def arguments_of(block: Block) -> Mapping[str, Any]:
    """Return a call's arguments as they were received."""
    arguments = block.get("input")
    return arguments if isinstance(arguments, dict) else {}
