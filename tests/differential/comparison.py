"""One request before both: what the grammar says and what the simulator says.

Law: both read the same bytes. The grammar gets the history as a session holds it, the simulator the
body as it travels; what is compared is the first rule that each names, or that both accept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import attrs

from differential.histories import SIGNER, Request
from differential.pictures import Json
from holdfast.conversation.findings import Severity
from holdfast.conversation.history import Block, History, Message, from_wire
from holdfast.conversation.models import Endpoint, profile_of
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules import validate
from holdfast.simulator.endpoints import ENDPOINTS
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.envelope import parse_body
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger
from holdfast.simulator.validation import Validator

SIMULATORS = {
    name: Validator(Account(endpoint=endpoint), SIGNER, Ledger())
    for name, endpoint in ENDPOINTS.items()
}
_FAMILY = re.compile(r"[RA]\d+")


@dataclass(frozen=True)
class Verdict:
    """The first rule that each names; None where it accepts. `said` is the simulator's sentence."""

    grammar: str | None
    simulator: str | None
    said: str = ""

    @property
    def agree(self) -> bool:
        return self.grammar == self.simulator


ACCEPTED = Verdict(None, None)


def compare(request: Request) -> Verdict:
    """Ask both."""
    refused = refusal_of(request)
    if refused is None:
        return Verdict(first_finding(request), None)
    return Verdict(first_finding(request), family(refused.rule), refused.message)


def family(rule: str) -> str:
    """Return the rule of the specification that a variant such as `R36c` belongs to.

    A value of the wrong type is the business of R9, where the shape of the body is described.
    """
    found = _FAMILY.match(rule)
    return found[0] if found else "R9"


def refusal_of(request: Request) -> Refusal | None:
    """Return how the simulator refuses a request, or None."""
    raw = json.dumps(request.body()).encode()
    try:
        SIMULATORS[request.endpoint].check(parse_body(raw), Envelope(betas=request.betas))
    except Refusal as refusal:
        return refusal
    return None


def profile_for(request: Request) -> Profile:
    """Return the grammar of a request: its model's, with its betas and its tools."""
    profile = attrs.evolve(
        profile_of(request.model, Endpoint(request.endpoint)),
        tool_names=frozenset(tool["name"] for tool in request.tools),
        server_tools=frozenset(tool["name"] for tool in request.tools if "type" in tool),
    )
    return profile.with_betas(request.betas)


def first_finding(request: Request) -> str | None:
    """Return the first rule that the grammar finds broken, or None."""
    found = validate(history_of(request.messages), profile_for(request))
    errors = (finding.rule for finding in found if finding.severity is Severity.ERROR)
    return next(errors, None)


def history_of(messages: list[Json]) -> History:
    """Read messages as a session does, but keep the bytes of what no JSON text may hold (R5)."""
    return tuple(
        Message(message["role"], tuple(map(_block, message["content"])))
        if isinstance(message["content"], list)
        else from_wire([message])[0]
        for message in messages
    )


def _block(data: Json) -> Block:
    raw = json.dumps(data, ensure_ascii=False)
    try:
        raw.encode()
    except UnicodeEncodeError:
        return Block(json.dumps(data))
    return Block.of(data)
