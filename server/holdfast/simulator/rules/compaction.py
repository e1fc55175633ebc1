"""Step 10: compaction blocks, requests for compaction, context editing (R92 to R97).

Law: a compaction block stands first, once, unchanged, in place of what it summarises.
"""

from __future__ import annotations

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.parameters import thinking_type
from holdfast.simulator.rules.request import (
    COMPACT_ON_DEMAND,
    SERVER_USES,
    Envelope,
    JsonObject,
    Located,
    Turn,
)
from holdfast.simulator.thinking import Signer, digest


def check_compaction(
    body: JsonObject, turns: list[Turn], envelope: Envelope, model: ModelSpec, signer: Signer
) -> None:
    """Check blocks in the history, then the request for a new one, then context editing."""
    blocks = [p for turn in turns for p in turn.blocks if p.type == "compaction"]
    if COMPACT_ON_DEMAND in envelope.betas:
        _check_blocks(blocks, signer)
    if body.get("compaction") is not None:
        _check_request(turns)
    _check_edits(body, model)


def _check_blocks(blocks: list[Located], signer: Signer) -> None:
    for place in blocks:
        if (place.message, place.index) != (0, 0):
            raise refuse("R92" if len(blocks) == 1 else "R93")
        content = place.data.get("content")
        if content is None:
            continue  # a failed compaction, which the API ignores
        seal = signer.read(place.data.get("signature") or "")
        if seal is None or seal.kind != "compaction":
            raise refuse("R94a", i=place.message, j=place.index)
        if seal.text != digest(content):
            raise refuse("R94b", i=place.message, j=place.index)


def _check_request(turns: list[Turn]) -> None:
    if not any(place.type != "compaction" for turn in turns for place in turn.blocks):
        raise refuse("R95a")
    last = turns[-1]
    unfinished = SERVER_USES | {"tool_use"}
    if last.role == "assistant" and any(place.type in unfinished for place in last.blocks):
        raise refuse("R95b")


def _check_edits(body: JsonObject, model: ModelSpec) -> None:
    edits = (body.get("context_management") or {}).get("edits") or []
    clears = any(edit.get("type") == "clear_thinking_20251015" for edit in edits)
    if clears and thinking_type(body, model) not in ("enabled", "adaptive"):
        raise refuse("R97")
