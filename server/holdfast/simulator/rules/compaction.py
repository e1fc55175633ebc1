"""Step 10: compaction blocks, requests for compaction, context editing (R92 to R97).

Law: a compaction block stands first, once, unchanged, in place of what it summarises.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.parameters import thinking_type
from holdfast.simulator.rules.placement import unanswered_server_uses
from holdfast.simulator.rules.request import (
    COMPACT_ON_DEMAND,
    Account,
    Envelope,
    JsonObject,
    Located,
    Turn,
)
from holdfast.simulator.thinking import Signer, digest

TRIGGER_MIN: Final = 50_000
_THRESHOLD: Final = "compact_20260112"
_CLEAR_THINKING: Final = "clear_thinking_20251015"


def check_compaction(
    body: JsonObject,
    turns: list[Turn],
    envelope: Envelope,
    account: Account,
    model: ModelSpec,
    signer: Signer,
) -> None:
    """Check blocks in the history, then the request for a new one, then context editing."""
    blocks = [p for turn in turns for p in turn.blocks if p.type == "compaction"]
    if COMPACT_ON_DEMAND in envelope.betas:
        _check_blocks(blocks, signer)
    if body.get("compaction") is not None:
        _check_request(turns, account.tools_max)
    _check_edits(body, model, signed=any(place.data.get("signature") for place in blocks))


def _check_blocks(blocks: list[Located], signer: Signer) -> None:
    if sum(place.data.get("content") is not None for place in blocks) > 1:
        raise refuse("R93")
    for place in blocks:
        if (place.message, place.index) != (0, 0):
            raise refuse("R92")
        content = place.data.get("content")
        if content is None:
            continue  # a failed compaction, which the API ignores
        if not content.strip():
            raise refuse("R96d", i=place.message, j=place.index)
        seal = signer.read(place.data.get("signature") or "")
        if seal is None or seal.kind != "compaction":
            raise refuse("R94a", i=place.message, j=place.index)
        if seal.text != digest(content):
            raise refuse("R94b", i=place.message, j=place.index)
        # Ours never carry tool changes: whatever stands there was put there afterwards.
        if place.data.get("tool_changes"):
            raise refuse("R94c", i=place.message, j=place.index)


def _check_request(turns: list[Turn], tools_max: int | None) -> None:
    blocks = [place for turn in turns for place in turn.blocks if place.type != "compaction"]
    if not blocks:
        raise refuse("R95a")
    last = turns[-1]
    calls = any(place.type == "tool_use" for place in last.blocks)
    if last.role == "assistant" and (calls or unanswered_server_uses(last)):
        raise refuse("R95b")
    names = {place.data["name"] for place in blocks if place.type == "tool_use"}
    if tools_max is not None and len(names) > tools_max:
        raise refuse("R95e", n=len(names), max=tools_max)


def _check_edits(body: JsonObject, model: ModelSpec, *, signed: bool) -> None:
    edits: list[JsonObject] = (body.get("context_management") or {}).get("edits") or []
    for k, edit in enumerate(edits):
        if edit.get("type") == _THRESHOLD:
            _check_threshold(k, edit, model, signed=signed)
        elif edit.get("type") == _CLEAR_THINKING:
            if k:
                raise refuse("R97b")
            kept: Any = edit.get("keep")
            if isinstance(kept, dict) and not _number(kept.get("value"), 1):
                raise refuse("R97c", k=k)
            if thinking_type(body, model) not in ("enabled", "adaptive"):
                raise refuse("R97")


def _check_threshold(k: int, edit: JsonObject, model: ModelSpec, *, signed: bool) -> None:
    if not model.compaction:
        raise refuse("R96b", k=k)
    trigger: Any = edit.get("trigger")
    if isinstance(trigger, dict) and not _number(trigger.get("value"), TRIGGER_MIN):
        raise refuse("R96a", k=k)
    if signed:
        raise refuse("R96c", k=k)


def _number(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
