"""What `edit` and `write` share: how new text reaches a file, and how it is shown.

Law: a file that is open in the editor is changed in the editor, or there would be two truths. An
editor that does not answer leaves an unknown outcome, which is said, not guessed (P6).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from holdfast.tools import paths
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import ToolContext

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


def removed_and_added(old: str, new: str) -> str:
    """Show a replacement: removed lines after `-`, added ones after `+`."""
    removed = [f"-{line}" for line in old.split("\n")] if old else []
    added = [f"+{line}" for line in new.split("\n")] if new else []
    return "\n".join([*removed, *added])
