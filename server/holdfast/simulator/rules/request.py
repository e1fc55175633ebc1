"""A request as the rules see it: its envelope, its account, and its turns.

Law: positions are those of the request as it was sent, however its messages are merged; a rule
that speaks of `messages.{i}.content.{j}` can always be traced to the client's own bytes (R20).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from holdfast.simulator.endpoints import FIRST_PARTY, Endpoint

JsonObject: TypeAlias = dict[str, Any]

VERSION_CURRENT: Final = "2026-10-21"
VERSION_OLD: Final = "2023-06-01"

BINDING_CONTROLS: Final = "thinking-binding-controls-2026-08-01"
COMPACT_ON_DEMAND: Final = "compact-2026-09-04"
COMPACT_THRESHOLD: Final = "compact-2026-01-12"
CONTEXT_MANAGEMENT: Final = "context-management-2025-06-27"
INTERLEAVED_THINKING: Final = "interleaved-thinking-2025-05-14"
MESSAGE_THREADS: Final = "message-threads-2026-08-12"

THINKING_TYPES: Final = frozenset({"thinking", "redacted_thinking"})
SERVER_USES: Final = frozenset({"server_tool_use", "mcp_tool_use"})
TOOL_CHANGES: Final = frozenset({"tool_addition", "tool_removal"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers and the path say. `counting` is true for `count_tokens` (§5.1)."""

    version: str = VERSION_CURRENT
    betas: frozenset[str] = frozenset()
    counting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one simulator grants, apart from the request.

    `window_tokens` replaces every model's window. `enforce_prefix` says whether R72 and R74 are
    refused or only recorded (§2.7.1: accounts of before 2026-08-31). `allow_leading_assistant`
    and `allow_empty_assistant` choose the other side of the disputed rules R21 and R35.

    `endpoint` says whose server it is. `files` are the ids of the files in the workspace, None for
    any; `expired_files` were there once (R58). `organization` owns the thinking that is signed:
    that of another one is dropped (R75). `tools_max` is how many tools may be available at one
    place of a history (R30), and named in one that is to be compacted (R95); the limits themselves
    are not published, so there are none by default.
    """

    api_key: str | None = None
    window_tokens: int | None = None
    enforce_prefix: bool = True
    allow_leading_assistant: bool = False
    allow_empty_assistant: bool = False
    body_bytes_max: int = 32 * 1024 * 1024
    endpoint: Endpoint = FIRST_PARTY
    files: frozenset[str] | None = None
    expired_files: frozenset[str] = frozenset()
    organization: str = ""
    tools_max: int | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """One content block with its place in the request as sent."""

    message: int
    index: int
    data: JsonObject

    @property
    def type(self) -> str:
        """The block's `type`."""
        return str(self.data["type"])

    @property
    def path(self) -> str:
        """The block's path without its type tag: `messages.3.content.0`."""
        return f"messages.{self.message}.content.{self.index}"


@dataclass(slots=True)
class Turn:
    """A maximal run of messages of one role, merged as the API merges it (R20)."""

    role: str
    messages: list[int] = field(default_factory=list)
    blocks: list[Located] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The index of the turn's first message."""
        return self.messages[0]


def content_blocks(message: Mapping[str, Any]) -> list[JsonObject]:
    """Return a message's blocks; a non-empty string is one text block, `""` is none."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def located_blocks(index: int, message: Mapping[str, Any]) -> list[Located]:
    """Return the blocks of message `index` with their places."""
    return [Located(index, j, block) for j, block in enumerate(content_blocks(message))]


def is_directive(message: Mapping[str, Any]) -> bool:
    """Tell whether this is a directive-only system message, which no order rule sees (R29)."""
    return (
        message["role"] == "system"
        and not content_blocks(message)
        and bool(message.get("output_config"))
    )


def merged_turns(messages: list[JsonObject]) -> list[Turn]:
    """Merge consecutive messages of one role; directive-only messages vanish."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if is_directive(message):
            continue
        if not turns or turns[-1].role != message["role"]:
            turns.append(Turn(message["role"]))
        turns[-1].messages.append(index)
        turns[-1].blocks.extend(located_blocks(index, message))
    return turns


_HOLDERS: Final = frozenset({"tool_result", "mcp_tool_result", "search_result"})


def nested_blocks(block: Mapping[str, Any]) -> list[JsonObject]:
    """Return the blocks that a block holds in its own `content`.

    The results of server tools hold blocks of other kinds, which no rule looks at.
    """
    content = block.get("content")
    return content if block["type"] in _HOLDERS and isinstance(content, list) else []


def walk_blocks(messages: list[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
    """Yield every block with its full path, inner blocks before the block that holds them (R80)."""
    for index, message in enumerate(messages):
        for place in located_blocks(index, message):
            for k, inner in enumerate(nested_blocks(place.data)):
                yield f"{place.path}.{place.type}.content.{k}.{inner['type']}", inner
            yield f"{place.path}.{place.type}", place.data
