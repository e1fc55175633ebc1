"""Items and changes: a session as a person sees it, in the shapes that go over the wire.

Law: an item says what to show, never how. Its `id` and `seq` come from the record that began it,
so that the same journal gives the same ids, before and after a restart. Times are wall-clock
milliseconds. Members that are absent do not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from holdfast.session.events import ToolOutcome

TextState: TypeAlias = Literal["streaming", "done", "cut"]
ToolState: TypeAlias = Literal[
    "writing",
    "requested",
    "asking",
    "running",
    "finished",
    "failed",
    "refused",
    "interrupted",
    "notStarted",
    "unknown",
]
Level: TypeAlias = Literal["info", "warning", "error"]

STATES: Final[Mapping[ToolOutcome, ToolState]] = {
    ToolOutcome.FINISHED: "finished",
    ToolOutcome.REFUSED: "refused",
    ToolOutcome.NOT_STARTED: "notStarted",
    ToolOutcome.INTERRUPTED: "interrupted",
    ToolOutcome.UNKNOWN: "unknown",
}
"""What a call's outcome is called here; a finished one that reports an error is "failed"."""

SETTLED: Final[frozenset[ToolState]] = frozenset({*STATES.values(), "failed"})


class Item(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", omit_defaults=True
):
    """What all items have in common. `turn_id` is the turn that it belongs to."""

    id: str
    seq: int
    at_ms: int
    turn_id: str | None = None


class PromptItem(Item, frozen=True, tag="prompt"):
    """What a person said. `images` are media types, `mentions` the paths of attached files.

    `prompt_id` is "" for prompts from elsewhere: a session cannot be rewound to them.
    """

    prompt_id: str
    text: str
    state: Literal["queued", "sent"]
    images: tuple[dict[str, str], ...] = ()
    mentions: tuple[str, ...] = ()


class TextItem(Item, frozen=True, tag="text"):
    """The assistant's words, in Markdown."""

    text: str
    state: TextState
    model: str | None = None


class ThinkingItem(Item, frozen=True, tag="thinking"):
    """The assistant's thinking; its text may be empty. `elapsed_ms`: how long it took."""

    text: str
    state: TextState
    elapsed_ms: int | None = None


class ToolItem(Item, frozen=True, tag="tool"):
    """A tool call. `input` and `output` are clipped; `holdfast.tool.output` has the whole output.

    `has_diff`: it changes a file, and `holdfast.tool.diff` can say how.
    """

    tool_use_id: str
    name: str
    title: str
    input: dict[str, Any]
    state: ToolState
    has_diff: bool
    output: str | None = None
    output_clipped: bool = False
    path: str | None = None
    question_id: str | None = None
    started_at: int | None = None
    ended_at: int | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person can do about a notice: a command and its argument, as data."""

    title: str
    command: str
    argument: dict[str, Any]


class NoticeItem(Item, frozen=True, tag="notice"):
    """Something that happened to the session. `detail` is the raw error or the fine print."""

    code: str
    level: Level
    text: str
    detail: str = ""
    actions: tuple[Action, ...] = ()


class Put(msgspec.Struct, frozen=True, tag_field="op", tag="put", omit_defaults=True):
    """An item is new or has changed.

    One that the client holds is replaced where it stands. One that it does not hold goes behind the
    item `after`, without `after` to the end. `after` is the item's own id when it is not new: a
    client that does not hold it has not loaded its page and passes it over. A new one whose `after`
    is not held goes to the beginning.
    """

    item: Item
    after: str | None = None


class Append(msgspec.Struct, frozen=True, tag_field="op", tag="append"):
    """More text of an item."""

    id: str
    text: str


class Remove(msgspec.Struct, frozen=True, tag_field="op", tag="remove"):
    """An item is gone. An id that the client does not hold is passed over."""

    id: str


Change: TypeAlias = Put | Append | Remove
