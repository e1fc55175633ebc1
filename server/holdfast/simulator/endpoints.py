"""The servers that the simulator can pretend to be.

Law: what differs between endpoints is a field of `Endpoint` and a row of `ENDPOINTS`; no rule
names one. The models are the same behind all of them. Source: specification §7, R20, R28, R61,
R82, R87.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What one server takes; the defaults are the first-party API.

    `strict_alternation`: two messages of one role in a row are refused (R20). `system_role`:
    messages may have the role `system` (R28). `thinking`: the parameter exists. `blocks` are the
    types of blocks that exist, None for all (R31).
    `cache_marks` and `automatic_cache`: marks on blocks, and one at the top level (R82). `betas`:
    beta headers mean something. `text_results_only`: results hold no media. `tools_required`:
    calls in the history need a list of tools (R87). `window_is_shared`: input and `max_tokens`
    together must fit into the window (R90). `image_bytes_max` counts base64 characters (R61).
    """

    name: str = "firstParty"
    strict_alternation: bool = False
    system_role: bool = True
    thinking: bool = True
    blocks: frozenset[str] | None = None
    cache_marks: bool = True
    automatic_cache: bool = True
    betas: bool = True
    text_results_only: bool = False
    tools_required: bool = False
    window_is_shared: bool = False
    image_bytes_max: int = 10 * _MEBIBYTE


FIRST_PARTY: Final = Endpoint()

_SPECS: Final = (
    FIRST_PARTY,
    Endpoint(name="bedrock", image_bytes_max=5 * _MEBIBYTE),
    Endpoint(
        name="bedrockLegacy",
        automatic_cache=False,
        betas=False,
        tools_required=True,
        image_bytes_max=5 * _MEBIBYTE,
    ),
    Endpoint(name="vertex", image_bytes_max=5 * _MEBIBYTE),
    Endpoint(
        name="compatible",
        strict_alternation=True,
        system_role=False,
        thinking=False,
        blocks=frozenset({"text", "image", "document", "tool_use", "tool_result"}),
        cache_marks=False,
        automatic_cache=False,
        betas=False,
        text_results_only=True,
        window_is_shared=True,
        image_bytes_max=5 * _MEBIBYTE,
    ),
)

ENDPOINTS: Final[Mapping[str, Endpoint]] = {spec.name: spec for spec in _SPECS}
