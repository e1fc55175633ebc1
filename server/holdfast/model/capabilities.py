"""What each model can do: a built-in table, and how an endpoint's own list is read.

Law: an answer always exists. The endpoint's numbers win, then the table (specification §5.3),
then a size so small that every model has it; `source` says which it was (P12).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast.conversation.models import model_id, profile_of
from holdfast.model.port import Capabilities

DEFAULT_WINDOW_TOKENS: Final = 200_000
DEFAULT_OUTPUT_TOKENS: Final = 8_000

_MILLION: Final = (1_000_000, 128_000)
_CLASSIC: Final = (200_000, 64_000)

# Window and output limit in tokens by model id without its date.
TABLE: Final[Mapping[str, tuple[int, int]]] = {
    "claude-fable-5-2": _MILLION,
    "claude-mythos-5-2": _MILLION,
    "claude-fable-5-1": _MILLION,
    "claude-mythos-5-1": _MILLION,
    "claude-fable-5": _MILLION,
    "claude-mythos-5": _MILLION,
    "claude-opus-5-5": _MILLION,
    "claude-sonnet-5-5": _MILLION,
    "claude-haiku-5-5": _MILLION,
    "claude-opus-5": _MILLION,
    "claude-sonnet-5": _MILLION,
    "claude-opus-4-8": _MILLION,
    "claude-opus-4-7": _MILLION,
    "claude-opus-4-6": _MILLION,
    "claude-sonnet-4-6": _MILLION,
    "claude-mythos-preview": _MILLION,
    "claude-opus-4-5": _CLASSIC,
    "claude-haiku-4-5": _CLASSIC,
    "claude-sonnet-4-5": _CLASSIC,
}


def from_table(model: str) -> Capabilities:
    """Return the table's entry for `model`, dated and vendor-prefixed ids included.

    Ids that other vendors spell differently (`anthropic/claude-opus-4.5`,
    `us.anthropic.claude-haiku-4-5-20251001-v1:0`) are recognised. Anything else gets the default.
    """
    known = TABLE.get(model_id(model))
    if known is None:
        return Capabilities(model, DEFAULT_WINDOW_TOKENS, DEFAULT_OUTPUT_TOKENS, "default")
    return Capabilities(model, *known, "table", profile_of(model).compacts_on_demand)


def from_listing(listing: Any) -> tuple[Capabilities, ...]:
    """Read the answer of `GET /v1/models`. Total: what is no model is passed over.

    What the list does not say of a model is taken from the table.
    """
    entries = listing.get("data") if isinstance(listing, Mapping) else None
    if not isinstance(entries, list):
        return ()
    return tuple(
        _from_entry(entry)
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    )


def _from_entry(entry: Mapping[str, Any]) -> Capabilities:
    known = from_table(entry["id"])
    window_tokens = _tokens(entry.get("max_input_tokens"))
    # LiteLLM lists the same models in another vendor's shape.
    max_output_tokens = _tokens(entry.get("max_tokens") or entry.get("max_output_tokens"))
    compacts = _compacts(entry.get("capabilities"))
    if window_tokens is None and max_output_tokens is None and compacts is None:
        return known
    return Capabilities(
        known.model,
        window_tokens or known.window_tokens,
        max_output_tokens or known.max_output_tokens,
        "endpoint",
        known.compaction if compacts is None else compacts,
    )


def _compacts(listed: Any) -> bool | None:
    """Return whether a model is listed as compacting on demand; None when nothing is said."""
    offer = listed.get("compaction") if isinstance(listed, Mapping) else None
    if not isinstance(offer, Mapping) or not isinstance(offer.get("supported"), bool):
        return None
    way = offer.get("summarize")
    return bool(offer["supported"]) and not (
        isinstance(way, Mapping) and way.get("supported") is False
    )


def _tokens(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
