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
    "compactions": ["c_5d01"],
    "undoneCompactions": [],
    "compactionRung": "summary",
    "repairs": [],
}

COMPACTION: Final[dict[str, Any]] = {
    "compactionId": "c_5d01",
    "trigger": "auto",
    "state": "committed",
    "startedAt": 1770000005000,
    "tokensBefore": 151200,
    "rung": "chunks",
    "durationMs": 41200,
    "tokensAfter": 38100,
    "tokensMeasured": 39420,
    "model": "claude-opus-5-5",
    "attempts": [
        {
            "rung": "summary",
            "attempt": 1,
            "reason": "timeout",
            "detail": "Gateway Time-out",
            "elapsedMs": 30100,
        }
    ],
    "chunks": {"done": 4, "count": 4},
    "outcome": "",
    "detail": "",
    "label": "summaries of chunks, in force",
    "sizes": "151,200 → 39,420 tokens · 41.2 s",
    "reasons": "summary by the model: timeout",
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

REPAIR: Final[dict[str, Any]] = {
    "findings": [
        {
            "rule": "R40",
            "severity": "error",
            "message": 3,
            "block": 1,
            "detail": "tool_use ids were found without tool_result blocks",
            "origin": "17",
        }
    ],
    "repairs": [{"rule": "R40", "origin": "17", "action": "insert a result", "kept": "everything"}],
    "applied": False,
    "changes": [
        {
            "origin": "17",
            "before": "assistant: [called run: {}]",
            "after": "assistant: [called run: {}]\nuser: [Result of a tool call]",
            "rules": ["R40"],
            "actions": ["insert a result"],
            "kept": ["everything"],
        }
    ],
    "inForce": ["r_9"],
    "report": "# Repair of “Fix the parser”\n",
}

_TRANSCRIPT_PATH: Final = "/home/me/.claude/projects/-home-me-project/8f2c.jsonl"

TRANSCRIPT_REPORT: Final[dict[str, Any]] = {
    "path": _TRANSCRIPT_PATH,
    "format": "claude-code",
    "version": "2.1.330",
    "entries": 412,
    "messages": 88,
    "findings": [
        {
            "rule": "D05",
            "severity": "error",
            "line": 388,
            "bytes": [901233, 905329],
            "message": "4096 zero bytes",
            "repair": "the zero bytes go; what else stands on the line is kept",
            "related": [],
        }
    ],
    "healthy": False,
}

TRANSCRIPT_REPAIR: Final[dict[str, Any]] = {
    "path": _TRANSCRIPT_PATH,
    "output": "/home/me/.claude/projects/-home-me-project/8f2c.repaired.jsonl",
    "backup": None,
    "repairs": [
        {
            "rule": "D05",
            "line": 388,
            "action": "the zero bytes go; what else stands on the line is kept",
            "kept": "what can be read",
        }
    ],
    "unrepaired": [],
    "outputUri": "file:///home/me/.claude/projects/-home-me-project/8f2c.repaired.jsonl",
}

TRANSCRIPT: Final[dict[str, Any]] = {
    "sessionId": "8f2c",
    "path": _TRANSCRIPT_PATH,
    "ids": ["8f2c"],
    "title": "Fix the parser",
    "cwd": "/home/me/project",
    "version": "2.1.330",
    "size": 905329,
    "usedAtMs": 1770000009000,
    "health": "interrupted",
    "deletedInDays": 12.5,
    "relation": "here",
}

SERVER_INFO: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "versions": {"python": "3.11.7", "pygls": "2.1.1", "anthropic": "2.12.0"},
    "processId": 4711,
    "dataDir": "/home/me/.local/share/holdfast",
    "store": {"state": "open"},
    "problems": [
        {
            "name": "holdfast.model",
            "value": "5",
            "message": "holdfast.model must be a name of 1 to 200 characters without "
            "spaces, not 5; claude-opus-5-5 is used.",
        }
    ],
}
