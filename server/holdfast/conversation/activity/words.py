"""Who said what in a user message: a person, the program around the model, or a tool.

Law: what a person wrote is kept to the letter; what programs put around it is known by its marks
and left out. The marks are those of Claude Code, Codex, Copilot and ours; what has none of them
counts as a person's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from holdfast.conversation import encoding
from holdfast.conversation.activity.reading import Reading, text_of
from holdfast.conversation.history import Block

_NOT_SAID_BY_A_PERSON: Final = (
    "<system_notification>", "<local-command-", "<command-name>", "<command-args>",
    "<task-notification>", "<subagent_notification>", "<bash-input>", "<bash-stdout>",
    "<bash-stderr>", "<user-prompt-submit-hook>", "<ide_diagnostics>", "<environment_context>",
    "<environment_details>", "<permissions instructions>", "<user_instructions>",
    "<apps_instructions>", "<skills_instructions>", "<collaboration_mode>", "<turn_aborted>",
    "<current_datetime>", '<file path="', "# AGENTS.md instructions", "Caveat: The messages below",
    "Base directory for this skill:", "Approved command prefix saved:",
    "[The session was interrupted", "[The beginning of this conversation", "[System note]",
    "[Nothing has been said",
)  # fmt: skip
_INTERRUPTION: Final = "[Request interrupted by user"
_SUMMARIES: Final = (
    "This session is being continued from a previous conversation",
    "[Earlier parts of this conversation were compacted",
)
_COMMAND: Final = "<command-message>"
_COMMAND_NAME: Final = re.compile(r"<command-name>\s*/?(.*?)\s*</command-name>", re.DOTALL)
_COMMAND_ARGUMENTS: Final = re.compile(r"<command-args>\s*(.*?)\s*</command-args>", re.DOTALL)
_REMINDERS: Final = ("system-reminder", "system_reminder", "ide_opened_file", "ide_selection")
_UNCLOSED: Final = tuple(f"<{name}>" for name in _REMINDERS)
_MARKS_BEGIN: Final = frozenset(mark[0] for mark in (*_NOT_SAID_BY_A_PERSON, *_SUMMARIES))
_MEDIA: Final = frozenset({"image", "document"})
NOTIFICATION: Final = "<task-notification>"
_PROGRAMS_RAW: Final = tuple(
    '{"type":"text","text":' + encoding.encode(mark)[:-1]
    for mark in _NOT_SAID_BY_A_PERSON
    if mark != NOTIFICATION
)


def is_programs(block: Block) -> bool:
    """Say by its first bytes whether a text is a program's and tells nothing; it may be long."""
    return block.raw.startswith(_PROGRAMS_RAW)


def is_plain(reading: Reading) -> bool:
    """Say at a glance whether a text is a person's, with no mark of a program anywhere in it."""
    first = reading.text[:1]
    return first.isalnum() and first not in _MARKS_BEGIN and "</" not in reading.text


class Said:
    """What the blocks of one user message say, sorted by who says it."""

    __slots__ = ("by_person", "command", "interrupted", "notifications", "summaries")

    def __init__(self, readings: Sequence[Reading]) -> None:
        """Sort the texts of a message."""
        self.command = ""
        self.interrupted = False
        self.summaries: list[str] = []
        self.notifications: list[str] = []
        words: list[str] = []
        for reading in readings:
            if reading.type == "text":
                words.append(self._take(reading.text.strip()))
            elif reading.type == "compaction":
                self.summaries += filter(None, [text_of(reading.content).strip()])
        self.by_person = "\n".join(filter(None, words))
        if not self.by_person and any(reading.type in _MEDIA for reading in readings):
            self.by_person = "(a picture or a document, without words)"

    def _take(self, text: str) -> str:
        """Return a person's words in one text; everything else is noted."""
        if text.startswith(_COMMAND):
            self.command = _slash_command(text)
            return ""
        if text.startswith(_INTERRUPTION):
            self.interrupted = True
            return ""
        if text.startswith(NOTIFICATION):
            self.notifications.append(text)
        if text.startswith(_SUMMARIES):
            self.summaries.append(text)
            return ""
        if text.startswith(_NOT_SAID_BY_A_PERSON):
            return ""
        if "</" in text:
            text = _without_reminders(text)
        return "" if text.startswith((*_NOT_SAID_BY_A_PERSON, *_UNCLOSED)) else text


def _without_reminders(text: str) -> str:
    """Return a text without what programs put into it between marks."""
    for name in _REMINDERS:
        begin, end = f"<{name}>", f"</{name}>"
        kept: list[str] = []
        done = 0
        while (at := text.find(begin, done)) >= 0 and (closed := text.find(end, at)) >= 0:
            kept.append(text[done:at])
            done = closed + len(end)
        text = "".join([*kept, text[done:]])
    return text.strip()


def _slash_command(text: str) -> str:
    """Return a slash command as it was typed."""
    name, arguments = _COMMAND_NAME.search(text), _COMMAND_ARGUMENTS.search(text)
    typed = f"/{name[1]}" if name else "/"
    return f"{typed} {arguments[1]}" if arguments and arguments[1] else typed
