"""Items: what a dumb client shows is what the journal holds, whatever the batches."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import wording
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.inputs import Recorded
from holdfast.session.items import Item, Items, NoticeItem, ToolItem, titles, whole_output
from session.dumb_client import DumbClient
from session.journals import of_a_hostile_world, of_any_events

ItemT = TypeVar("ItemT", bound=Item)
ALL = 1_000_000
SEEDS = st.integers(0, 2**32)
WORLDS = st.sampled_from((of_a_hostile_world, of_any_events))


def folded(journal: Iterable[Recorded], session_id: str = "s_1") -> Items:
    items = Items(session_id)
    items.fold(journal)
    items.forget_changes()
    return items


def shown(items: Items) -> list[dict[str, Any]]:
    return DumbClient(items.page(ALL)[0]).items


def journal_of(*events: ev.AnyEvent) -> list[Recorded]:
    return [Recorded(seq, seq * 1_000, event) for seq, event in enumerate(events, start=1)]


@given(SEEDS, WORLDS)
@settings(max_examples=30, deadline=None)
def test_a_client_that_applies_the_changes_holds_what_the_journal_says(
    seed: int, world: Any
) -> None:
    """The property of all: snapshot at k + changes after k == snapshot at n."""
    chance = random.Random(seed)
    journal = world(seed)
    cut = chance.randint(0, len(journal))
    items = folded(journal[:cut])
    client = DumbClient(items.page(ALL)[0])
    while cut < len(journal):
        step = chance.randint(1, 12)
        items.fold(journal[cut : cut + step])
        client.apply(items.take_changes())
        assert client.items == shown(items)
        cut += step
    assert client.items == shown(folded(journal))


@given(SEEDS, WORLDS, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_a_client_that_holds_a_page_holds_the_newest_items_for_ever(
    seed: int, world: Any, limit: int
) -> None:
    chance = random.Random(seed)
    journal = world(seed)
    cut = cut_at = chance.randint(0, len(journal))
    items = folded(journal[:cut])
    page, more = items.page(limit)
    client = DumbClient(page)
    assert more is (len(page) < len(shown(items)))
    while cut < len(journal):
        step = chance.randint(1, 12)
        items.fold(journal[cut : cut + step])
        client.apply(items.take_changes())
        cut += step
    whole = shown(items)
    assert client.items == whole[len(whole) - len(client.items) :]
    assert {item["id"] for item in whole if item["seq"] > cut_at} <= {
        item["id"] for item in client.items
    }, "all that came since is there"


@given(SEEDS, WORLDS)
@settings(max_examples=20, deadline=None)
def test_re_attaching_with_a_number_is_as_good_as_having_stayed(seed: int, world: Any) -> None:
    chance = random.Random(seed)
    journal = world(seed)
    cut = chance.randint(0, len(journal))
    before = folded(journal[:cut])
    client = DumbClient(before.page(ALL)[0])
    restarted = folded(journal[:cut])
    restarted.fold(journal)
    changes = restarted.take_changes()
    client.apply(changes)
    assert client.items == shown(folded(journal))
    touched = [getattr(c, "id", None) or c.item.id for c in changes]  # type: ignore[union-attr]
    assert len(touched) == len(set(touched)), "at most one change for an item"


@given(SEEDS, WORLDS)
@settings(max_examples=20, deadline=None)
def test_ids_are_unique_and_pages_are_the_whole(seed: int, world: Any) -> None:
    items = folded(world(seed))
    whole = shown(items)
    assert len({item["id"] for item in whole}) == len(whole)
    limit = random.Random(seed).randint(1, 7)
    page, more = items.page(limit)
    found = list(page)
    while more:
        page, more = items.page(limit, found[0].id)
        assert len(page) == limit or not more
        found = [*page, *found]
    assert DumbClient(found).items == whole


@given(SEEDS, WORLDS)
@settings(max_examples=20, deadline=None)
def test_a_copy_goes_its_own_way(seed: int, world: Any) -> None:
    journal = world(seed)
    cut = random.Random(seed).randint(0, len(journal))
    original = folded(journal[:cut])
    as_it_was = shown(original)
    copy = original.copy()
    copy.fold(journal)
    assert shown(original) == as_it_was
    original.fold(journal)
    assert shown(original) == shown(copy)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_no_words_are_lost(seed: int) -> None:
    """P1: every prompt and all words of the assistant's that were finished, cut or stopped."""
    journal = [r for r in of_a_hostile_world(seed) if not isinstance(r.event, ev.HistoryRewound)]
    whole = "\0".join(item.get("text", "") for item in shown(folded(journal)))
    for record in journal:
        match record.event:
            case ev.PromptAccepted():
                said = [b.text_of("text") for b in ev.blocks_of(record.event.content)]
            case ev.BlockFinished():
                said = [b.text_of("text") for b in ev.blocks_of((record.event.block,))]
            case _:
                continue
        for words in said:
            assert words.strip() in whole


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_nothing_streams_asks_or_runs_when_no_turn_is_under_way(seed: int) -> None:
    journal = of_a_hostile_world(seed)
    while journal and not isinstance(journal[-1].event, ev.TurnEnded):
        journal.pop()
    states = {item.get("state") for item in shown(folded(journal))}
    assert not states & {"streaming", "writing", "requested", "asking", "running"}


