"""Step 13: thinking blocks come back as they were issued (R70 to R75).

Law: in this order: every signature is whole (R71); the latest assistant turn holds exactly the
thinking of its responses (R70); what the model cannot read, or another organization was told, is
dropped without a word (R73, R75); what is left fits the conversation before it (R72) and the
thinking before it (R74).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from holdfast.simulator.models import MODELS, ModelSpec
from holdfast.simulator.refusals import Refusal, refuse
from holdfast.simulator.rules.request import (
    BINDING_CONTROLS,
    THINKING_TYPES,
    Account,
    Envelope,
    JsonObject,
    Located,
    Turn,
)
from holdfast.simulator.thinking import Ledger, Seal, Signer, digest
from holdfast.simulator.wordings import BINDING_HEADER_SENTENCE

_MODEL_MISMATCH: Final = "model_binding_mismatch"
_PREFIX_MISMATCH: Final = "prefix_binding_mismatch"
_ORGANIZATION_MISMATCH: Final = "organization_binding_mismatch"


@dataclass(frozen=True, slots=True)
class Thought:
    """A thinking block with what its signature states."""

    place: Located
    turn: int
    signature: str
    seal: Seal


@dataclass(slots=True)
class Readable:
    """The outcome: what the API changed in its input, and where the chain of thinking ends."""

    transformations: list[JsonObject] = field(default_factory=list)
    kept: list[Thought] = field(default_factory=list)

    def previous_for(self, model: ModelSpec) -> str:
        """Return the digest of the last signature that `model` reads, for the next block."""
        for thought in reversed(self.kept):
            if model.can_read(thought.seal.model):
                return digest(thought.signature)
        return ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Everything that the check needs besides the request."""

    signer: Signer
    ledger: Ledger
    account: Account
    envelope: Envelope
    model: ModelSpec

    def check(self, body: JsonObject, turns: list[Turn], before: list[str]) -> Readable:
        """Check all thinking of a request. `before` are the prefix digests of its turns."""
        thoughts = [
            self._unsealed(place, k)
            for k, turn in enumerate(turns)
            for place in turn.blocks
            if place.type in THINKING_TYPES
        ]
        latest = max((k for k, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
        for thought in thoughts:
            self._check_text(thought, in_latest=thought.turn == latest)
        self._check_latest([thought for thought in thoughts if thought.turn == latest])
        return self._check_binding(body, thoughts, before)

    def _unsealed(self, place: Located, turn: int) -> Thought:
        redacted = place.type == "redacted_thinking"
        signature = place.data["data" if redacted else "signature"]
        seal = self.signer.read(signature)
        if seal is None or seal.kind != place.type:
            raise refuse("R71b" if redacted else "R71a", i=place.message, j=place.index)
        return Thought(place, turn, signature, seal)

    def _check_text(self, thought: Thought, *, in_latest: bool) -> None:
        """An omitted text is not looked at: whatever a client puts there is ignored (R70)."""
        place, seal = thought.place, thought.seal
        if place.type == "redacted_thinking" or seal.omitted:
            return
        if digest(place.data["thinking"]) != seal.text:
            raise refuse("R70" if in_latest else "R71a", i=place.message, j=place.index)

    def _check_latest(self, thoughts: list[Thought]) -> None:
        for response, group in groupby(thoughts, lambda thought: thought.seal.response):
            members = list(group)
            signatures = [thought.signature for thought in members]
            orders = [thought.seal.order for thought in members]
            if not self.ledger.accepts(response, signatures, orders):
                place = members[0].place
                raise refuse("R70", i=place.message, j=place.index)

    def _check_binding(
        self, body: JsonObject, thoughts: list[Thought], before: list[str]
    ) -> Readable:
        outcome = Readable()
        dropped_turns: set[int] = set()
        for thought in thoughts:
            if not self.model.can_read(thought.seal.model):
                self._record(outcome, thought, "thinking_dropped", _MODEL_MISMATCH)
                continue
            if thought.seal.organization != self.account.organization:
                self._record(outcome, thought, "thinking_dropped", _ORGANIZATION_MISMATCH)
                continue
            rule = self._mismatch(thought, before, outcome.kept)
            if thought.turn in dropped_turns:
                rule = "R72"
            if rule is None:
                outcome.kept.append(thought)
            elif self._behaviour(body) == "drop_block":
                dropped_turns.add(thought.turn)
                self._record(outcome, thought, "thinking_dropped", _PREFIX_MISMATCH)
            elif self._enforced(body):
                raise self._bound_elsewhere(rule, thought)
            else:
                self._record(outcome, thought, "thinking_mismatch_allowed", _PREFIX_MISMATCH)
                outcome.kept.append(thought)
        return outcome

    def _mismatch(self, thought: Thought, before: list[str], kept: list[Thought]) -> str | None:
        issuer = MODELS.get(thought.seal.model)
        if issuer is None or not issuer.binds_prefix:
            return None
        if before[thought.turn] != thought.seal.prefix:
            return "R72"
        # Removal from the start is legal, so the first block that is left may name any other.
        earlier = [other for other in kept if issuer.can_read(other.seal.model)]
        if earlier and digest(earlier[-1].signature) != thought.seal.previous:
            return "R74"
        return None

    def _behaviour(self, body: JsonObject) -> str | None:
        binding = (body.get("thinking") or {}).get("block_binding") or {}
        behaviour = binding.get("prefix_mismatch_behavior")
        return behaviour if isinstance(behaviour, str) else None

    def _enforced(self, body: JsonObject) -> bool:
        return (
            self.account.enforce_prefix
            or self.model.binds_always
            or self._behaviour(body) == "error"
        )

    def _bound_elsewhere(self, rule: str, thought: Thought) -> Refusal:
        sent = BINDING_CONTROLS in self.envelope.betas
        header = "" if sent else BINDING_HEADER_SENTENCE
        return refuse(rule, i=thought.place.message, j=thought.place.index, header=header)

    def _record(self, outcome: Readable, thought: Thought, kind: str, reason: str) -> None:
        if BINDING_CONTROLS in self.envelope.betas:
            outcome.transformations.append(
                {"type": kind, "reason": reason, "path": thought.place.path}
            )
