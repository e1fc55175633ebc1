"""What was compacted can be looked up by the model, word for word (P4)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.stage import Room, room, step
from holdfast.agent.recall import SessionPast, SessionRecall
from holdfast.app import RECALL
from holdfast.conversation.history import Block, Message, assistant, text, tool_result, user
from holdfast.journal.recall import SqliteIndex
from holdfast.journal.search import SearchUnavailable
from holdfast.session import events as ev
from holdfast.session.state import SessionState
from holdfast.simulator import Script
from holdfast.tools.output import safe
from holdfast.tools.port import ToolContext
from tools.toolkit import check_output, fails, succeeds, tool

SUMMARISER = {"system_contains": "hand-over note"}
NOTE = "Goal: to know kelp. Done: the questions were answered, one of them about a code."


def call(name: str, tool_use_id: str = "t1", **arguments: object) -> Block:
    return Block.of({"type": "tool_use", "id": tool_use_id, "name": name, "input": arguments})


TALK = (
    user("the code is dulse-4711", origin="3"),
    assistant("I do.", call("write", path="a.py", content="x = 1\ny = 2"), origin="8"),
    Message("user", (tool_result("t1", "Wrote a.py."),), "8.results"),
    assistant("Done with a.py.", origin="21"),
    assistant(call("recall_search", "t2", query="dulse"), origin="30"),
    Message("user", (tool_result("t2", "entry 3: dulse-4711"),), "30.results"),
)  # fmt: skip


def recall_of(*messages: Message, index: SqliteIndex | None = None) -> SessionRecall:
    return SessionRecall(index, "s_1", SessionState(messages=list(messages)))


def context_of(recall: SessionRecall, bytes_max: int = 30_000) -> ToolContext:
    return ToolContext(workspace=None, recall=recall, output_bytes_max=bytes_max)


# -- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [True, False])
async def test_a_result_names_the_entry_who_said_it_what_it_is_and_an_excerpt(
    tmp_path: Path, indexed: bool
) -> None:
    recall = recall_of(*TALK, index=SqliteIndex(tmp_path) if indexed else None)
    said = await succeeds(context_of(recall), "recall_search", query="dulse-4711")
    assert said == "entry 3 · user · prompt\n    the code is dulse-4711"
    said = await succeeds(context_of(recall), "recall_search", query="a.py", limit=1)
    assert said.startswith("entry 21 · assistant · answer\n") or "entry 8" in said
    said = await succeeds(context_of(recall), "recall_search", query='"y = 2"')
    assert "entry 8 · assistant · call of write\n" in said


async def test_a_part_of_a_word_is_found_by_reading_through(tmp_path: Path) -> None:
    recall = recall_of(*TALK, index=SqliteIndex(tmp_path))
    assert "entry 3" in await succeeds(context_of(recall), "recall_search", query="ulse-47")


async def test_what_recall_itself_found_is_not_found_again(tmp_path: Path) -> None:
    recall = recall_of(*TALK, index=SqliteIndex(tmp_path))
    assert "entry 30" not in await succeeds(context_of(recall), "recall_search", query="dulse")


async def test_nothing_found_is_said_and_is_no_error(tmp_path: Path) -> None:
    recall = recall_of(*TALK, index=SqliteIndex(tmp_path))
    assert "Nothing" in await succeeds(context_of(recall), "recall_search", query="unsaid")
    assert "no words" in await fails(context_of(recall), "recall_search", query='" "')
    assert "no history" in await fails(ToolContext(workspace=None), "recall_search", query="x")


class FullDisk(SqliteIndex):
    """An index whose disk is full."""

    async def search(self, *_: object) -> list[int]:
        raise SearchUnavailable("The disk is full, so the search index cannot be written.")


async def test_d09_a_full_disk_costs_the_index_not_the_search(tmp_path: Path) -> None:
    recall = recall_of(*TALK, index=FullDisk(tmp_path))
    said = await succeeds(context_of(recall), "recall_search", query="dulse")
    assert said.startswith("entry 3 · user · prompt")
    assert "[The disk is full, so the search index cannot be written." in said


# -- reading -------------------------------------------------------------------------------------


async def test_an_entry_is_read_in_full_with_its_calls_results_and_neighbours() -> None:
    said = await succeeds(context_of(recall_of(*TALK)), "recall_read", entry=8)
    assert said == (
        "[entry 8 · assistant · answer and call of write and result of write · 84 characters · "
        "the entry before it is 3 · the entry after it is 21]\n"
        "I do.\n\n"
        "[called write]\npath: a.py\ncontent:\nx = 1\ny = 2\n\n"
        "[result of write]\nWrote a.py."
    )


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=3_000))
@settings(max_examples=40, deadline=None)
def test_the_pages_of_an_entry_are_the_whole_entry(words: str) -> None:
    async def check() -> None:
        context = context_of(recall_of(user(words, origin="3")), bytes_max=1_000)
        whole = SessionPast([user(words, origin="3")]).text_of(3) or "(no words)"
        pages, offset = "", 0
        while True:
            output = await tool("recall_read").run({"entry": 3, "offset": offset}, context)
            check_output(output, context)
            body = output.content[0].text_of("text").partition("]\n")[2]
            page, mark, end = body.rpartition("\n[characters ")
            pages += page if mark else body
            if not mark or "continue with offset" not in end:
                break
            offset = int(end.rpartition(" ")[2].rstrip("]"))
        assert pages == safe(whole)

    asyncio.run(check())


async def test_an_entry_that_there_is_not_is_named_with_those_near_it() -> None:
    context = context_of(recall_of(*TALK))
    said = await fails(context, "recall_read", entry=9)
    assert said == ("There is no entry 9 in this session. There are entries near it: 3, 8, 21, 30.")
    assert "past its end" in await fails(context, "recall_read", entry=3, offset=99)


# -- whatever was compacted ----------------------------------------------------------------------

words = st.text(st.characters(categories=("Ll", "Lu", "Nd")), min_size=3, max_size=9)
blocks = st.one_of(
    words.map(text),
    words.map(lambda word: call("run", command=f"echo {word}")),
    words.map(lambda word: tool_result("t1", word)),
    st.lists(words, max_size=2).map(lambda found: call("edit", edits=[{"new": w} for w in found])),
)


@given(st.lists(st.lists(blocks, min_size=1, max_size=3), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_every_word_of_the_history_is_found(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[Block]]
) -> None:
    messages = [Message("user", tuple(b), str(n)) for n, b in enumerate(said, start=1)]
    past = SessionPast(messages)

    async def check() -> None:
        index = SqliteIndex(tmp_path_factory.mktemp("history"))
        recall = recall_of(*messages, index=index)
        for number in range(1, len(said) + 1):
            for word in past.text_of(number).replace("[", " ").replace("]", " ").split()[:6]:
                found = await recall.search(word, 50)
                assert number in {place.number for place in found.places}

    asyncio.run(check())


# -- end to end ----------------------------------------------------------------------------------


def results_of(session: Room) -> list[str]:
    return [str(ev.block_data(e.content)) for e in session.of(ev.ToolFinished)]


async def test_P4_after_a_compaction_the_model_finds_and_reads_the_secret_of_the_first_turn(
    tmp_path: Path,
) -> None:
    async with room(
        tmp_path, step(SUMMARISER, say=NOTE), compaction={"method": "summary"}
    ) as session:
        await session.answered("the code is dulse-4711" + " word" * 600)
        for number in range(3):
            await session.answered(f"question {number} " + "word " * 300)
        await session.supervisor.compact(session.session_id, "")
        await session.until(ev.CompactionCommitted)
        first = (await session.supervisor.messages(session.session_id, limit=None, before=None))[0]
        searches = {"last_user_contains": "what was the code?"}
        reads = {"last_result_contains": f"entry {first.origin} "}
        steps = [
            step(searches, calls=[("recall_search", {"query": "code"})]),
            step(reads, calls=[("recall_read", {"entry": int(first.origin)})]),
        ]
        session.simulator.script(Script.parse(steps), append=True)
        await session.answered("what was the code?")
        assert "dulse-4711" not in str(session.simulator.log[-3].body), "it was compacted"
        found, read = results_of(session)
        assert f"entry {first.origin} · user · prompt" in found
        assert "dulse-4711" in read
        assert not session.of(ev.QuestionAsked), "reading its own past needs no permission"
        assert session.simulator.refusals == []


async def test_P11_the_index_goes_with_its_session(tmp_path: Path) -> None:
    async with room(
        tmp_path, step(calls=[("recall_search", {"query": "hello"})]), step(say="found it")
    ) as session:
        await session.answered("hello")
        folder = tmp_path / "data" / RECALL
        assert len(list(folder.glob("*.db"))) == 1
        await session.leave()
        await session.supervisor.delete(session.session_id)
        assert list(folder.iterdir()) == []
