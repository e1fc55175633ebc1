"""Files that a person mentions in a prompt, for the model.

Law: what is mentioned is read once, when the prompt is taken in, by the rules of the tool `read`:
only inside the workspace, the editor's unsaved text before the disk's. Every mention becomes one
text of bounded size, which for a picture or PDF says where it is attached; what cannot be shown is
said in it, so that no prompt is lost for a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from holdfast.conversation.history import Block
from holdfast.media import fitting
from holdfast.tools import files, output, paths
from holdfast.tools.base import in_words
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Mention, ToolContext
from holdfast.tools.threads import in_thread

MENTION_BYTES_MAX: Final = 100_000
ALL_BYTES_MAX: Final = 400_000
MEDIA_MAX: Final = 20
"""Pictures and PDFs of one prompt: as many as the API takes without narrower limits (R60)."""


@attrs.frozen
class Read:
    """What was mentioned: one text for each mention, in order, and the pictures and PDFs among
    them as blocks of their own, to stand before the texts.
    """

    texts: tuple[str, ...]
    media: tuple[Block, ...] = ()


async def read(mentions: Sequence[Mention], context: ToolContext) -> Read:
    """Return what the mentioned files hold. Total: a failure is words in the text."""
    texts: list[str] = []
    media: list[Block] = []
    room = ALL_BYTES_MAX
    for mention in mentions:
        found, shown = await _read(mention, context, min(room, MENTION_BYTES_MAX), len(media))
        room = max(0, room - len(found.encode()))
        texts.append(found)
        media += shown
    return Read(tuple(texts), tuple(media))


async def _read(
    mention: Mention, context: ToolContext, room: int, media_before: int
) -> tuple[str, tuple[Block, ...]]:
    try:
        path = paths.resolve(mention.path, context)
        text = context.editor.open_text(path) if context.editor else None
        shown = paths.shown(path, context)
        if text is None:
            found = await in_thread(lambda: _from_disk(path))
            if isinstance(found, Block):
                return await _medium(shown, found, media_before)
            text = found
        return _block(mention, shown, text, room), ()
    except ToolFailure as failure:
        reason = str(failure)
    except OSError as error:
        reason = in_words(error, context)
    return _not_shown(mention.path, reason), ()


def _from_disk(path: Path) -> str | Block:
    data = files.read_bytes(path)
    media_type = fitting.sniffed(data)
    if media_type is not None:
        return fitting.from_file(data, media_type)
    if files.is_binary(data):
        raise ToolFailure(f"It is a binary file of {len(data)} bytes.")
    return data.decode(errors="replace")


async def _medium(shown: str, found: Block, before: int) -> tuple[str, tuple[Block, ...]]:
    """Return the words for a picture or PDF, and its blocks; no blocks when it cannot be shown."""
    if before >= MEDIA_MAX:
        raise ToolFailure(f"The files before it hold {MEDIA_MAX} pictures already.")
    first, *notes = await fitting.fitted([found])
    if first.type == "text":
        return _not_shown(shown, first.text_of("text")), ()
    kind = "picture" if first.type == "image" else "PDF"
    said = f"[A {kind}, attached above as file number {before + 1} of those that are no text.]"
    told = [said, *(note.text_of("text") for note in notes)]
    return "\n".join([_tag(shown, ""), *told, "</file>"]), (first,)


def _not_shown(path: str, reason: str) -> str:
    return f"{_tag(path, '')}\n[Not shown: {output.one_line(reason, 500)}]\n</file>"


def _block(mention: Mention, shown: str, text: str, room: int) -> str:
    lines = output.safe(text).split("\n")
    if lines[-1] == "":
        lines.pop()
    first = mention.start_line or 1
    last = min(mention.end_line or len(lines), len(lines))
    if not lines:
        return f"{_tag(shown, '')}\n[The file is empty.]\n</file>"
    if first > last:
        raise ToolFailure(f"It has {len(lines)} lines; there are none from {first} to {last}.")
    if room == 0:
        raise ToolFailure(f"The files before it have {ALL_BYTES_MAX} bytes already.")
    whole = mention.start_line is None and mention.end_line is None
    wanted = "\n".join(lines[first - 1 : last])
    kept = wanted.encode()[:room].decode(errors="ignore")
    tag = _tag(shown, "" if whole else f' lines="{first}-{last}"')
    if kept == wanted:
        return f"{tag}\n{kept}\n</file>"
    sizes = f"the first {len(kept.encode())} of {len(wanted.encode())} bytes"
    return f"{tag}\n{kept}\n[Clipped: {sizes} are shown. Use `read` for more.]\n</file>"


def _tag(path: str, more: str) -> str:
    shown = output.one_line(path, 1_000).replace('"', "&quot;")
    return f'<file path="{shown}"{more}>'
