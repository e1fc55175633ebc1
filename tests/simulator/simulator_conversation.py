"""A conversation with the simulator's rules and answers, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from holdfast.simulator.answers import Answer, Composer, Identifiers
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.script import Item, Respond, TextItem, ThinkingItem
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator
from simulator.simulator_bodies import TOOL, Json, body, text

CONTROLS = Envelope(betas=frozenset({"thinking-binding-controls-2026-08-01"}))
THOUGHT = ThinkingItem(text="I weigh it.")
HIDDEN = ThinkingItem()
SAID = TextItem(text="So it is.")


class Conversation:
    """Grows a history by asking; every answer is made and signed by the simulator."""

    def __init__(self, account: Account | None = None, **fields: Any) -> None:
        self.ledger = Ledger()
        self.signer = Signer()
        self.validator = Validator(account or Account(), self.signer, self.ledger)
        self.composer = Composer(Identifiers("seed"), self.signer)
        self.envelope = Envelope()
        self.fields: Json = {"system": "be kind", "tools": [TOOL], **fields}
        self.messages: list[Json] = []

    def body(self, messages: list[Json] | None = None, **fields: Any) -> Json:
        return body(*(messages or self.messages), **{**self.fields, **fields})

    def ask(self, question: Any, *items: Item, model: str | None = None) -> Answer:
        """Send a user message, get `items`, and append both."""
        content = question if isinstance(question, list) else [text(question)]
        self.messages.append({"role": "user", "content": content})
        request = self.body(**({"model": model} if model else {}))
        accepted = self.validator.check(request, self.envelope)
        usage = {"input_tokens": accepted.input_tokens}
        answer = self.composer.compose(Respond(content=items), accepted, usage)
        for piece in answer.pieces:
            if piece.signature is not None:
                self.ledger.issued(answer.id, piece.signature)
        self.ledger.completed(answer.id)
        blocks = [piece.block for piece in answer.pieces]
        self.messages.append({"role": "assistant", "content": deepcopy(blocks)})
        return answer

    def refusal(
        self, messages: list[Json] | None = None, envelope: Envelope | None = None, **fields: Any
    ) -> Refusal | None:
        try:
            self.validator.check(self.body(messages, **fields), envelope or self.envelope)
        except Refusal as refusal:
            return refusal
        return None

    def transformations(self, messages: Sequence[Json], **fields: Any) -> list[Json]:
        accepted = self.validator.check(self.body(list(messages), **fields), CONTROLS)
        return accepted.readable.transformations
