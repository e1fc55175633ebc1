"""Errors on the wire: one row for each kind, a sentence, a next step, and never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from pygls.exceptions import JsonRpcException

from holdfast.agent.errors import AgentError, NotWhileBusy
from holdfast.journal.store import SessionUnknown, StoreError
from holdfast.lsp import errors
from holdfast.model.port import ModelFailed
from holdfast.session.failures import POLICIES, Failure, FailureKind


def family(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for kind in base.__subclasses__():
        yield from family(kind)


def test_every_error_of_store_and_agent_has_a_row() -> None:
    # Importing the agent defines whatever errors its modules add.
    import holdfast.agent.supervisor  # noqa: F401

    known = {*family(StoreError), *family(AgentError), ModelFailed}
    product = {kind for kind in known if kind.__module__.startswith("holdfast.")}
    assert product == set(errors.ERROR_CODES)


def test_an_error_carries_kind_retryable_and_action() -> None:
    unknown = errors.converted(SessionUnknown("s_1"), "x")
    assert errors.wire(unknown) == {
        "code": -32602,
        "message": "There is no session 's_1' in this store.",
        "data": {
            "kind": "SessionUnknown",
            "retryable": False,
            "action": "List the sessions with holdfast.session.list.",
        },
    }
    assert errors.converted(NotWhileBusy("Busy."), "x").data["retryable"] is True


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_of_the_api_keeps_its_kind_and_words(kind: FailureKind) -> None:
    failure = Failure(kind=kind, message="the API's own words")
    error = errors.converted(ModelFailed(failure), "x")
    assert "the API's own words" in error.message
    assert error.data["kind"] == kind.value
    assert error.data["action"] == POLICIES[kind].advice


def test_the_unexpected_is_logged_in_full_and_answered_in_a_sentence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        error = errors.converted(ZeroDivisionError("secret value"), "holdfast.turn.send")
    assert error.code == errors.INTERNAL_ERROR
    assert "secret value" not in error.message
    assert "Traceback" not in str(errors.wire(error))
    assert "ZeroDivisionError: secret value" in caplog.text


def test_an_error_made_for_the_wire_passes_unchanged() -> None:
    error = JsonRpcException("as it is", -32000)
    assert errors.converted(error, "x") is error
