"""A small prompt cache, so that `usage` tells a client whether its prefix kept its bytes.

Law: an entry is the exact prompt up to a marked block, in hashing order (tools, system,
messages), cache marks left out. A request reads the longest entry that ends at one of its marks
or at most 20 blocks before it, and writes one at each of its marks (§2.8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from holdfast.simulator import tokens
from holdfast.simulator.rules.request import JsonObject, content_blocks, nested_blocks
from holdfast.simulator.thinking import canonical
from holdfast.simulator.validation import Accepted

_LOOKBACK_BLOCKS: Final = 20
_TOKENS_MIN: Final = 1024


@dataclass(frozen=True, slots=True)
class _Boundary:
    """The end of a block: digest and size in tokens of everything up to it."""

    digest: str
    tokens: int
    marked: bool


class PromptCache:
    """Remembers prompts by digest. Entries never expire: a simulator does not live that long."""

    def __init__(self) -> None:
        self._entries: set[str] = set()

    def usage(self, accepted: Accepted) -> JsonObject:
        """Return the prompt's numbers for `usage`, and remember the prompt at its marks."""
        boundaries = list(_boundaries(accepted.body, accepted.model.id))
        marks = [k for k, boundary in enumerate(boundaries) if boundary.marked]
        read = max((self._longest_entry(boundaries, mark) for mark in marks), default=0)
        written = max((boundaries[mark].tokens for mark in marks), default=0)
        if written < _TOKENS_MIN:
            read = written = 0
        else:
            self._entries.update(boundaries[mark].digest for mark in marks)
        # Images weigh less in tokens than in bytes; never report more than the whole prompt.
        written = min(written, accepted.input_tokens)
        read = min(read, written)
        created = written - read
        return {
            "input_tokens": accepted.input_tokens - written,
            "cache_creation_input_tokens": created,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": created,
                "ephemeral_1h_input_tokens": 0,
            },
        }

    def _longest_entry(self, boundaries: list[_Boundary], mark: int) -> int:
        for boundary in reversed(boundaries[max(0, mark - _LOOKBACK_BLOCKS) : mark + 1]):
            if boundary.digest in self._entries:
                return boundary.tokens
        return 0


def _boundaries(body: JsonObject, model: str) -> Iterator[_Boundary]:
    hasher = hashlib.sha256(model.encode())
    size = 0
    parts = list(_parts(body))
    for k, (role, block) in enumerate(parts):
        data = role.encode() + canonical(block)
        hasher.update(data)
        size += len(data)
        automatic = bool(body.get("cache_control")) and k == len(parts) - 1
        marked = automatic or _is_marked(block)
        yield _Boundary(hasher.hexdigest(), tokens.of_bytes(size), marked)


def _parts(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for tool in body.get("tools") or ():
        yield "tools", tool
    system: Any = body.get("system") or []
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    for block in blocks:
        yield "system", block
    for message in body["messages"]:
        for block in content_blocks(message):
            yield message["role"], block


def _is_marked(block: JsonObject) -> bool:
    inside = nested_blocks(block) if "content" in block else []
    return any(item.get("cache_control") for item in (block, *inside))
