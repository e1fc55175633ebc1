"""The grammar against the strict simulator, which shares no code with it (P2).

The simulator signs its own thinking, so histories go without. It also knows every field and every
tool name of the blocks that only the API writes; we leave those alone on purpose.
"""

from __future__ import annotations

import attrs
from hypothesis import assume, given, settings

from conversation import strategies as make
from holdfast.conversation import encoding
from holdfast.conversation.history import History, to_wire
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator

TOOLS = [{"type": "web_search_20250305", "name": "web_search"}]
VALIDATOR = Validator(Account(), Signer(b"key"), Ledger())
examples = settings(max_examples=80, deadline=None)


def refusal(history: History) -> Refusal | None:
    body = {"model": "claude-opus-5-5", "max_tokens": 64, "tools": TOOLS}
    try:
        VALIDATOR.check(body | {"messages": to_wire(history)}, Envelope())
    except Refusal as found:
        return found
    return None


def without_thinking(history: History) -> History:
    return tuple(
        attrs.evolve(message, blocks=tuple(b for b in message.blocks if "thinking" not in b.type))
        for message in history
    )


def is_about_the_apis_own_words(refused: Refusal) -> bool:
    return refused.rule == "R8" or "server_tool_use.name" in refused.message


def readable(history: History) -> bool:
    """Say whether the body can be sent at all; the simulator's parser refuses it earlier (R5)."""
    return encoding.without_lone_surrogates(to_wire(history)) == to_wire(history)


@examples
@given(make.any_history)
def test_p2_the_simulator_accepts_what_repair_returns(history: History) -> None:
    refused = refusal(repair(without_thinking(history)).history)
    assert refused is None or is_about_the_apis_own_words(refused), refused


@examples
@given(make.any_history)
def test_validator_and_simulator_accept_the_same_histories(history: History) -> None:
    history = without_thinking(history)
    assume(readable(history))
    refused = refusal(history)
    assume(refused is None or not is_about_the_apis_own_words(refused))
    found = {finding.rule for finding in validate(history)}
    if refused is None:
        # The simulator lets a server result stand before its call in the same turn (A04).
        assert found <= {"R51"}
    else:
        assert found, refused
