"""Taking in prompts, titles and foreign histories.

Law: what is taken in is fit for every later request (prevention, not repair): no blank text, no
lone surrogates, no blocks that a user message may not carry, no picture that a later request could
not hold. So what was sent once never has to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import msgspec

from holdfast.agent.errors import BadPrompt
from holdfast.agent.prompts import system_prompt
from holdfast.conversation import encoding
from holdfast.conversation.clipping import clip
from holdfast.conversation.history import USER, Block, Message, text, user
from holdfast.conversation.passes import Context, Log
from holdfast.conversation.passes.media import mend_media
from holdfast.conversation.profile import DEFAULT, MEBIBYTE
from holdfast.media import fitting
from holdfast.session import events as ev
from holdfast.transcripts import discovery, formats

UNTITLED: Final = "New session"
TITLE_CHARS_MAX: Final = 80
STRICT: Final = attrs.evolve(
    DEFAULT, image_side_max=DEFAULT.many_images_side_max, image_bytes_max=5 * MEBIBYTE
)
"""The narrowest limits that any model behind any endpoint has for one picture (R60, R61)."""
OUTPUT_BYTES_MAX: Final = 200_000
"""Bytes of one text of a tool that sets itself no limit (A22)."""
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


async def attachments(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks of a prompt with pictures and documents made fit, or said in words.

    A prompt is never lost for what is attached to it.
    """
    return await fitting.fitted(blocks)


async def tool_output(content: Sequence[Block]) -> tuple[Block, ...]:
    """Return what a tool brought back, fit for every later request: its media and its length."""
    clipped = (_clipped(block) if block.type == "text" else block for block in content)
    return await fitting.fitted(tuple(clipped))


def _clipped(block: Block) -> Block:
    said = block.text_of("text")
    kept = clip(said, OUTPUT_BYTES_MAX)
    return block if kept == said else text(kept)


def title(wanted: str) -> str:
    """Return a title of one line and bounded length."""
    line = " ".join(_sound(wanted).split())
    if len(line) > TITLE_CHARS_MAX:
        line = line[: TITLE_CHARS_MAX - 1].rstrip() + "…"
    return line or UNTITLED


def _sound(words: str) -> str:
    """Return words that can be encoded: foreign texts and names of files may hold halves."""
    return str(encoding.without_lone_surrogates(words))


def title_from(blocks: Iterable[Block]) -> str:
    """Name a session after its first prompt."""
    return title(next((b.text_of("text") for b in blocks if b.type == "text"), UNTITLED))


def message_events(messages: Iterable[Message]) -> list[ev.Event]:
    """Return the events that carry a history of another session."""
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

    The first one names the model that spoke last: see `without_model`. Raises `OSError` when the
    file cannot be read at all.
    """
    found = formats.read(path)
    uri = workspace_uri
    if uri is None and found.cwd and discovery.is_folder(Path(found.cwd)):
        uri = Path(found.cwd).as_uri()
    created = ev.SessionCreated(
        title=title(wanted_title or found.title or _first_words(found.messages) or path.stem),
        system=system_prompt(uri),
        workspace_uri=uri,
        model=_sound(found.model) or None,
    )
    imported = ev.HistoryImported(
        source=_sound(path.name),
        format=found.format,
        notes=tuple(_sound(str(note)) for note in found.notes),
    )
    todos = tuple(ev.TodoItem(text=_sound(t.text), status=t.status) for t in found.todos)
    return [
        created,
        imported,
        *message_events(_with_fit_pictures(found.messages)),
        *([ev.TodosUpdated(todos=todos)] if todos else []),
    ]


def model_of(events: Sequence[ev.Event]) -> str | None:
    """Return the model that a new session begins with; None means the one in settings."""
    return events[0].model if isinstance(events[0], ev.SessionCreated) else None


def without_model(events: Sequence[ev.Event]) -> list[ev.Event]:
    """Return the events of an import whose model is not offered here; the import says so."""
    created, imported, *rest = events
    assert isinstance(created, ev.SessionCreated)
    assert isinstance(imported, ev.HistoryImported)
    note = f"its model {created.model} is not offered here: the session uses the one in settings"
    return [
        msgspec.structs.replace(created, model=None),
        msgspec.structs.replace(imported, notes=(*imported.notes, note)),
        *rest,
    ]


def _with_fit_pictures(messages: Iterable[Message]) -> Iterator[Message]:
    """Make pictures fit that would break a limit now or later; the transcript keeps its own.

    What cannot be decoded is left for repair, which says so.
    """
    for message in messages:
        if not any(unfit(block) for block in message.blocks):
            yield message
            continue
        blocks = tuple(
            (fitting.shrink(block) if unfit(block) else None) or block for block in message.blocks
        )
        yield attrs.evolve(message, blocks=blocks)


def unfit(block: Block) -> bool:
    """Say whether repair would change a picture of a block, by the narrowest limits (R59-R61)."""
    alone = (user(block),)
    return mend_media(alone, Context(STRICT), Log()) is not alone
