"""Examples of what commands return, for the table of commands and the page made from it."""

from __future__ import annotations

from typing import Any, Final

USAGE: Final[dict[str, Any]] = {
    "contextTokens": 12031,
    "windowTokens": 200000,
    "inputTokens": 2210,
    "cacheReadTokens": 48104,
    "cacheWriteTokens": 11900,
    "outputTokens": 840,
    "cost": {"amount": 0.118, "currency": "USD"},
}

SESSION: Final[dict[str, Any]] = {
    "sessionId": "s_8f2c",
    "title": "Fix the parser",
    "phase": "idle",
    "seq": 41,
    "archived": False,
    "updatedAt": 1770000009000,
    "status": {"sessionId": "s_8f2c", "phase": "idle", "label": ""},
    "contextTokens": 12031,
    "windowTokens": 200000,
    "outputTokens": 840,
    "usage": USAGE,
    "questions": [],
    "todos": [],
    "queue": [],
    "compactions": [],
    "repairs": [],
}

TOOL_ITEM: Final[dict[str, Any]] = {
    "kind": "tool",
    "id": "17.1",
    "seq": 21,
    "atMs": 1770000004000,
    "turnId": "t_1",
    "toolUseId": "toolu_01",
    "name": "edit",
    "title": "Edit src/parser.py",
    "input": {"path": "src/parser.py", "old_text": "=", "new_text": "=="},
    "state": "finished",
    "hasDiff": True,
    "output": "Replaced 1 occurrence.",
    "path": "src/parser.py",
    "startedAt": 1770000004100,
    "endedAt": 1770000004200,
}

PROMPT_ITEM: Final[dict[str, Any]] = {
    "kind": "prompt",
    "id": "2",
    "seq": 2,
    "atMs": 1770000000000,
    "turnId": "t_1",
    "promptId": "p_1",
    "text": "Fix the parser.",
    "state": "sent",
}
