"""Taking in prompts, titles and foreign histories.

Law: what is taken in is fit for every later request (prevention, not repair): no blank text, no
lone surrogates, no blocks that a user message may not carry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from holdfast.agent.api import BadPrompt
from holdfast.agent.prompts import system_prompt
from holdfast.conversation.history import USER, Block, Message
from holdfast.session import events as ev
from holdfast.transcripts import claude_code

UNTITLED: Final = "New session"
TITLE_CHARS_MAX: Final = 80
PROMPT_BLOCKS: Final = frozenset({"text", "image", "document", "search_result"})


def prompt(content: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks of a prompt. Raises `BadPrompt` when there is nothing to say."""
    strange = sorted({b.type or "without a type" for b in content if b.type not in PROMPT_BLOCKS})
    if strange:
        raise BadPrompt(f"A prompt cannot carry blocks of type {', '.join(strange)}.")
    blocks = tuple(b for b in content if b.type != "text" or b.text_of("text").strip())
    if not blocks:
        raise BadPrompt("The prompt is empty.")
    return blocks


def title(wanted: str) -> str:
    """Return a title of one line and bounded length."""
    line = " ".join(wanted.split())
    if len(line) > TITLE_CHARS_MAX:
        line = line[: TITLE_CHARS_MAX - 1].rstrip() + "…"
    return line or UNTITLED


def title_from(blocks: Iterable[Block]) -> str:
    """Name a session after its first prompt."""
    return title(next((b.text_of("text") for b in blocks if b.type == "text"), UNTITLED))


def message_events(messages: Iterable[Message]) -> list[ev.Event]:
    """Return the events that carry a foreign history."""
    return [ev.MessageImported(role=m.role, content=ev.raw_blocks(m.blocks)) for m in messages]


def _first_words(messages: Iterable[Message]) -> str:
    """Return the first thing that a person said, as the title of a session that has none."""
    said = (
        block.text_of("text").strip()
        for message in messages
        if message.role == USER
        for block in message.blocks
        if block.type == "text"
    )
    return next((words for words in said if words), "")


def transcript_events(
    path: Path, wanted_title: str | None, workspace_uri: str | None
) -> list[ev.Event]:
    """Read a transcript and return the events of a new session with that past.

    Raises `OSError` when the file cannot be read at all.
    """
    found = claude_code.read(path)
    uri = workspace_uri
    if uri is None and found.cwd and Path(found.cwd).is_dir():
        uri = Path(found.cwd).as_uri()
    created = ev.SessionCreated(
        title=title(wanted_title or found.title or _first_words(found.messages) or path.stem),
        system=system_prompt(uri),
        workspace_uri=uri,
    )
    imported = ev.HistoryImported(
        source=path.name, format=found.format, notes=tuple(str(note) for note in found.notes)
    )
    todos = tuple(ev.TodoItem(text=t.text, status=t.status) for t in found.todos)
    return [
        created,
        imported,
        *message_events(found.messages),
        *([ev.TodosUpdated(todos=todos)] if todos else []),
    ]