def test_deltas_of_a_batch_are_one_append() -> None:
    journal = journal_of(
        ev.RequestStarted(turn_id="t", attempt=1, model="m"),
        *(ev.BlockDelta(index=0, kind="text", text=f"{n} ") for n in range(100)),
    )
    items = folded(journal[:2])
    items.fold(journal)
    changes = msgspec.to_builtins(items.take_changes())
    assert changes == [
        {"op": "append", "id": "1.0", "text": "".join(f"{n} " for n in range(1, 100))}
    ]


def test_what_is_queued_stays_behind_what_is_said_until_it_is_sent() -> None:
    journal = journal_of(
        ev.PromptAccepted(prompt_id="p1", turn_id="t1", content=ev.raw_blocks((text("one"),))),
        ev.TurnStarted(turn_id="t1", prompt_id="p1"),
        ev.RequestStarted(turn_id="t1", attempt=1, model="m"),
        ev.PromptAccepted(prompt_id="p2", turn_id="t2", content=ev.raw_blocks((text("two"),))),
        ev.BlockDelta(index=0, kind="text", text="the answer"),
    )
    items = folded(journal[:4])
    items.fold(journal)
    changes = msgspec.to_builtins(items.take_changes())
    assert [(c["op"], c["item"]["text"], c["after"]) for c in changes] == [
        ("put", "the answer", "1")
    ]
    assert [item["text"] for item in shown(items)] == ["one", "the answer", "two"]


def test_a_request_that_fails_again_and_again_is_one_notice_with_the_raw_error() -> None:
    """P12"""
    failure = Failure(
        kind=FailureKind.OVERLOADED,
        message="Overloaded",
        status=529,
        type="overloaded_error",
        request_id="req_7",
    )
    failing: list[ev.AnyEvent] = []
    for attempt in (1, 2, 3):
        failing += [
            ev.RequestStarted(turn_id="t", attempt=attempt, model="m"),
            ev.RequestFailed(turn_id="t", attempt=attempt, failure=failure),
            ev.RetryScheduled(attempt=attempt + 1, retry_at_ms=5, reason="overloaded"),
        ]
    (notice,) = only(failing, NoticeItem)
    assert notice.code == "requestFailed"
    assert notice.text == "The API is overloaded. Trying again (attempt 4)."
    assert notice.detail.split("\n") == [
        "status: 529",
        "type: overloaded_error",
        "message: Overloaded",
        "requestId: req_7",
    ]
    paused = ev.TurnPaused(reason="overloaded", message="It is overloaded.", advice="Wait.")
    (notice,) = only([*failing, paused], NoticeItem)
    assert (notice.code, notice.actions[0].command) == ("paused", "holdfast.turn.retry")
    assert "req_7" in notice.detail
    answered = [
        ev.TurnResumed(by="user"),
        ev.RequestStarted(turn_id="t", attempt=1, model="m"),
        ev.BlockDelta(index=0, kind="text", text="Here I am."),
    ]
    (notice,) = only([*failing, paused, *answered], NoticeItem)
    assert (notice.level, notice.actions) == ("info", ())
    assert notice.text == "The API is overloaded. It went on after 3 failures."


def test_a_call_is_one_item_from_its_first_word_to_its_result() -> None:
    use = {"type": "tool_use", "id": "c1", "name": "edit", "input": {"path": "/w/src/a.py"}}
    events: list[ev.AnyEvent] = [
        ev.SessionCreated(title="t", workspace_uri="file:///w"),
        ev.RequestStarted(turn_id="t", attempt=1, model="m"),
        ev.BlockStarted(index=0, kind="tool_use", name="edit"),
        ev.BlockFinished(index=0, block=msgspec.Raw(Block.of(use).raw.encode())),
        ev.ResponseFinished(message_id="m", stop_reason="tool_use"),
        ev.QuestionAsked(
            question_id="q", tool_use_id="c1", tool="edit", title="", detail="", pattern=""
        ),
        ev.QuestionAnswered(question_id="q", answer="allow"),
        ev.ToolAuthorised(tool_use_id="c1", by="user", mutates=True),
        ev.ToolStarted(tool_use_id="c1", name="edit", mutates=True),
        ev.ToolFinished(
            tool_use_id="c1",
            outcome=ev.ToolOutcome.FINISHED,
            content=ev.raw_blocks((text("x" * 5_000),)),
        ),
    ]
    states = [only(events[:n], ToolItem)[0].state for n in range(3, len(events) + 1)]
    expected = "writing requested requested asking requested requested running finished"
    assert states == expected.split()
    (call,) = only(events, ToolItem)
    assert (call.title, call.has_diff, call.path) == ("Edit src/a.py", True, "/w/src/a.py")
    assert call.output_clipped
    assert len(call.output or "") <= 4_000
    assert (call.started_at, call.ended_at) == (9_000, 10_000)
    assert whole_output(events, "c1") == "x" * 5_000
    assert whole_output(events[:-1], "c1") == ""
    assert whole_output(events, "c2") is None


