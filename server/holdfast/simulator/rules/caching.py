"""Step 12: cache marks (R79 to R82).

Law: marks are looked at in the order in which the prompt is hashed: tools, system, messages; the
blocks inside a tool result come before the result itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import JsonObject, walk_blocks

MARKS_MAX: Final = 4


def marked_blocks(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield path and mark of every block that carries `cache_control`, in hashing order."""
    for k, tool in enumerate(body.get("tools") or ()):
        if tool.get("cache_control"):
            yield f"tools.{k}", tool["cache_control"]
    system = body.get("system")
    for k, block in enumerate(system if isinstance(system, list) else ()):
        if block.get("cache_control"):
            yield f"system.{k}", block["cache_control"]
    for path, block in walk_blocks(body["messages"]):
        if block.get("cache_control"):
            yield path, block["cache_control"]


def check_cache_marks(body: JsonObject) -> None:
    """Check number and order of marks, and the automatic one at the top level."""
    marks = list(marked_blocks(body))
    automatic = body.get("cache_control")
    count = len(marks)
    if automatic and not _last_block_is_marked(body):
        count += 1
    if count > MARKS_MAX:
        raise refuse("R79", n=count)
    short_seen = False
    for path, mark in marks:
        if _ttl(mark) == "1h" and short_seen:
            raise refuse("R80", path=path)
        short_seen = short_seen or _ttl(mark) == "5m"
    if (
        automatic
        and marks
        and _last_block_is_marked(body)
        and _ttl(marks[-1][1]) != _ttl(automatic)
    ):
        raise refuse("R82")


def _ttl(mark: JsonObject) -> str:
    return str(mark.get("ttl", "5m"))


def _last_block_is_marked(body: JsonObject) -> bool:
    *_, last = [(None, {}), *walk_blocks(body["messages"])]
    return bool(last[1].get("cache_control"))
