"""Records that an older release wrote say the same as ever; new fields have their defaults."""

from __future__ import annotations

import pytest

from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.session import events as ev
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.fold import fold
from holdfast.session.state import Phase

OLD = {
    "promptAccepted": b'{"type":"promptAccepted","promptId":"p","turnId":"t","content":[]}',
    "toolStarted": b'{"type":"toolStarted","toolUseId":"u","name":"edit","mutates":true,'
    b'"before":{"path":"/a","sha256":"00","size":3}}',
    "historyRepaired": b'{"type":"historyRepaired","repairId":"r","notes":[],"edits":[]}',
    "requestFailed": b'{"type":"requestFailed","turnId":"t","attempt":1,'
    b'"failure":{"kind":"tooLarge","message":"m"}}',
    "compactionPrepared": b'{"type":"compactionPrepared","compactionId":"c","rung":"summary",'
    b'"summary":"s","tokensAfter":5}',
}
NOW = {
    "promptAccepted": ev.PromptAccepted(prompt_id="p", turn_id="t", content=()),
    "toolStarted": ev.ToolStarted(
        tool_use_id="u",
        name="edit",
        mutates=True,
        before=ev.FileEvidence(path="/a", sha256="00", size=3),
    ),
    "historyRepaired": ev.HistoryRepaired(repair_id="r", notes=(), edits=()),
    "requestFailed": ev.RequestFailed(
        turn_id="t", attempt=1, failure=Failure(kind=FailureKind.TOO_LARGE, message="m")
    ),
    "compactionPrepared": ev.CompactionPrepared(
        compaction_id="c", rung=ev.Rung.SUMMARY, summary="s", tokens_after=5
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_a_record_without_the_new_fields_is_read(name: str) -> None:
    assert codec.decode(Record(1, 2, name, 1, OLD[name])).event == NOW[name]


@pytest.mark.parametrize("name", OLD)
def test_an_event_without_the_new_fields_comes_back_as_it_was(name: str) -> None:
    recorded = codec.decode(Record(1, 2, name, 1, OLD[name]))
    assert codec.decode(codec.encode(recorded)) == recorded


def test_a_refusal_that_an_older_release_paused_for_is_a_pause_still() -> None:
    """It wrote failure and pause at once, without an examination between them."""
    refused = Failure(kind=FailureKind.INVALID_REQUEST, message="messages.0: no", status=400)
    events: list[ev.Event] = [
        ev.SessionCreated(title="t"),
        ev.PromptAccepted(prompt_id="p", turn_id="t", content=()),
        ev.TurnStarted(turn_id="t", prompt_id="p"),
        ev.RequestStarted(turn_id="t", attempt=1, model="m"),
        ev.RequestFailed(turn_id="t", attempt=1, failure=refused),
        ev.TurnPaused(reason="invalidRequest", message="m", advice="a"),
    ]
    state = fold((seq, seq, event) for seq, event in enumerate(events, start=1))
    assert state.phase is Phase.PAUSED
    assert state.ignored_events == 0
