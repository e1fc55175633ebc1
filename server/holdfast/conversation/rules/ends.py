"""How a history ends (R22, R23, R39, R69) and where a compaction stands (R92).

Law: the last word is the user's, unless the API itself is to go on with a call of its own (R53). A
signed compaction replaces what it summarises, so it is the first block of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, SYSTEM, Block, History, Message
from holdfast.conversation.profile import THINKING_BLOCKS, Profile
from holdfast.conversation.rules.blanks import is_blank
from holdfast.conversation.turns import Place, pending_server_call, places


def last_speaker(history: History) -> int | None:
    """Return the index of the last message that is not a system message."""
    indices = range(len(history) - 1, -1, -1)
    return next((index for index in indices if history[index].role != SYSTEM), None)


def final_message(history: History, profile: Profile) -> Iterable[Finding]:
    """R22, R23, R39, R69: the user has the last word; a prefill has no thinking, no last blank."""
    index = last_speaker(history)
    if index is None:
        return
    last = history[index]
    if last.role != ASSISTANT or pending_server_call(last):
        return
    if not profile.prefill_allowed or history[-1].role == SYSTEM:
        yield Finding(
            "R22",
            len(history) - 1,
            None,
            "This model does not support assistant message prefill. The conversation must end with "
            "a user message.",
        )
    if last.blocks and last.blocks[-1].type in THINKING_BLOCKS:
        detail = f"messages.{index}: The final block in an assistant message cannot be `thinking`."
        yield Finding("R39", index, len(last.blocks) - 1, detail)
    if profile.prefill_allowed:
        yield from _prefill_flaws(history, index, profile)


def _prefill_flaws(history: History, index: int, profile: Profile) -> Iterable[Finding]:
    """R23, R69: a prefill is plain text without blanks at its end, and thinking is off."""
    last = history[index]
    if ends_in_space(last):
        detail = "messages: final assistant content cannot end with trailing whitespace"
        yield Finding("R23", index, len(last.blocks) - 1, detail)
    if profile.leading_thinking_required:
        yield Finding("R23", index, None, "messages: prefill is not possible while thinking is on")
        return
    for place in final_thinking(history):
        detail = (
            f"messages.{place.message}.content.{place.block}: When thinking is disabled, an "
            "`assistant` message in the final position cannot contain `thinking`. To use thinking "
            "blocks, enable `thinking` in your request."
        )
        yield Finding("R69", place.message, place.block, detail)


def final_thinking(history: History) -> tuple[Place, ...]:
    """Return the thinking in the assistant turn that ends a history."""
    start = len(history)
    while start and history[start - 1].role == ASSISTANT:
        start -= 1
    return tuple(
        place
        for index in range(start, len(history))
        for place in places(history[index], index)
        if place.value.type in THINKING_BLOCKS
    )


def ends_in_space(message: Message) -> bool:
    """Say whether the last block of a message is text that ends in whitespace (R23)."""
    said = message.blocks[-1].text_of("text") if message.blocks else ""
    return said != said.rstrip()


def compactions(history: History, profile: Profile) -> Iterable[Finding]:
    """R92-R94, R96: a compaction block comes first, alone, signed, and says something."""
    found = [
        place
        for number, message in enumerate(history)
        for place in places(message, number)
        if place.value.type == "compaction"
    ]
    summaries = sum(place.value.get("content") is not None for place in found)
    rule = "R93" if summaries > 1 else "R92"
    for place in found:
        if is_blank(place.value.get("content")):
            where = f"messages.{place.message}.content.{place.block}"
            detail = f"{where}: compaction content cannot be empty"
            yield Finding("R96", place.message, place.block, detail)
        if profile.compaction_leads and (place.message, place.block) != (0, 0):
            yield Finding(rule, place.message, place.block, _MISPLACED[rule])
        elif is_unsigned(place.value, profile):
            where = f"messages.{place.message}.content.{place.block}"
            detail = f"{where}: the signature of the compaction block is not valid"
            yield Finding("R94", place.message, place.block, detail)


def is_unsigned(compaction: Block, profile: Profile) -> bool:
    """Say whether the content of a compaction is not the API's own, which it checks (R94).

    Where compaction on demand is known, and only there, such a block may stand in a user message.
    """
    takes_signed = "compaction" in profile.user_blocks
    said = compaction.text_of("content").strip()
    return takes_signed and bool(said) and not compaction.text_of("signature")


_MISPLACED: Final = {
    "R92": (
        "`compaction` block must be sent first, in place of the messages it summarizes; remove "
        "those messages"
    ),
    "R93": "more than one `compaction` block with content; send only the last",
}
