"""The whole check of one request, in the order of specification §8.

Law: one refusal per request, the first in this order, rules that a test injected last of those
about messages; a request that passes is described by `Accepted`, and nothing after this module
looks at the body for faults again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.simulator import thinking, tokens
from holdfast.simulator.injected import InjectedRules
from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.binding import Readable, Reader
from holdfast.simulator.rules.caching import check_cache_marks
from holdfast.simulator.rules.compaction import check_compaction
from holdfast.simulator.rules.contents import check_contents
from holdfast.simulator.rules.endings import check_ending
from holdfast.simulator.rules.endpoint import check_endpoint
from holdfast.simulator.rules.envelope import check_headers, decoded_body
from holdfast.simulator.rules.media import MediaBudget
from holdfast.simulator.rules.pairing import check_pairing
from holdfast.simulator.rules.parameters import check_parameters, thinking_type
from holdfast.simulator.rules.placement import check_placement
from holdfast.simulator.rules.request import Account, Envelope, JsonObject, Turn, merged_turns
from holdfast.simulator.rules.schema import check_fields
from holdfast.simulator.rules.shapes import COUNT_TOKENS, CREATE_MESSAGE
from holdfast.simulator.rules.strict_schema import check_mcp_servers, check_strict
from holdfast.simulator.rules.tool_definitions import check_tools
from holdfast.simulator.thinking import Ledger, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A request that the API takes.

    `root` and `prefix` are the digests that new signatures are bound to: of system and tools,
    and of everything before the answer. `whole` covers the last turn too, whatever its role.
    """

    body: JsonObject
    envelope: Envelope
    model: ModelSpec
    turns: list[Turn]
    thinking: str
    readable: Readable
    root: str
    prefix: str
    whole: str
    input_tokens: int
    window_tokens: int
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Validator:
    """Checks requests for one simulator."""

    account: Account
    signer: Signer
    ledger: Ledger
    injected: InjectedRules = field(default_factory=InjectedRules)

    def envelope(self, headers: Mapping[str, str], *, counting: bool = False) -> Envelope:
        """Check the headers alone (R1, R3, R4). Raises `Refusal`."""
        return check_headers(headers, self.account, counting=counting)

    def parsed(self, headers: Mapping[str, str], body: bytes) -> JsonObject:
        """Parse a body (R5 to R7). Raises `Refusal`."""
        return decoded_body(headers, body, self.account)

    def check(self, body: JsonObject, envelope: Envelope) -> Accepted:
        """Run all checks of the body. Raises the first `Refusal`."""
        try:
            return self._checked(body, envelope)
        except RecursionError as error:
            raise refuse("R5", detail="nested too deeply", l=1, c=1, n=0) from error

    def _checked(self, body: JsonObject, envelope: Envelope) -> Accepted:
        fields = COUNT_TOKENS if envelope.counting else CREATE_MESSAGE
        check_fields(body, "", envelope, fields)
        check_endpoint(body, envelope, self.account.endpoint)
        model = check_parameters(body, envelope)
        check_strict(body)
        check_tools(body, model)
        check_mcp_servers(body)
        messages: list[JsonObject] = body["messages"]
        turns = merged_turns(messages)
        check_placement(body, turns, model, self.account)
        media = MediaBudget.of(messages, model, self.account)
        check_contents(body, envelope, self.account, media)
        check_pairing(body, turns)
        check_compaction(body, turns, envelope, self.account, model, self.signer)
        check_ending(body, turns, model)
        check_cache_marks(body)
        root = thinking.root_of(body)
        before = thinking.prefixes(root, turns, self.signer)
        reader = Reader(self.signer, self.ledger, self.account, envelope, model)
        readable = reader.check(body, turns, before)
        self.injected.check(messages, counting=envelope.counting)
        input_tokens = tokens.of_prompt(body)
        window = self.account.window_tokens or model.window_tokens
        if not envelope.counting:
            self._check_size(input_tokens, body["max_tokens"], window)
        # What continues an unfinished assistant turn belongs to that turn.
        continues = bool(turns) and turns[-1].role == "assistant"
        return Accepted(
            body=body,
            envelope=envelope,
            model=model,
            turns=turns,
            thinking=thinking_type(body, model),
            readable=readable,
            root=root,
            prefix=before[-2] if continues else before[-1],
            whole=before[-1],
            input_tokens=input_tokens,
            window_tokens=window,
            organization=self.account.organization,
        )

    def _check_size(self, input_tokens: int, max_tokens: int, window: int) -> None:
        if input_tokens > window:
            raise refuse("R89", n=input_tokens, max=window)
        if self.account.endpoint.window_is_shared and input_tokens + max_tokens > window:
            raise refuse("R90", a=input_tokens, b=max_tokens, c=window)
