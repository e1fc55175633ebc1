"""How history from elsewhere is shown: as if it had happened here.

Law: no words are lost. What Holdfast itself had told the model in the user's place (a stop, a cut)
is shown as the notice that it was.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.conversation import casting
from holdfast.conversation.history import ASSISTANT, USER, Block
from holdfast.session import events as ev
from holdfast.session import wording
from holdfast.session.items import prompts, responses, tools
from holdfast.session.items.shapes import Level, NoticeItem
from holdfast.session.items.state import ItemsState

_FILE: Final = re.compile(r'<file path="([^"\n]*)"[^>\n]*>\n.*\n</file>', re.DOTALL)
"""A file that was mentioned in a prompt, as a fork's history has it: a block of its own."""

_OWN_WORDS: Final[tuple[tuple[str, str, Level, str], ...]] = (
    (wording.STOPPED, "stopped", "info", "The turn was stopped here."),
    *(
        (wording.continuation((), cause).split(" Continue")[0], "cut", "info", "The answer was cut")
        for cause in ev.CutCause
    ),
)


def message_imported(state: ItemsState, event: ev.MessageImported, seq: int, at_ms: int) -> None:
    """Show one message of an imported history."""
    blocks = ev.blocks_of(event.content)
    said: list[Block] = []
    for index, block in enumerate(blocks):
        members = {"id": f"{seq}.{index}", "seq": seq, "at_ms": at_ms}
        if event.role == ASSISTANT:
            responses.assistant_items(state, block, **members)
        elif block.type == "tool_result":
            tools.imported_result(state, block, **members)
        elif event.role == USER:
            said.append(block)
        else:
            _notice(state, f"{seq}.{index}", seq, at_ms, "imported", casting.as_text(block))
    if not said:
        return
    words = said[0].text_of("text") if len(said) == 1 else ""
    own = next((row for row in _OWN_WORDS if words.startswith(row[0])), None)
    if own is not None:
        _notice(state, str(seq), seq, at_ms, own[1], own[3], words)
        return
    files = [_FILE.fullmatch(block.text_of("text")) for block in said[1:]]
    own_words = [said[0], *(b for b, file in zip(said[1:], files, strict=True) if file is None)]
    mentions = tuple(file[1] for file in files if file is not None)
    state.items.put(
        prompts.prompt_item(
            own_words, mentions, id=str(seq), seq=seq, at_ms=at_ms, prompt_id="", state="sent"
        )
    )


def _notice(
    state: ItemsState, item_id: str, seq: int, at_ms: int, code: str, text: str, detail: str = ""
) -> None:
    state.items.put(
        NoticeItem(
            id=item_id, seq=seq, at_ms=at_ms, code=code, level="info", text=text, detail=detail
        )
    )
