"""Fields of any type, as a damaged transcript may have them: judged and mended, never a failure."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.conversation.history import from_wire
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate

STRANGE: list[Any] = [[], {}, ["a"], 1, None, True]
CALL = {"type": "tool_use", "id": "t1", "name": "x", "input": {}}
RESULTS = ("tool_result", "web_search_tool_result", "mcp_tool_result")


def blocks(strange: Any) -> list[dict[str, Any]]:
    """Return blocks with a strange value in every place that a rule looks at."""
    picture = {"type": "base64", "media_type": strange, "data": "aGVs"}
    mark = {"type": "ephemeral", "ttl": strange}
    return [
        {"type": strange},
        {"type": "image", "source": picture},
        {"type": "document", "source": picture, "title": strange},
        {"type": "document", "source": {"type": "content", "content": [{"type": strange}]}},
        {"type": "text", "text": strange, "cache_control": strange},
        {"type": "text", "text": "a", "citations": [{"type": strange}], "cache_control": mark},
        {"type": "thinking", "thinking": strange, "signature": strange},
        CALL | {"caller": {"type": strange, "tool_id": "s1"}},
        CALL | {"id": strange, "name": strange, "input": strange},
        *({"type": kind, "tool_use_id": strange, "content": strange} for kind in RESULTS),
        *(
            {"type": kind, "tool_use_id": "t1", "content": [part], "is_error": strange}
            for kind in RESULTS
            for part in ({"type": strange}, {"type": "image", "source": picture})
        ),
    ]


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize("strange", STRANGE)
def test_p2_a_block_with_fields_of_strange_types_is_mended(strange: Any, role: str) -> None:
    for block in blocks(strange):
        history = tuple(
            from_wire(
                [
                    {"role": "user", "content": "go"},
                    {"role": "assistant", "content": [CALL]},
                    {"role": role, "content": [block]},
                    {"role": "user", "content": "go on"},
                ]
            )
        )
        validate(history)
        assert validate(repair(history, profile=ANY_TOOLS).history, ANY_TOOLS) == ()
