"""Records that an older release wrote say the same as ever; new fields have their defaults."""

from __future__ import annotations

import pytest

from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.session import events as ev

OLD = {
    "promptAccepted": b'{"type":"promptAccepted","promptId":"p","turnId":"t","content":[]}',
    "toolStarted": b'{"type":"toolStarted","toolUseId":"u","name":"edit","mutates":true,'
    b'"before":{"path":"/a","sha256":"00","size":3}}',
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
