"""What `edit` and `write` share: how new text reaches a file, and how it is shown.

Law: a file that is open in the editor is changed in the editor, or there would be two truths. An
editor that does not answer leaves an unknown outcome, which is said, not guessed (P6).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from holdfast.tools import files, paths
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext
from holdfast.tools.threads import in_thread

EDITOR_TIMEOUT_S: Final = 30.0


async def in_editor(path: Path, text: str, label: str, context: ToolContext) -> None:
    """Replace an open document's text. Raises `ToolFailure` when refused or not answered."""
    assert context.editor is not None
    shown = paths.shown(path, context)
    timeout_s = min(EDITOR_TIMEOUT_S, context.run_timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            applied = await context.editor.replace_text(path, text, label)
    except TimeoutError as error:
        raise ToolFailure(
            f"The editor did not answer within {timeout_s:g} s. Whether {shown} was changed is "
            "unknown; read it before you try again."
        ) from error
    if not applied:
        raise ToolFailure(f"The editor refused to change {shown}; nothing was changed.")


async def text_found(path: Path, context: ToolContext) -> str | None:
    """Return the text that a call would find: the editor's, else the disk's; None for no file.

    Raises `ToolFailure` and `OSError` as a call would.
    """
    unsaved = context.editor.open_text(path) if context.editor else None
    if unsaved is not None:
        return unsaved
    try:
        return await in_thread(lambda: text_on_disk(path, paths.shown(path, context)))
    except FileNotFoundError:
        return None


def text_on_disk(path: Path, shown: str) -> str:
    """Return a file's text, in which bytes that are no UTF-8 are lone surrogates.

    They come back as they were when it is encoded in the same way. Raises `ToolFailure` for what
    is no text, and `OSError`.
    """
    data = files.read_bytes(path)
    if files.is_binary(data):
        raise ToolFailure(f"{shown} is a binary file and cannot be edited as text.")
    return data.decode(errors="surrogateescape")


def removed_and_added(old: str, new: str) -> str:
    """Show a replacement: removed lines after `-`, added ones after `+`.

    A last newline ends its line and begins none, unless it is all that differs.
    """
    ends = not old or old.removesuffix("\n") != new.removesuffix("\n")

    def marked(mark: str, text: str) -> list[str]:
        lines = text.removesuffix("\n") if ends else text
        return [f"{mark}{line}" for line in lines.split("\n")] if text else []

    return "\n".join([*marked("-", old), *marked("+", new)])
