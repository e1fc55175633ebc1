"""What an endpoint other than the first-party API does not take (R4, R8, R31, R82, R87).

Law: this runs right after the schema, as a smaller server's schema would refuse the same things;
for the first-party API it finds nothing. What it takes of roles is checked where roles are.
"""

from __future__ import annotations

from typing import Final

from holdfast.simulator.endpoints import Endpoint
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import (
    Envelope,
    JsonObject,
    Located,
    located_blocks,
    nested_blocks,
    walk_blocks,
)

_TOOL_TRAFFIC: Final = frozenset({"tool_use", "tool_result"})


def check_endpoint(body: JsonObject, envelope: Envelope, endpoint: Endpoint) -> None:
    """Check one body, whose shape is in order, against what the endpoint takes."""
    if envelope.betas and not endpoint.betas:
        raise refuse("R4", values=", ".join(sorted(envelope.betas)))
    if body.get("cache_control") and not endpoint.automatic_cache:
        raise refuse("R8", path="cache_control")
    if body.get("thinking") is not None and not endpoint.thinking:
        raise refuse("R8", path="thinking")
    messages: list[JsonObject] = body["messages"]
    blocks = [place for i, message in enumerate(messages) for place in located_blocks(i, message)]
    for place in blocks:
        _check_block(place, endpoint)
    for path, block in () if endpoint.cache_marks else walk_blocks(messages):
        if block.get("cache_control"):
            raise refuse("R8", path=f"{path}.cache_control")
    calls = any(place.type in _TOOL_TRAFFIC for place in blocks)
    if endpoint.tools_required and calls and not body.get("tools"):
        raise refuse("R87")


def _check_block(place: Located, endpoint: Endpoint) -> None:
    if endpoint.blocks is not None and place.type not in endpoint.blocks:
        tags = ", ".join(f"'{kind}'" for kind in sorted(endpoint.blocks))
        raise refuse("R31", path=place.path, tag=place.type, tags=tags)
    if place.type == "tool_result" and endpoint.text_results_only:
        for k, inner in enumerate(nested_blocks(place.data)):
            if inner["type"] != "text":
                path = f"{place.path}.tool_result.content.{k}"
                raise refuse("R31", path=path, tag=inner["type"], tags="'text'")
