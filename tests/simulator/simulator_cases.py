"""What a case of a refusal is: a body, and the API's whole answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.simulator.rules.request import Account, Envelope
from simulator.simulator_bodies import (
    Json,
)

INVALID = "invalid_request_error"


@dataclass(frozen=True)
class Case:
    rule: str
    body: Json
    message: str
    status: int = 400
    type: str = INVALID
    code: str | None = None
    envelope: Envelope = field(default_factory=Envelope)
    account: Account = field(default_factory=Account)
