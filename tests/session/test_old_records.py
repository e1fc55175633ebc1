"""Records that an older release wrote say the same as ever; new fields have their defaults."""

from __future__ import annotations

import pytest

from holdfast.conversation.history import text
from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.session import events as ev
from holdfast.session import view
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.fold import apply, fold
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
    "compactionStarted": b'{"type":"compactionStarted","compactionId":"c","trigger":"auto",'
    b'"cutOrigin":"3","tokensBefore":9}',
    "compactionRungFailed": b'{"type":"compactionRungFailed","compactionId":"c","rung":"summary",'
    b'"attempt":1,"reason":"timeout"}',
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
    "compactionStarted": ev.CompactionStarted(
        compaction_id="c", trigger="auto", cut_origin="3", tokens_before=9
    ),
    "compactionRungFailed": ev.CompactionRungFailed(
        compaction_id="c", rung=ev.Rung.SUMMARY, attempt=1, reason="timeout"
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


def test_a_compaction_that_an_older_release_made_is_shown_as_it_was_and_can_be_undone() -> None:
    """It knew no model, no signed blocks and no facts beside the summary."""
    events: list[ev.Event] = [
        ev.SessionCreated(title="t"),
        *(
            ev.MessageImported(role=role, content=ev.raw_blocks((text(said),)))
            for role, said in (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
        ),
        ev.CompactionStarted(compaction_id="c", trigger="auto", cut_origin="4", tokens_before=9),
        ev.CompactionPrepared(
            compaction_id="c", rung=ev.Rung.DIGEST, summary="So far.", tokens_after=5
        ),
        ev.CompactionCommitted(compaction_id="c"),
    ]
    state = fold((seq, seq, event) for seq, event in enumerate(events, start=1))
    said = [b.text_of("text") for m in view.messages(state) for b in m.blocks]
    assert said == ["So far.", "c", "d"]
    apply(state, ev.CompactionUndone(compaction_id="c"), len(events) + 1, 0)
    said = [b.text_of("text") for m in view.messages(state) for b in m.blocks]
    assert said == ["a", "b", "c", "d"]
