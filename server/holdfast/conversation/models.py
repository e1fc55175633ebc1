"""Which grammar a model has behind an endpoint: one table of models, one of endpoints.

Law: what differs between models is a row of `MODELS`, what differs between endpoints a row of
`ENDPOINTS`; nothing else in the program decides by a name. A model that is not in the table, a
newer one most likely, gets the rules of the current first-party models (specification §2.7 R65,
§5.3, §7, R22, R23, R28, R72, R85).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeAlias

import attrs

from holdfast.conversation.profile import DEFAULT, MEBIBYTE, Profile, ThinkingType


class Endpoint(StrEnum):
    """Who answers. `GATEWAY` is a proxy in front of Claude, `COMPATIBLE` another server."""

    FIRST_PARTY = "firstParty"
    BEDROCK = "bedrock"
    VERTEX = "vertex"
    FOUNDRY = "foundry"
    GATEWAY = "gateway"
    COMPATIBLE = "compatible"


Fields: TypeAlias = Mapping[str, Any]


def _thinks(*types: ThinkingType, always: bool = False) -> Fields:
    return {"thinking_types": frozenset(types), "always_thinks": always}


_ADAPTIVE: Final = _thinks("adaptive", always=True)
_ADAPTIVE_OR_OFF: Final = _thinks("adaptive", "disabled")
_ANY_BUT_BETWEEN: Final = _thinks("adaptive", "enabled", "disabled")
_MANUAL_OR_OFF: Final = _thinks("enabled", "disabled")

_FABLE: Final[Fields] = {**_ADAPTIVE, "forced_tools_allowed": False}
_UNBOUND: Final[Fields] = {"bound_thinking": False, "forced_tools_allowed": True}
_SIX: Final[Fields] = {**_UNBOUND, **_ANY_BUT_BETWEEN, "system_role_allowed": False}
_CLASSIC: Final[Fields] = {
    **_UNBOUND,
    **_MANUAL_OR_OFF,
    "prefill_allowed": True,
    "system_role_allowed": False,
    "compacts_on_demand": False,
    "media_count_max": 100,
    "pdf_pages_max": 100,
}

MODELS: Final[Mapping[str, Fields]] = {
    "claude-fable-5-2": {**_FABLE, "compacts_on_demand": False},
    "claude-mythos-5-2": {**_FABLE, "compacts_on_demand": False},
    "claude-fable-5-1": _FABLE,
    "claude-mythos-5-1": _FABLE,
    "claude-fable-5": {**_UNBOUND, **_ADAPTIVE},
    "claude-mythos-5": {**_UNBOUND, **_ADAPTIVE},
    "claude-opus-5-5": _ADAPTIVE,
    "claude-sonnet-5-5": _thinks("adaptive", "between_tools"),
    "claude-haiku-5-5": _thinks("adaptive"),
    "claude-opus-5": {**_UNBOUND, **_ADAPTIVE_OR_OFF},
    "claude-sonnet-5": {**_UNBOUND, **_ADAPTIVE_OR_OFF, "system_role_allowed": False},
    "claude-opus-4-8": {**_UNBOUND, **_ADAPTIVE_OR_OFF},
    "claude-opus-4-7": {**_UNBOUND, **_ADAPTIVE_OR_OFF, "system_role_allowed": False},
    "claude-opus-4-6": _SIX,
    "claude-sonnet-4-6": _SIX,
    "claude-mythos-preview": {
        **_UNBOUND,
        **_thinks("adaptive", "enabled", always=True),
        "forced_tools_allowed": False,
        "system_role_allowed": False,
    },
    "claude-opus-4-5": _CLASSIC,
    "claude-haiku-4-5": _CLASSIC,
    "claude-sonnet-4-5": _CLASSIC,
}
"""What each model has that `DEFAULT` has not (R22, R28, R62, R65, R72, R85)."""

OLDER_MODEL: Final = re.compile(r"claude-(?:instant|\d|(?:opus|sonnet|haiku)-[34](?:-|$))")
"""Models before 4.5 that a gateway may still have: as the classic ones."""

_CLOUD: Final[Fields] = {"image_bytes_max": 5 * MEBIBYTE, "body_bytes_max": 20 * MEBIBYTE}
_LEGACY_BEDROCK: Final[Fields] = {
    **_CLOUD,
    "compaction_offered": False,
    "auto_cache_allowed": False,
    "tools_required": True,
    "betas_allowed": False,
}
_COMPATIBLE: Final[Fields] = {
    **_CLOUD,
    "compaction_offered": False,
    "system_role_allowed": False,
    "strict_alternation": True,
    "bound_thinking": False,
    "thinking_types": frozenset(),
    "always_thinks": False,
    "thinking_replayed": False,
    "cache_marks_max": 0,
    "auto_cache_allowed": False,
    "betas_allowed": False,
    "user_blocks": frozenset({"text", "image", "document", "tool_result"}),
    "assistant_blocks": frozenset({"text", "tool_use"}),
    "result_blocks": frozenset({"text"}),
}

ENDPOINTS: Final[Mapping[Endpoint, Fields]] = {
    Endpoint.FIRST_PARTY: {},
    Endpoint.BEDROCK: {**_CLOUD, "compaction_offered": False},
    Endpoint.VERTEX: _CLOUD,
    Endpoint.FOUNDRY: {},
    Endpoint.GATEWAY: {**_CLOUD, "auto_cache_allowed": False, "forced_tools_allowed": False},
    Endpoint.COMPATIBLE: _COMPATIBLE,
}
"""What each endpoint changes of its models (specification §7). The clouds do not publish one limit
for all regions; the smallest seen is taken, which only makes images smaller than they had to be."""

_LEGACY_ON_BEDROCK: Final = frozenset({"claude-opus-4-6", "claude-sonnet-4-6"})
"""With the classic models, the last that Bedrock serves over its older interface."""

# What may follow a model's id: a date, an alias, a vendor's revision ("-20251101-v1:0").
_SUFFIX: Final = re.compile(r"(?:[-@](?:\d{8}|latest|default))?(?:-v\d+)?(?::\w+)?")


def model_id(model: str) -> str:
    """Return a model's id without vendor, region, date and revision, spelled as in `MODELS`.

    `us.anthropic.claude-haiku-4-5-20251001-v1:0` and `anthropic/claude-haiku-4.5` are the same
    model. What is no Claude model comes back in lower case.
    """
    _, marker, rest = model.lower().partition("claude-")
    name = marker + re.sub(r"(?<=\d)\.(?=\d)", "-", rest)
    matches = (known for known in MODELS if name.startswith(known))
    return next(
        (known for known in matches if _SUFFIX.fullmatch(name, len(known))), name or model.lower()
    )


@lru_cache(maxsize=256)
def profile_of(model: str, endpoint: Endpoint = Endpoint.FIRST_PARTY) -> Profile:
    """Return the grammar of a model behind an endpoint; never fails.

    An unknown model gets the newest rules, which are the strictest in who may speak last.
    """
    name = model_id(model)
    fields = MODELS.get(name, _CLASSIC if OLDER_MODEL.match(name) else {})
    changes = ENDPOINTS[endpoint]
    if endpoint is Endpoint.BEDROCK and _is_legacy_on_bedrock(name):
        changes = _LEGACY_BEDROCK
    return attrs.evolve(DEFAULT, **{**fields, **changes})


def _is_legacy_on_bedrock(name: str) -> bool:
    fields = MODELS.get(name)
    return (
        name in _LEGACY_ON_BEDROCK
        or fields is _CLASSIC
        or (fields is None and OLDER_MODEL.match(name) is not None)
    )
