"""What the sessions are doing when their server is killed: prompts and the model's part in them.

Law: every work is named by its id in the prompt, and every command leaves that id in a file, so
that a second run is seen. Steps match by the id alone: a work that is interrupted in one server's
life gets the rest of its part in the next one's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from holdfast.simulator import Script

SETTINGS: dict[str, Any] = {
    "retry": {"maxDelaySeconds": 0.1, "budgetSeconds": 20},
    "stream": {"idleWarnSeconds": 0.2, "idleCutSeconds": 1},
    "permissions": [
        {"tool": "*", "pattern": "*", "answer": "allow"},
        {"tool": "run", "pattern": "printf*", "answer": "ask"},
    ],
}
_NOTE = "Goal: to know seaweed. Done: questions were answered. The secret word is dulse. Go on."


@dataclass(frozen=True)
class Work:
    """One prompt, and the steps of the simulator's script that answer it."""

    prompt_id: str
    text: str
    steps: tuple[dict[str, Any], ...]


def _says(*content: dict[str, Any], delay_ms: float = 0) -> dict[str, Any]:
    return {"content": list(content), "per_delta_ms": 1, "delay_ms": delay_ms}


def _text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "chunk": 6}


def _thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking", "text": words, "chunk": 8}


def _run(command: str) -> dict[str, Any]:
    return {"type": "tool_use", "name": "run", "input": {"command": command}}


def _mark(name: str, then: str = "") -> dict[str, Any]:
    return _run(f"echo {name} >> effects.log; {then}echo ok-{name}")


def _read(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "name": tool, "input": arguments}


def _first(name: str, **does: Any) -> dict[str, Any]:
    return {"match": {"last_user_contains": f"work {name}."}, "times": None, **does}


def _streams(name: str) -> list[dict[str, Any]]:
    said = _says(_thinking("I think about it. " * 6), _text("Kelp grows in forests. " * 16))
    return [_first(name, respond=said)]


def _reads(name: str) -> list[dict[str, Any]]:
    calls = (_read("read", path="a.txt"), _read("list", path="."), _read("glob", pattern="*"))
    said = _says(_thinking("I look first. " * 3), _text("I read it. " * 4), *calls)
    return [_first(name, respond=said)]


def _writes(name: str) -> list[dict[str, Any]]:
    two = (_mark(f"{name}-a"), _mark(f"{name}-b", "sleep 0.03; "))
    again = {
        "match": {"last_result_contains": f"ok-{name}-b"},
        "times": None,
        "respond": _says(_text("Now the third of them. " * 3), _mark(f"{name}-c")),
    }
    said = _says(_thinking("Two commands. " * 3), _text("I begin. " * 6), *two)
    return [again, _first(name, respond=said)]


def _mixes(name: str) -> list[dict[str, Any]]:
    calls = (
        _read("read", path="a.txt"),
        _mark(f"{name}-a", "sleep 0.05; "),
        _read("write", path=f"{name}.txt", content="dulse\n"),
        _read("grep", pattern="kelp"),
    )
    return [_first(name, respond=_says(_text("All at once. " * 3), *calls))]


def _asks(name: str) -> list[dict[str, Any]]:
    command = _run(f"printf '{name}-q\\n' >> effects.log")
    return [_first(name, respond=_says(_text("May I? " * 4), command, _mark(f"{name}-a")))]


def _waits(name: str) -> list[dict[str, Any]]:
    trouble = _first(name, fault={"name": "overloaded"})
    return [{**trouble, "times": 3}, *_streams(name)]


def _breaks(name: str) -> list[dict[str, Any]]:
    cut = _first(name, respond=_says(_text("This will be cut. " * 6), _mark(f"{name}-x")))
    return [{**cut, "times": 1, "fault": {"name": "reset", "after_events": 12}}, *_streams(name)]


def _pauses(name: str) -> list[dict[str, Any]]:
    return [{**_first(name, fault={"name": "unauthorized"}), "times": 1}, *_streams(name)]


def _overflows(name: str) -> list[dict[str, Any]]:
    return [{**_first(name, fault={"name": "prompt-too-long"}), "times": 1}, *_streams(name)]


_KINDS: tuple[Callable[[str], list[dict[str, Any]]], ...] = (
    *(_streams, _streams, _reads, _writes, _writes, _mixes),
    *(_asks, _waits, _breaks, _pauses, _overflows),
)


def a_work(rng: random.Random, name: str) -> Work:
    """Return a work of a kind that chance picks."""
    return Work(f"p-{name}", f"work {name}.", tuple(rng.choice(_KINDS)(name)))


def script_for(works: Iterable[Work], rng: random.Random) -> Script:
    """Return the script that plays these works, and whoever is asked for a summary."""
    summariser: dict[str, Any] = {"match": {"system_contains": "hand-over note"}, "times": None}
    if rng.random() < 0.3:
        summariser["fault"] = {"name": "gateway-timeout"}
    else:
        summariser["respond"] = _says(_text(_NOTE * 3), delay_ms=20)
    rest = {
        "match": {"has_tool_results": True},
        "times": None,
        "respond": _says(_text("All is done. " * 8)),
    }
    return Script.parse([summariser, *(s for work in works for s in work.steps), rest])
