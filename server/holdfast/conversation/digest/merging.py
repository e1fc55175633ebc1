"""What is known of a session: what an earlier summary says, and what has happened since.

Law: newer facts replace older ones about the same thing, everything else stays, in order. What was
open and is not any more, is not told as open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from holdfast.conversation.activity import Activity, FileUse, Request, Run
from holdfast.conversation.activity.calls import merged
from holdfast.conversation.clipping import clip_line
from holdfast.conversation.digest import earlier as before
from holdfast.conversation.digest import lines as form
from holdfast.conversation.digest.earlier import Earlier, Listed

_UNKNOWN_REQUEST: Final = "(What was asked for stands in the summary of what came before.)"
_IN_BACKGROUND: Final = "Started in the background, and its end is not on record:"
_TERSE_CHARS: Final = 200
"""A request as short as that is often an answer: what it answers belongs to it."""
_QUESTION_BYTES_MAX: Final = 300


@attrs.frozen
class Known:
    """Everything that a digest can tell. `first` is the number of the first request."""

    summary: str
    requests: tuple[Request, ...]
    first: int
    exchange: Request | None
    context: str
    expansion: str
    open_items: tuple[str, ...]
    lists: Mapping[str, Listed]


def merge(earlier: Earlier, found: Activity) -> Known:
    """Bring together what was known and what was found."""
    requests = (*_continued(earlier.requests, found.before), *found.requests)
    exchange = _exchange(earlier, found, requests)
    answers = [request.answer for request in requests[:-1] if request.answer]
    summary = "\n\n".join(filter(None, (earlier.summary, *_summaries(found))))
    return Known(
        summary=summary,
        requests=requests,
        first=earlier.first,
        exchange=exchange,
        context=answers[-1] if answers and len(requests[-1].text) < _TERSE_CHARS else "",
        expansion=found.requests[-1].expansion if found.requests else "",
        open_items=tuple(_open_items(earlier, found, requests)),
        lists=_lists(earlier, found, earlier.first + len(earlier.requests) - 1),
    )


def _summaries(found: Activity) -> Iterator[str]:
    """Yield summaries that stand in the history itself; the last one stands for those before."""
    if found.summaries:
        yield before.read(found.summaries[-1]).summary or found.summaries[-1]


def _continued(known: tuple[Request, ...], since: Request) -> tuple[Request, ...]:
    """Return earlier requests, the last with what came of it since."""
    if not known or known[-1].state != "open" or not (since.answer or since.state != "open"):
        return known
    answer = since.answer or known[-1].answer
    return (*known[:-1], attrs.evolve(known[-1], answer=answer, state=since.state))


def _exchange(earlier: Earlier, found: Activity, requests: Sequence[Request]) -> Request | None:
    if found.requests:
        return found.requests[-1]
    last = earlier.exchange or (requests[-1] if requests else None)
    if last is None:
        answer = found.before.answer
        return attrs.evolve(found.before, text=_UNKNOWN_REQUEST) if answer else None
    state = requests[-1].state if requests else last.state
    return attrs.evolve(last, answer=found.before.answer or last.answer, state=state)


# --- open items ------------------------------------------------------------------------------


def _open_items(earlier: Earlier, found: Activity, requests: Sequence[Request]) -> Iterator[str]:
    """Yield what is not finished: the last of the list is what matters most."""
    old = earlier.listed(before.OPEN).lines
    for line in old:
        name = line.rpartition("(")[2].rstrip(")")
        if line.startswith(_IN_BACKGROUND) and name not in {*found.stopped, *found.in_background}:
            yield line
    for name, line in found.in_background.items():
        yield f"{_IN_BACKGROUND} `{clip_line(line, 200)}` ({name})"
    for call in found.open_calls:
        yield f"Called, and no result is on record: {clip_line(call, form.LINE_BYTES_MAX)}"
    for number, request in enumerate(requests, earlier.first):
        if request.state == "open":
            asked = clip_line(request.text, 200)
            yield f'Request {number} has no outcome on record; the user had asked: "{asked}"'
    if requests and requests[-1].state == "done" and (asked := _question(requests[-1].answer)):
        yield f'The assistant had asked, and no answer is on record: "{asked}"'
    if found.tasks is None:
        yield from (line for line in old if line.startswith(("[pending]", "[in_progress]")))
    else:
        yield from (form.task_line(t) for t in found.tasks if t.status != "completed")


def _question(answer: str) -> str:
    """Return the question that an answer ends with, "" when it ends otherwise."""
    last = answer.rstrip().rpartition("\n")[2].strip()
    return clip_line(last, _QUESTION_BYTES_MAX) if last.rstrip("*_)\"' ").endswith("?") else ""


# --- lists -----------------------------------------------------------------------------------


LINES_MAX: Final = 300
"""Lines of a section that are written at all; no budget shows more."""


def _lists(earlier: Earlier, found: Activity, numbered: int) -> dict[str, Listed]:
    changed = _files(earlier.files(before.CHANGED), found.files_changed)
    kept = {use.path for use in changed}
    read = [u for u in _files(earlier.files(before.READ), found.files_read) if u.path not in kept]
    old_failed, old_fine = earlier.listed(before.FAILED).lines, earlier.listed(before.RUN).lines
    failed, fine = _by_outcome(_runs((*old_fine, *old_failed), found.commands), old_failed)
    agents = _runs(earlier.listed(before.AGENTS).lines, found.agents)
    decided = (form.decision_line(d, d.request + numbered) for d in found.decisions)
    errors = (form.error_line(error, times) for error, times in found.errors)
    lists: dict[str, Sequence[FileUse | Run | str]] = {
        before.CHANGED: changed,
        before.READ: read,
        before.FAILED: failed,
        before.RUN: fine,
        before.AGENTS: agents,
        before.ERRORS: list(dict.fromkeys((*earlier.listed(before.ERRORS).lines, *errors))),
        before.DECISIONS: list(dict.fromkeys((*earlier.listed(before.DECISIONS).lines, *decided))),
        before.COMPLETED: _completed(earlier, found),
        before.OTHERS: list(_others(earlier, found)),
    }
    return {
        title: Listed(
            tuple(map(_line, entries[-LINES_MAX:])),
            earlier.listed(title).left_out + max(0, len(entries) - LINES_MAX),
        )
        for title, entries in lists.items()
    }


def _line(entry: FileUse | Run | str) -> str:
    if isinstance(entry, Run):
        return form.run_line(entry)
    return entry if isinstance(entry, str) else form.file_line(entry)


def _runs(old: Sequence[str], new: Sequence[Run]) -> list[Run | str]:
    """Return earlier runs and new ones; what ran again is one entry, a line that was cut stays."""
    if not old:
        return list(new)
    known: dict[str, Run | str] = {}
    for line in old:
        run = form.run_of(line)
        known[form.run_key(run) if run else line] = run or line
    for run in new:
        key = form.run_key(run)
        earlier = known.pop(key, None)
        known[key] = form.both(earlier, run) if isinstance(earlier, Run) else run
    return list(known.values())


def _by_outcome(
    entries: Sequence[Run | str], cut: Sequence[str]
) -> tuple[list[Run | str], list[Run | str]]:
    """Return what failed at least once, and the rest; `cut` are lines known to be of failures."""
    failed: list[Run | str] = []
    fine: list[Run | str] = []
    failures = frozenset(cut)
    for entry in entries:
        bad = entry.failures > 0 if isinstance(entry, Run) else entry in failures
        (failed if bad else fine).append(entry)
    return failed, fine


def _files(old: Sequence[FileUse], new: Sequence[FileUse]) -> list[FileUse]:
    if not old:
        return list(new)
    uses = {use.path: use for use in old}
    for use in new:
        path = clip_line(use.path, form.LINE_BYTES_MAX)
        known = uses.pop(path, None)
        uses[path] = (
            FileUse(path, known.times + use.times, merged((*known.lines, *use.lines)))
            if known
            else use
        )
    return list(uses.values())


def _completed(earlier: Earlier, found: Activity) -> tuple[str, ...]:
    if found.tasks is None:
        return earlier.listed(before.COMPLETED).lines
    done = (task for task in found.tasks if task.status == "completed")
    return tuple(clip_line(task.text, form.LINE_BYTES_MAX) for task in done)


def _others(earlier: Earlier, found: Activity) -> Iterator[str]:
    counts = dict(found.other_tools)
    for line in earlier.listed(before.OTHERS).lines:
        name, _, times = line.rpartition(": ")
        if name and times.isdigit():
            counts[name] = counts.get(name, 0) + int(times)
    yield from (f"{name}: {times}" for name, times in counts.items())
