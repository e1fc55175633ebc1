"""How a history ends (R22, R23, R39) and where a compaction stands (R92).

Law: the last word is the user's, unless the API itself is to go on with a call of its own (R53). A
signed compaction replaces what it summarises, so it is the first block of all.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import ASSISTANT, SYSTEM, History, Message
from holdfast.conversation.profile import Profile
from holdfast.conversation.turns import pending_server_call


def last_speaker(history: History) -> int | None:
    """Return the index of the last message that is not a system message."""
    indices = range(len(history) - 1, -1, -1)
    return next((index for index in indices if history[index].role != SYSTEM), None)


def final_message(history: History, profile: Profile) -> Iterable[Finding]:
    """R22, R39, R23: a history ends with the user; a prefill does not end in thinking or space."""
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
    if last.blocks and last.blocks[-1].type in {"thinking", "redacted_thinking"}:
        detail = f"messages.{index}: The final block in an assistant message cannot be `thinking`."
        yield Finding("R39", index, len(last.blocks) - 1, detail)
    if profile.prefill_allowed and ends_in_space(last):
        detail = "messages: final assistant content cannot end with trailing whitespace"
        yield Finding("R23", index, len(last.blocks) - 1, detail)


def ends_in_space(message: Message) -> bool:
    """Say whether the last block of a message is text that ends in whitespace (R23)."""
    said = message.blocks[-1].text_of("text") if message.blocks else ""
    return said != said.rstrip()


def compactions(history: History, _profile: Profile) -> Iterable[Finding]:
    """R92, R93: a compaction block comes first, and there is only one."""
    for number, message in enumerate(history):
        for position, block in enumerate(message.blocks):
            if block.type == "compaction" and (number, position) != (0, 0):
                detail = (
                    "`compaction` block must be sent first, in place of the messages it "
                    "summarizes; remove those messages"
                )
                yield Finding("R92", number, position, detail)
