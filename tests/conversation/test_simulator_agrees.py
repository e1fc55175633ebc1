"""The grammar against the strict simulator, which shares no code with it (P2).

A misreading of the specification would have to happen twice, in the same way, to go unnoticed here.
`make differential N=100000` runs the same comparison over more histories.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import attrs
import pytest
from hypothesis import assume, given, settings

from conversation import strategies as make
from corpora.poisoned import HISTORY, Poisoned
from differential import campaign
from differential.comparison import ACCEPTED, compare, first_finding, history_of, profile_for
from differential.histories import SEED_STRIDE, TOOLS, Request, seal, valid_request
from differential.mutations import MUTATIONS
from holdfast.conversation import encoding
from holdfast.conversation.history import History, to_wire
from holdfast.conversation.repair import repair

FIRST = 7 * SEED_STRIDE
"""Other histories than those of `make differential`, and always the same."""

SHARE = 1_200
examples = settings(max_examples=80, deadline=None)


def test_both_say_the_same_of_every_history_or_it_is_known_why() -> None:
    outcome = campaign.run(range(FIRST, FIRST + SHARE))
    assert outcome.unexplained == []
    assert outcome.refused["accepted"] > SHARE / campaign.VALID_EVERY
    assert len(outcome.refused) > 35  # rules that were named, among them all that matter


def test_valid_histories_hold_every_kind_of_block() -> None:
    kinds = {
        block["type"]
        for number in range(FIRST, FIRST + 400)
        for message in valid_request(number).messages
        for block in (message["content"] if isinstance(message["content"], list) else ())
    }
    assert kinds >= {
        "text", "image", "document", "search_result", "tool_result", "container_upload",
        "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result",
        "code_execution_tool_result", "mcp_tool_use", "mcp_tool_result", "compaction",
        "tool_addition", "tool_removal",
    }  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_kind_of_fault_is_met(name: str) -> None:
    """A mutation that nothing refuses would be no fault, and one that never applies no test."""
    assert any(compare(request) != ACCEPTED for request in struck_by(name))


def struck_by(name: str) -> Iterator[Request]:
    """Histories that were valid until this fault struck."""
    for number in range(FIRST, FIRST + 300):
        request = valid_request(number)
        if campaign.strike(name, request, campaign.chance_of(number)):
            yield request


@pytest.mark.parametrize("name", campaign.EXPLAINED)
def test_every_explanation_is_needed(name: str) -> None:
    found = (
        campaign.explanation(compare(request), request)
        for request in struck_by(campaign.EXPLAINED[name].example)
    )
    assert name in found


def test_p2_the_simulator_accepts_what_repair_returns_of_a_damaged_history() -> None:
    refused = []
    for number in range(FIRST, FIRST + 400):
        name, request = campaign.history(number)
        repaired = repair(history_of(request.messages), profile=profile_for(request)).history
        sent = replace(request, messages=to_wire(repaired))
        seal(sent)
        verdict = compare(sent)
        if verdict.simulator and not campaign.explanation(verdict, sent):
            refused.append((number, name, verdict))
    assert refused == []


@pytest.mark.parametrize(
    "case", [case for case in HISTORY if case.endpoint == "firstParty"], ids=lambda case: case.what
)
def test_p2_the_grammar_names_every_poison_that_it_can_know(case: Poisoned) -> None:
    found = first_finding(Request(case.model, case.messages, tools=list(case.tools)))
    assert (
        found is None if case.known_to in ("budget", "server", "request") else found in case.rules
    )


# --- anything at all ------------------------------------------------------------------------------


def request_of(history: History) -> Request:
    return Request("claude-opus-5-5", to_wire(history), tools=list(TOOLS))


def without_thinking(history: History) -> History:
    return tuple(
        attrs.evolve(message, blocks=tuple(b for b in message.blocks if "thinking" not in b.type))
        for message in history
    )


def is_about_the_apis_own_words(rule: str | None, said: str) -> bool:
    """Blocks that only the API writes: it knows every field of them, and we leave them alone."""
    return rule == "R8" or "server_tool_use.name" in said


def readable(history: History) -> bool:
    """Say whether the body can be sent at all; the simulator's parser refuses it earlier (R5)."""
    return encoding.without_lone_surrogates(to_wire(history)) == to_wire(history)


@examples
@given(make.any_history)
def test_p2_the_simulator_accepts_what_repair_returns_of_anything(history: History) -> None:
    request = request_of(history)
    repaired = repair(without_thinking(history), profile=profile_for(request)).history
    verdict = compare(request_of(repaired))
    assert verdict.simulator is None or is_about_the_apis_own_words(
        verdict.simulator, verdict.said
    ), verdict


@examples
@given(make.any_history)
def test_both_accept_the_same_of_anything(history: History) -> None:
    history = without_thinking(history)
    assume(readable(history))
    request = request_of(history)
    verdict = compare(request)
    assume(not is_about_the_apis_own_words(verdict.simulator, verdict.said))
    if not campaign.explanation(verdict, request):
        assert (verdict.grammar is None) == (verdict.simulator is None), verdict