def titles_of(notice: NoticeItem) -> list[str]:
    return [action.title for action in notice.actions]


def test_only_the_newest_compaction_offers_an_undo() -> None:
    events: list[ev.AnyEvent] = []
    for name in ("c1", "c2"):
        events += [
            ev.CompactionStarted(
                compaction_id=name, trigger="auto", cut_origin="1", tokens_before=9_000
            ),
            ev.CompactionPrepared(
                compaction_id=name, rung=ev.Rung.SUMMARY, summary="So far.", tokens_after=90
            ),
            ev.CompactionCommitted(compaction_id=name),
        ]
    assert [titles_of(n) for n in only(events, NoticeItem)] == [["Show"], ["Undo", "Show"]]
    assert "9,000 tokens became 90" in only(events, NoticeItem)[0].text
    events.append(ev.CompactionUndone(compaction_id="c2"))
    assert [titles_of(n) for n in only(events, NoticeItem)] == [["Undo", "Show"], [], ["Redo"]]
    events.append(ev.CompactionRedone(compaction_id="c2"))
    shown = [titles_of(n) for n in only(events, NoticeItem)]
    assert shown == [["Show"], [], [], ["Undo", "Show"]]


def test_imported_history_is_shown_as_if_it_had_happened_here() -> None:
    use = Block.of({"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "make"}})
    result = Block.of({"type": "tool_result", "tool_use_id": "c1", "content": "done"})
    imported = (("user", text("Build it.")), ("assistant", use), ("user", result))
    events = [
        ev.HistoryImported(source="old.jsonl", format="claude-code", notes=("a line is damaged",)),
        *(ev.MessageImported(role=r, content=ev.raw_blocks((b,))) for r, b in imported),  # type: ignore[arg-type]
    ]
    found = shown(folded(journal_of(*events)))
    assert [item["kind"] for item in found] == ["notice", "prompt", "tool"]
    assert found[0]["detail"] == "a line is damaged"
    assert (found[2]["title"], found[2]["output"]) == ("Run make", "done")
    assert found[2]["state"] == "finished"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("edit", {"path": "/w/src/a.py"}, "Edit src/a.py"),
        ("run", {"command": "npm test"}, "Run npm test"),
        ("run", {"command": "cd a\nmake"}, "Run cd a make"),
        ("read", {"path": "a.py", "offset": 1, "limit": 40}, "Read a.py 1-40"),
        ("read", {"path": "a.py", "offset": 9}, "Read a.py from line 9"),
        ("grep", {"pattern": "x+", "path": "/w/src"}, "Search for x+ in src"),
        ("todo", {"items": []}, "Update the task list"),
        ("recall_search", {"query": "kelp"}, "Search the session's past for kelp"),
        ("recall_read", {"entry": 17}, "Read entry 17 of the session's past"),
        ("recall_read", {"entry": "x"}, "recall_read"),
        ("Bash", {"command": "make"}, "Run make"),
        ("frobnicate", {"query": "q"}, "frobnicate: q"),
        ("frobnicate", {}, "frobnicate"),
        ("", {}, "A tool call"),
    ],
)
def test_a_call_has_a_title_in_plain_words(
    name: str, arguments: dict[str, Any], expected: str
) -> None:
    assert titles.title(name, arguments, "/w") == expected


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5_000),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_input_has_a_title_and_no_string_in_it_is_long(value: Any) -> None:
    deep: Any = "x" * 5_000
    for _ in range(200):
        deep = [deep]
    shown_input = titles.shown_input({"path": value, "deep": deep})
    assert len(titles.title("edit", {"path": value}, "/w").encode()) <= titles.TITLE_BYTES_MAX
    assert all(len(found) <= 2_000 for found in strings(shown_input))


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in inner for found in strings(item)]


def test_what_holdfast_said_in_the_users_place_is_a_notice_in_a_fork() -> None:
    words = (
        wording.STOPPED,
        wording.continuation(("edit",), ev.CutCause.FAILURE),
        "Go on.",
    )
    events = [ev.MessageImported(role="user", content=ev.raw_blocks((text(w),))) for w in words]
    found = shown(folded(journal_of(*events)))
    assert [item.get("code", item["kind"]) for item in found] == ["stopped", "cut", "prompt"]


def test_files_that_were_mentioned_are_named_in_prompts_and_forks() -> None:
    blocks = (text("Look here."), text('<file path="a.py" lines="1-2">\nx\ny\n</file>'))
    accepted = ev.PromptAccepted(
        prompt_id="p", turn_id="t", content=ev.raw_blocks(blocks), mentions=("a.py",)
    )
    imported = ev.MessageImported(role="user", content=ev.raw_blocks(blocks))
    for item in shown(folded(journal_of(accepted, imported))):
        assert (item["text"], item["mentions"]) == ("Look here.", ["a.py"])


def only(events: Sequence[ev.AnyEvent], kind: type[ItemT]) -> list[ItemT]:
    page, _ = folded(journal_of(*events)).page(ALL)
    return [item for item in page if isinstance(item, kind)]
