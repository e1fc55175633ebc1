"""How facts are written in a digest, one line each, and how such lines are read again.

Law: what is written can be read, so that the digest of a session that was digested before keeps its
facts as facts (P4). A request is told with its state and in the past tense, never as a bare
imperative (B21). Reading is total: a line that is not of its form is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from holdfast.conversation.activity import (
    Decision,
    Ending,
    FileUse,
    Lines,
    Request,
    Run,
    State,
    Task,
)
from holdfast.conversation.activity.calls import merged
from holdfast.conversation.clipping import clip_line

STATES: Final[Mapping[State, str]] = {
    "done": "DONE",
    "interrupted": "INTERRUPTED",
    "open": "IN PROGRESS when this record was made",
}
LINE_BYTES_MAX: Final = 300
RANGES_MAX: Final = 12
_ASKED: Final = '. The user had asked: "'
_TOLD: Final = '". The assistant\'s last words: "'
_UNANSWERED: Final = '". No answer is on record.'
_TOGETHER: Final = '". Answered together with the next.'
_REQUEST: Final = re.compile(r"^(\d+)\. (DONE|INTERRUPTED|IN PROGRESS[^.]*)" + re.escape(_ASKED))
_FILE: Final = re.compile(r"^(?P<path>.+?)(?: \((?:(?P<times>\d+) times)?(?:, )?"
                          r"(?:lines (?P<lines>[\d, -]+)(?:, …)?)?\))?$")  # fmt: skip
_ENDINGS: Final[Mapping[Ending, str]] = {
    "ok": "ok",
    "failed": "failed",
    "refused": "refused by the user",
}
_RUN: Final = re.compile(
    r"^`(?P<line>.*)`: (?P<ended>ok|failed|refused by the user)"
    r"(?: \((?P<times>\d+) times(?:, (?P<failures>\d+) of them failed)?\))?(?:, (?P<said>.*))?$"
)


# --- requests --------------------------------------------------------------------------------


def request_line(number: int, request: Request, asked: str, told: str) -> str:
    """Write a request; `asked` and `told` are as much of its words as there is room for."""
    if told:
        end = f'{_TOLD}{told}"'
    elif request.state == "done":
        end = _TOGETHER
    else:
        end = _UNANSWERED
    return f"{number}. {STATES[request.state]}{_ASKED}{asked}{end}"


def request_of(line: str) -> tuple[int, Request] | None:
    """Read a request, None when the line is none."""
    found = _REQUEST.match(line)
    if found is None:
        return None
    state: State = next(s for s, word in STATES.items() if word.startswith(found[2].split()[0]))
    asked, told = line[found.end() :], ""
    for end in (_UNANSWERED, _TOGETHER):
        if asked.endswith(end):
            return int(found[1]), Request(asked[: -len(end)], "", state)
    if _TOLD in asked and asked.endswith('"'):
        asked, _, told = asked[:-1].partition(_TOLD)
    return int(found[1]), Request(asked, told, state)


# --- files -----------------------------------------------------------------------------------


def file_line(use: FileUse) -> str:
    """Write a file with how often and where it was touched."""
    told = [f"{use.times} times"] if use.times > 1 else []
    if use.lines:
        shown = [str(a) if a == b else f"{a}-{b}" for a, b in use.lines[-RANGES_MAX:]]
        more = [", …"] if len(use.lines) > RANGES_MAX else []
        told.append("lines " + ", ".join(shown) + "".join(more))
    path = clip_line(use.path, LINE_BYTES_MAX)
    return f"{path} ({', '.join(told)})" if told else path


def file_of(line: str) -> FileUse:
    """Read a file."""
    found = _FILE.match(line)
    if found is None:
        return FileUse(line)
    return FileUse(found["path"], int(found["times"] or 1), _lines(found["lines"] or ""))


def _lines(told: str) -> Lines:
    pairs = (part.strip().partition("-") for part in told.split(",") if part.strip())
    return merged((int(a), int(b or a)) for a, _, b in pairs if a.isdigit() and (b or a).isdigit())


# --- runs, tasks, decisions ------------------------------------------------------------------


def run_line(run: Run) -> str:
    """Write a command or a sub-agent's task with its outcome."""
    often = f" ({run.times} times)" if run.times > 1 else ""
    if often and run.failures:
        often = f" ({run.times} times, {run.failures} of them failed)"
    said = clip_line(run.said, 160)
    return f"{run_key(run)}: {_ENDINGS[run.ended]}{often}{', ' + said if said else ''}"


def run_key(run: Run) -> str:
    """Return what a run is known by in a digest."""
    return f"`{clip_line(run.line, 200)}`"


def run_of(line: str) -> Run | None:
    """Read a run, None when the line is none, or was cut."""
    found = _RUN.match(line)
    if found is None:
        return None
    ended: Ending = next(e for e, word in _ENDINGS.items() if word == found["ended"])
    failures = int(found["failures"] or ended != "ok")
    return Run(found["line"], found["said"] or "", ended, int(found["times"] or 1), failures)


def both(old: Run, new: Run) -> Run:
    """Return what is known of a command that had run before and ran again."""
    times, failures = old.times + new.times, old.failures + new.failures
    return attrs.evolve(new, times=times, failures=failures)


def task_line(task: Task) -> str:
    """Write an item of the task list."""
    return f"[{task.status}] {clip_line(task.text, LINE_BYTES_MAX)}"


def decision_line(decision: Decision, number: int) -> str:
    """Write a decision as what somebody had said."""
    who = "The user" if decision.by == "user" else "The assistant"
    where = f", request {number}" if number else ""
    return f'{who} had said{where}: "{clip_line(decision.sentence, 400)}"'


def error_line(error: str, times: int) -> str:
    """Write an error that a tool reported."""
    often = f" ({times} times)" if times > 1 else ""
    return clip_line(error, LINE_BYTES_MAX) + often
