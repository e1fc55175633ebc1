"""What share of a session's facts stands in its local digest.

Law: the facts are read from the raw lines of a transcript with nothing but the json module, so that
a misreading of ours shows as a loss. They are what a person would look for: prompts, files changed,
commands that failed, the task list, the last exchange, open items. "Stands" means, white space
aside: of a prompt its first 200 characters, of a file its whole path, of a failed command its first
100 characters on a line that says that it failed or was refused, of a task its first 200
characters, of an open call its name and 60 characters on a line that says that it has no result; of
the last exchange every character of the last prompt and of the assistant's last words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.conversation.cut_points import NothingToCompact, cut_points
from holdfast.conversation.digest import digest
from holdfast.conversation.history import History, from_wire
from holdfast.conversation.tokens import estimate, estimate_text
from holdfast.transcripts import claude_code

BUDGET_TOKENS = 8_000
SESSION_TOKENS_MAX = 200_000
"""Larger sessions are shown, and judged by last exchange and open items only."""
PROMPT_CHARS = 200
COMMAND_CHARS = 100
CALL_CHARS = 60
OPEN_MARKS = ("no result is on record", "[pending]", "[in_progress]")
ABOUT = ("command", "cmd", "file_path", "path", "description")
CORPUS = Path(__file__).resolve().parents[1] / "corpora" / "claude-code"
NO_PROMPT = (
    "<local-command", "<command-name>", "<command-args>", "<task-notification>",
    "<system-reminder>", "<bash-", "<ide_", "[Request interrupted", "Caveat:",
    "<environment_context>", "<permissions instructions>",
    "<subagent_notification>", "<collaboration_mode>",
    "<current_datetime>", "Approved command prefix saved:",
    "This session is being continued from a previous conversation",
)  # fmt: skip
CHANGES = {"Edit", "Write", "MultiEdit", "NotebookEdit", "edit", "create"}
COMMANDS = {"Bash", "bash", "exec_command"}

Line = dict[str, Any]


class Facts(NamedTuple):
    """What a digest must tell of a session; `exchange` and `open_items` to the last of them."""

    prompts: list[str]
    changed: list[str]
    failed: list[str]
    tasks: list[str]
    exchange: list[str]
    open_items: list[str]


class Retention(NamedTuple):
    """The figures of one session."""

    name: str
    tokens: int
    facts: int
    kept: int
    exchange_kept: bool
    open_items: int
    open_kept: int
    digest_tokens: int
    lost: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.kept / self.facts if self.facts else 1.0

    @property
    def is_judged(self) -> bool:
        return self.tokens <= SESSION_TOKENS_MAX


def sessions(*, corpus_only: bool = False) -> Iterator[tuple[str, History, Facts]]:
    """Yield the sessions of the committed corpus and of HOLDFAST_TRANSCRIPTS, each once."""
    more = "" if corpus_only else os.environ.get("HOLDFAST_TRANSCRIPTS", "")
    folders = [CORPUS, *([Path(more)] if more else [])]
    seen: set[bytes] = set()
    for folder in folders:
        for path in sorted((*folder.rglob("*.jsonl"), *folder.rglob("*.messages.json"))):
            content = path.read_bytes()
            if content in seen:
                continue
            seen.add(content)
            history, found = session(path)
            if history:
                yield path.name, history, found


def session(path: Path) -> tuple[History, Facts]:
    """Return a session as the digest gets it, and its facts as the raw file has them."""
    if path.suffix == ".json":
        messages = json.loads(path.read_bytes())["messages"]
        return from_wire(messages), facts([{"message": message} for message in messages])
    return claude_code.read(path).messages, facts(branch(lines(path)))


def digest_in_parts(history: History, parts: int) -> str:
    """Return what is left of a session that was compacted `parts` times by a digest."""
    shown = ""
    begin = 0
    try:
        legal = cut_points(history)
    except NothingToCompact:
        legal = ()
    for n in range(1, parts):
        end = legal[n * len(legal) // parts] if legal else 0
        if end > begin:
            shown = digest(history[begin:end], BUDGET_TOKENS, previous=f"<summary>\n{shown}\n")
            begin = end
    return digest(history[begin:], BUDGET_TOKENS, previous=shown)


def measure(name: str, history: History, found: Facts, parts: int = 1) -> Retention:
    """Make the digest of a session, in one go or in parts, and look for its facts."""
    shown = digest_in_parts(history, parts)
    flat = plain(shown)
    failures = [plain(line) for line in shown.splitlines() if "failed" in line or "refused" in line]
    checks = [
        *((f"prompt: {p}", beginning(p, PROMPT_CHARS) in flat) for p in found.prompts),
        *((f"changed: {path}", path in shown) for path in found.changed),
        *(
            (f"failed: {c}", any(beginning(c, COMMAND_CHARS) in line for line in failures))
            for c in found.failed
        ),
        *((f"task: {t}", beginning(t, PROMPT_CHARS) in flat) for t in found.tasks),
    ]
    open_lines = [plain(line) for line in shown.splitlines() if any(m in line for m in OPEN_MARKS)]
    open_kept = sum(
        any(beginning(item, PROMPT_CHARS) in line for line in open_lines)
        for item in found.open_items
    )
    return Retention(
        name=name,
        tokens=estimate(history),
        facts=len(checks),
        kept=sum(kept for _, kept in checks),
        exchange_kept=all(words in shown for words in found.exchange),
        open_items=len(found.open_items),
        open_kept=open_kept,
        digest_tokens=estimate_text(shown),
        lost=tuple(what for what, kept in checks if not kept),
    )


def plain(text: str) -> str:
    return " ".join(text.split())


def beginning(text: str, chars: int) -> str:
    return plain(text)[:chars].strip()


# --- reading raw lines -----------------------------------------------------------------------


def lines(path: Path) -> list[Line]:
    """Return the objects of a file, line by line; what is no object is left out."""
    found: list[Line] = []
    for raw in path.read_bytes().split(b"\n"):
        try:
            value = json.loads(raw)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def branch(every: Sequence[Line]) -> list[Line]:
    """Return the lines that lead to the last message, and the results that hang on their calls."""
    messages = [
        line for line in every
        if line.get("type") in {"user", "assistant"} and isinstance(line.get("message"), dict)
    ]  # fmt: skip
    trunk = [line for line in messages if not line.get("isSidechain")] or messages
    by_id = {line["uuid"]: line for line in every if isinstance(line.get("uuid"), str)}
    on_path: set[str] = set()
    at = trunk[-1] if trunk else None
    while at is not None and at["uuid"] not in on_path:
        on_path.add(at["uuid"])
        at = by_id.get(at.get("parentUuid") or "")
    called = {
        block["id"]
        for line in trunk if line["uuid"] in on_path
        for block in blocks(line) if block.get("type") == "tool_use"
    }  # fmt: skip
    return [
        line for line in trunk
        if line["uuid"] in on_path
        or any(block.get("tool_use_id") in called for block in blocks(line))
    ]  # fmt: skip


def blocks(line: Line) -> list[Line]:
    content = line["message"].get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or [] if isinstance(block, dict)]


def facts(branch_: Sequence[Line]) -> Facts:
    """Return the facts of the lines of one branch."""
    prompts: list[str] = []
    last_words: list[str] = []
    calls: dict[str, Line] = {}
    settled: dict[str, Line] = {}
    last_message: Any = None
    for line in branch_:
        if line.get("isApiErrorMessage") or line["message"].get("model") == "<synthetic>":
            continue  # the model never said it
        if line["message"].get("role") == "assistant":
            texts = [b["text"].strip() for b in blocks(line) if b.get("type") == "text"]
            texts = list(filter(None, texts))
            if texts:
                same = line["message"].get("id") not in {None, last_message}
                last_words = texts if same or last_message is None else [*last_words, *texts]
                last_message = line["message"].get("id")
            calls.update({b["id"]: b for b in blocks(line) if b.get("type") == "tool_use"})
            continue
        settled.update(
            {b["tool_use_id"]: b for b in blocks(line) if b.get("type") == "tool_result"}
        )
        asked = prompt(line)
        if asked:
            prompts.append(asked)
            last_words, last_message = [], None
    tasks = list(last_tasks(calls, settled))
    return Facts(
        prompts=prompts,
        changed=list(dict.fromkeys(changed(calls, settled))),
        failed=list(dict.fromkeys(failed(calls, settled))),
        tasks=[text for text, _ in tasks],
        exchange=[*prompts[-1:], *last_words],
        open_items=[
            *(text for text, status in tasks if status != "completed"),
            *(subject(call) for name, call in calls.items() if name not in settled),
        ],
    )


def prompt(line: Line) -> str:
    """Return what a person wrote in a line, "" when nobody did."""
    if line.get("isMeta") or line.get("isCompactSummary"):
        return ""
    texts = [b["text"].strip() for b in blocks(line) if b.get("type") == "text"]
    written = [text for text in texts if text and not text.startswith(NO_PROMPT)]
    said = "\n".join(written)
    if said.startswith("<command-message>"):
        name = said.partition("<command-name>")[2].partition("</command-name>")[0]
        typed = said.partition("<command-args>")[2].partition("</command-args>")[0]
        return f"/{name.strip().lstrip('/')} {typed}".strip()
    return said


def subject(call: Line) -> str:
    """Return what tells a call from others: its name and what it is about."""
    given = call["input"] if isinstance(call["input"], dict) else {}
    about = next((given[n] for n in ABOUT if isinstance(given.get(n), str)), "")
    return f"{call['name']}: {beginning(about, CALL_CHARS)}" if about else call["name"]


def changed(calls: Mapping[str, Line], settled: Mapping[str, Line]) -> Iterator[str]:
    for name, call in calls.items():
        if name not in settled or settled[name].get("is_error"):
            continue
        given = call["input"]
        if call["name"] in CHANGES:
            named = given.get("file_path") or given.get("notebook_path") or given.get("path")
            yield from [named] if named else []
        elif call["name"] == "apply_patch":
            for row in given.get("input", "").splitlines():
                if row.startswith(("*** Add File: ", "*** Update File: ", "*** Delete File: ")):
                    yield row.partition(": ")[2].strip()


def failed(calls: Mapping[str, Line], settled: Mapping[str, Line]) -> Iterator[str]:
    for name, call in calls.items():
        if call["name"] in COMMANDS and name in settled:
            result = settled[name]
            code = str(result.get("content")).partition("Process exited with code ")[2][:2].strip()
            if result.get("is_error") or (code and not code.startswith("0")):
                yield call["input"].get("command") or call["input"]["cmd"]


def last_tasks(calls: Mapping[str, Line], settled: Mapping[str, Line]) -> Iterable[tuple[str, str]]:
    """Return the last task list as texts with their status."""
    whole: list[tuple[str, str]] = []
    single: dict[str, tuple[str, str]] = {}
    for name, call in calls.items():
        given = call["input"]
        if name not in settled or settled[name].get("is_error"):
            continue
        if call["name"] == "TodoWrite":
            whole = [(item["content"], item["status"]) for item in given["todos"]]
        elif call["name"] == "update_plan":
            whole = [(item["step"], item["status"]) for item in given["plan"]]
        elif call["name"] == "TaskCreate":
            single[str(len(single) + 1)] = (given["subject"], "pending")
        elif call["name"] == "TaskUpdate" and given.get("taskId") in single:
            text, status = single[given["taskId"]]
            status = given.get("status", status)
            single[given["taskId"]] = (given.get("subject", text), status)
    return [task for task in single.values() if task[1] != "deleted"] or whole


def table(measured: Sequence[Retention]) -> str:
    """Return the figures of each session as aligned columns."""
    heads = ("file", "tokens", "facts", "kept", "%", "exchange", "open items", "digest")
    cells = [
        (
            one.name[:44], f"{one.tokens:,}", str(one.facts), str(one.kept),
            f"{100 * one.share:.1f}", "whole" if one.exchange_kept else "LOST",
            f"{one.open_kept} of {one.open_items}", f"{one.digest_tokens:,}",
        )
        for one in sorted(measured, key=lambda one: one.tokens)
    ]  # fmt: skip
    widths = [max(len(row[n]) for row in (heads, *cells)) for n in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(w) if n == 0 else cell.rjust(w)
                  for n, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in (heads, *cells)
    )  # fmt: skip
