"""Compaction on demand on the wire: parameter, header, how it is refused (specification §6).

Law: the header is derived from what is sent. A request that asks for a compaction carries it, and
so does every later one whose messages hold the signed block; forgetting it once would make the
block unreadable (R91). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.conversation.history import Message
from holdfast.conversation.profile import ON_DEMAND
from holdfast.session.failures import Failure, FailureKind

INSTRUCTIONS_CHARS_MAX: Final = 16_384
"""How long instructions may be (R95)."""

_NAMED: Final = re.compile(r"\bcompact(?:ion|-2026)|anthropic-beta", re.IGNORECASE)
_OF_THIS_HISTORY: Final = frozenset(
    {
        "compaction_nothing_to_summarize",
        "compaction_incomplete_turn",
        "compaction_too_many_tool_references",
    }
)
"""Codes that refuse to compact one history and say nothing about the next (R95)."""


def parameter(instructions: str) -> str:
    """Return the `compaction` field as JSON. Instructions replace the API's own prompt (§6)."""
    wanted: dict[str, Any] = {"type": "summarize"}
    if instructions:
        wanted["instructions"] = instructions[:INSTRUCTIONS_CHARS_MAX]
    return f'"compaction":{encoding.encode(wanted)}'


def betas(instructions: str | None, messages: Sequence[Message]) -> tuple[str, ...]:
    """Return the beta header that a request needs, if it asks for a compaction or shows one."""
    return (ON_DEMAND,) if instructions is not None or _holds_block(messages) else ()


def refused_as_such(failure: Failure) -> bool:
    """Say whether a request for compaction was refused for being one (R91, R95d, R8, R31).

    An endpoint that knows no such parameter or header, or a model without it, will refuse the next
    one as well; a history that cannot be compacted as it stands will not.
    """
    return (
        failure.kind is FailureKind.INVALID_REQUEST
        and failure.error_code not in _OF_THIS_HISTORY
        and _NAMED.search(failure.message) is not None
    )


def billed(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is paid for: the sum of the iterations, where there are some.

    The totals at the top leave compaction out (specification §5.2).
    """
    given = usage.get("iterations")
    iterations = [entry for entry in given or () if isinstance(entry, Mapping)] if given else []
    if not any(entry.get("type") == "compaction" for entry in iterations):
        return usage
    fields = {name for entry in iterations for name, value in entry.items() if _is_count(value)}
    sums = {name: sum(_count(entry.get(name)) for entry in iterations) for name in sorted(fields)}
    return {**usage, **sums}


def _holds_block(messages: Sequence[Message]) -> bool:
    return any(
        '"compaction"' in block.raw and block.type == "compaction"
        for message in messages
        for block in message.blocks
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
