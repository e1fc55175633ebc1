"""Messages and content blocks, kept as raw JSON.

Law: a block is its bytes. `Block.raw` is what was received (made canonical once), what is stored
and what is sent; `Block.data` is only a reading of it. A history is a tuple of messages. String
contents are one text block, which means the same to the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import attrs

from holdfast.conversation import encoding
from holdfast.conversation.tokens import estimate_message

Role: TypeAlias = Literal["user", "assistant", "system"]

USER: Final[Role] = "user"
ASSISTANT: Final[Role] = "assistant"
SYSTEM: Final[Role] = "system"
THINKING: Final = frozenset({"thinking", "redacted_thinking"})
"""Types of the blocks that hold what a model thought."""


class Block:
    """One content block. Immutable; equal when its bytes are equal."""

    __slots__ = ("_data", "raw")

    raw: str
    _data: dict[str, Any] | None

    def __init__(self, raw: str, data: dict[str, Any] | None = None) -> None:
        """Wrap canonical JSON. Use `Block.of` for anything that is not canonical yet."""
        self.raw = raw
        self._data = data

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Block:
        """Take in one block, making its bytes canonical. Unknown types and fields are kept."""
        return cls(encoding.encode(data))

    @property
    def data(self) -> Mapping[str, Any]:
        """The decoded block. Read it, never change it."""
        if self._data is None:
            decoded = encoding.decode(self.raw)
            self._data = decoded if isinstance(decoded, dict) else {"type": "", "value": decoded}
        return self._data

    @property
    def type(self) -> str:
        """The block's `type`, or `""` when it has none or one that is no string."""
        kind = (self._data or self.data).get("type")
        return kind if isinstance(kind, str) else ""

    def get(self, key: str, default: Any = None) -> Any:
        """Return one field of the decoded block."""
        return self.data.get(key, default)

    def text_of(self, key: str) -> str:
        """Return one field when it is a string, else `""`."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Block({self.raw})"


@attrs.frozen(cache_hash=True)
class Message:
    """One message of a history.

    `origin` names the stored record that the message comes from, so that a finding or an API
    error about `messages.N` can be traced back to it. It is not part of the message's value.
    """

    role: Role
    blocks: tuple[Block, ...]
    origin: str = attrs.field(default="", eq=False)

    @cached_property
    def wire(self) -> str:
        """The message as it goes into a request body: the blocks' own bytes, spliced."""
        return f'{{"role":"{self.role}","content":[{",".join(b.raw for b in self.blocks)}]}}'

    @cached_property
    def tokens(self) -> int:
        """Its tokens, estimated: kept, because each step of a session asks for those of all."""
        return estimate_message(self.blocks)

    @cached_property
    def unbound(self) -> Message | None:
        """The message without its thinking, kept like `tokens`; None when it has none."""
        rest = tuple(block for block in self.blocks if block.type not in THINKING)
        return None if len(rest) == len(self.blocks) else attrs.evolve(self, blocks=rest)


History: TypeAlias = tuple[Message, ...]


def text(value: str) -> Block:
    """Make a text block."""
    return Block.of({"type": "text", "text": value})


def tool_result(tool_use_id: str, content: str, *, is_error: bool = False) -> Block:
    """Make a `tool_result` block with text content."""
    data: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_use_id, "content": content}
    if is_error:
        data["is_error"] = True
    return Block.of(data)


def user(*blocks: Block | str, origin: str = "") -> Message:
    """Make a user message; a string stands for a text block."""
    return Message(USER, _blocks(blocks), origin)


def assistant(*blocks: Block | str, origin: str = "") -> Message:
    """Make an assistant message; a string stands for a text block."""
    return Message(ASSISTANT, _blocks(blocks), origin)


def from_wire(messages: Iterable[Mapping[str, Any]]) -> History:
    """Read messages in the API's own shape. Total: whatever is no block becomes a text block.

    Roles other than the three known ones become `user`, as nothing else can carry foreign text.
    """
    return tuple(_message_from_wire(message) for message in messages)


def to_wire(history: Sequence[Message]) -> list[dict[str, Any]]:
    """Return plain Python data in the API's shape, for tests and exports."""
    return [{"role": m.role, "content": [dict(b.data) for b in m.blocks]} for m in history]


def blocks_from_content(content: Any) -> tuple[Block, ...]:
    """Read a `content` field: a string, a list of blocks, or something broken."""
    if isinstance(content, str):
        return (text(content),) if content else ()  # an empty string is no block (R34, R35)
    if not isinstance(content, (list, tuple)):
        return () if content is None else (text(encoding.encode(content)),)
    return tuple(
        Block.of(item)
        if isinstance(item, Mapping)
        else text(item if isinstance(item, str) else encoding.encode(item))
        for item in content
    )


def _message_from_wire(message: Mapping[str, Any]) -> Message:
    role = message.get("role")
    known: Role = role if role in (USER, ASSISTANT, SYSTEM) else USER
    return Message(known, blocks_from_content(message.get("content")))


def _blocks(items: Iterable[Block | str]) -> tuple[Block, ...]:
    return tuple(text(item) if isinstance(item, str) else item for item in items)
