"""Every rule refuses with the API's own words (specification §8, §8.1).

The texts are written out here, as the specification has them, and not taken from the code.
"""

from __future__ import annotations

import pytest

from holdfast.simulator.errors import ERRORS
from holdfast.simulator.wordings import WORDINGS
from simulator import simulator_cases_messages as messages
from simulator import simulator_cases_parameters as parameters
from simulator import simulator_cases_rest as rest
from simulator.simulator_bodies import (
    refusal_of,
)
from simulator.simulator_cases import Case
from simulator.test_simulator_envelope import BODY_CASES, HEADER_CASES

CASES = [
    *parameters.SHAPE,
    *parameters.PARAMETERS,
    *parameters.TOOLS,
    *messages.ORDER,
    *messages.PAIRS,
    *messages.MEDIA,
    *messages.ENDS,
    *messages.CACHE,
    *messages.SIZE,
    *rest.ENDPOINT,
    *rest.TRAFFIC,
    *rest.FILES,
    *rest.PARAMETERS,
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.rule}-{case.message[:40]}".replace(" ", "_")
)
def test_a_broken_rule_is_refused_with_its_own_status_type_and_words(case: Case) -> None:
    refusal = refusal_of(case.body, case.envelope, case.account)
    assert refusal is not None
    answer = refusal.body("req_1")
    assert (refusal.rule, refusal.status, refusal.message) == (case.rule, case.status, case.message)
    assert answer["type"] == "error"
    assert answer["error"]["type"] == case.type
    assert answer["request_id"] == "req_1"
    assert answer["error"].get("details", {}).get("error_code") == case.code


def test_every_wording_has_a_test_that_reaches_it() -> None:
    reached = {case.rule for case in CASES}
    reached |= {case[0] for case in HEADER_CASES} | {case[0] for case in BODY_CASES} | {"R5"}
    elsewhere = {
        "path",  # test_simulator_http
        "R6d",  # a timeout of the transport, bounded and shared with R7
        "R70",  # test_simulator_thinking
        "R72",
        "R74",
        "R93",  # test_simulator_compaction
        "R94b",
        "R94c",
    }
    by_fault = {
        rule
        for rule, wording in WORDINGS.items()
        if any(error.message == wording.text or rule == "E429" for error in ERRORS.values())
    }
    assert set(WORDINGS) - reached - elsewhere - by_fault == set()
