"""One pass over a history that collects its facts.

Law: only facts that stand in the history, in its order, and no exception for any content. What the
words of anybody claim is not judged. The pass looks at the first bytes of a block, decodes calls
and what people say, and keeps everything else as the bytes that it is: a long history costs little
more than walking through it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.conversation.activity import calls as about
from holdfast.conversation.activity.decisions import Words, decisions
from holdfast.conversation.activity.facts import Activity
from holdfast.conversation.activity.reading import (
    Reading,
    ends,
    name_of,
    read,
    result_of,
    type_of,
)
from holdfast.conversation.activity.spans import Spans
from holdfast.conversation.activity.tasks import TaskList
from holdfast.conversation.activity.uses import Files, Runs, telling_line
from holdfast.conversation.activity.words import Said, is_plain, is_programs
from holdfast.conversation.history import ASSISTANT, USER, Block, Message

ERRORS_MAX: Final = 200
_STARTED: Final = re.compile(
    r"(?:running in background with ID|running with session ID|Task ID|agentId)\W{1,3}([\w-]+)"
)
_TASK_ID: Final = re.compile(r"<task-id>\s*([\w-]+)\s*</task-id>")
_FINISHED: Final = re.compile(r"<status>\s*(?:completed|failed|killed|stopped)|exited with code")


class Pass:
    """Collects the facts of a history, message by message."""

    def __init__(self) -> None:
        self._spans = Spans()
        self._calls: dict[str, tuple[about.Kind, Reading]] = {}
        self._read, self._changed = Files(), Files()
        self._commands, self._agents = Runs(), Runs()
        self._errors: dict[str, int] = {}
        self._tasks = TaskList()
        self._answers: list[Words] = []
        self._background: dict[str, str] = {}
        self._stopped: set[str] = set()
        self._others: Counter[str] = Counter()
        self._summaries: list[str] = []

    def take(self, message: Message) -> None:
        """Take in one message."""
        if message.role == ASSISTANT:
            self._heard(message.blocks)
        elif message.role == USER:
            said: list[Reading] = []
            for block in message.blocks:
                call_id = result_of(block)
                if call_id is None:
                    if not is_programs(block):
                        said.append(read(block))
                elif (known := self._calls.pop(call_id, None)) is not None:
                    self._settle(*known, block)
            if len(said) == 1 and is_plain(said[0]):
                self._spans.ask(said[0].text.strip())
            elif said:
                self._asked(Said(said))

    def _heard(self, blocks: Sequence[Block]) -> None:
        texts: list[Block] = []
        called = False
        for block in blocks:
            kind = type_of(block)
            if kind == "text":
                texts.append(block)
            elif kind == "tool_use":
                called = True
                call = read(block)
                self._calls[call.id] = (about.kind_of(call), call)
            elif kind == "compaction":
                self._summaries += Said([read(block)]).summaries
        self._spans.current.heard(texts, called=called)

    def _asked(self, said: Said) -> None:
        self._summaries += said.summaries
        for text in said.notifications:
            named = _TASK_ID.search(text)
            if named and _FINISHED.search(text):
                self._stop(named[1])
        if said.interrupted:
            self._spans.current.interrupted = True
        if said.command:
            self._spans.begin(said.command, said.by_person)
        elif said.by_person:
            self._spans.ask(said.by_person)

    def _stop(self, name: str) -> None:
        self._background.pop(name, None)
        self._stopped.add(name)

    def _settle(self, kind: about.Kind, call: Reading, result: Block) -> None:
        """Note what became of a call."""
        failed = about.has_failed(result)
        if kind == "command":
            self._ran(self._commands, about.command_of(call.input) or call.name, result, failed)
        elif kind == "agent":
            self._ran(self._agents, about.agent_task(call), result, failed)
        elif kind in {"stop", "poll"}:
            self._looked_after(kind, call, result)
        elif failed:
            self._failed(call, result)
        elif kind == "read":
            self._read.add(about.path_of(call.input) or call.name, call.input, result)
        elif kind == "change":
            self._changed.add(about.path_of(call.input) or call.name, call.input, result)
        elif kind == "patch":
            for path in about.patched_paths(call.input) or (call.name,):
                self._changed.add(path, call.input, result)
        elif kind == "tasks":
            self._tasks.take(call)
        elif kind in {"question", "plan"}:
            answer = ends(read(result).content).head
            self._answers.append(Words("user", answer, len(self._spans), is_decision=True))
        else:
            self._others[call.name] += 1

    def _ran(self, runs: Runs, line: str, result: Block, failed: bool) -> None:
        runs.add(line, result, failed=failed)
        start = result.raw[:600]
        if " ID" in start or runs is self._agents:
            named = _STARTED.search(start)
            if named:
                self._background[named[1]] = line

    def _looked_after(self, kind: about.Kind, call: Reading, result: Block) -> None:
        """Note what was heard of something in the background."""
        given = call.input
        raws = (given.task_id, given.bash_id, given.shell_id, given.shellId, given.session_id)
        name = next(filter(None, map(name_of, raws)), "")
        if name and (kind == "stop" or _FINISHED.search(result.raw[:600])):
            line = self._background.get(name)
            self._stop(name)
            if line is not None and kind == "poll":
                self._commands.add(line, result, failed=about.has_failed(result))

    def _failed(self, call: Reading, result: Block) -> None:
        refused = about.refused(result)
        said = "refused by the user" if refused else telling_line(result, failed=True)
        error = f"{about.label(call)[:160]}: {said}" if said else about.label(call)
        self._errors[error] = self._errors.pop(error, 0) + 1
        if len(self._errors) > ERRORS_MAX:
            del self._errors[next(iter(self._errors))]

    def facts(self) -> Activity:
        """Return what was found."""
        return Activity(
            before=self._spans.preceding,
            requests=self._spans.requests(),
            files_read=self._read.found(but=self._changed),
            files_changed=self._changed.found(),
            commands=self._commands.found(),
            agents=self._agents.found(),
            errors=tuple(self._errors.items()),
            decisions=decisions(self._words()),
            tasks=self._tasks.tasks,
            open_calls=tuple(about.label(call) for _, call in self._calls.values()),
            in_background=dict(self._background),
            stopped=frozenset(self._stopped),
            other_tools=dict(self._others.most_common()),
            summaries=tuple(self._summaries),
        )

    def _words(self) -> Iterator[Words]:
        yield from reversed(self._answers)
        yield from self._spans.words()


def activity(history: Sequence[Message]) -> Activity:
    """Collect the facts of a history."""
    found = Pass()
    for message in history:
        found.take(message)
    return found.facts()
