"""Every class of poisoned histories is refused as the API refuses it (catalogue A01 to A35, V8)."""

from __future__ import annotations

import json

import pytest

from corpora.poisoned import CASES, CLASSES, OPENING, Poisoned, names
from differential.comparison import family
from holdfast.simulator.endpoints import ENDPOINTS
from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator

each_case = pytest.mark.parametrize("case", CASES, ids=names())


def refusal_of(case: Poisoned) -> Refusal | None:
    account = Account(endpoint=ENDPOINTS[case.endpoint])
    validator = Validator(account, Signer(), Ledger())
    raw = json.dumps(case.body()).encode()
    try:
        validator.check(validator.parsed({}, raw), Envelope())
    except Refusal as refusal:
        return refusal
    return None


@each_case
def test_a_poisoned_history_is_refused_by_its_rule(case: Poisoned) -> None:
    refusal = refusal_of(case)
    assert refusal is not None
    assert (family(refusal.rule) in case.rules, refusal.status) == (True, case.status), refusal


@each_case
def test_the_same_history_holds_what_was_said(case: Poisoned) -> None:
    assert OPENING in json.dumps(case.messages, ensure_ascii=False)


def test_every_class_of_the_catalogue_has_a_case() -> None:
    assert {case.id for case in CASES} == {*CLASSES, "V8"}
