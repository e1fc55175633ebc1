"""Three formats, one seam: what a file is read as is told by what is in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import to_wire
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate
from holdfast.transcripts import formats
from holdfast.transcripts.imported import ImportedHistory, Todo
from transcripts.transcript_files import Transcript, shown

SHIPPED = Path(__file__).parents[1] / "corpora" / "other-agents"
MORE = Path(os.environ.get("HOLDFAST_TRANSCRIPTS", SHIPPED)).parent / "other-agents"
OTHERS = sorted(path for path in {*SHIPPED.glob("*.json*"), *MORE.glob("*")} if path.is_file())
CALL = {"type": "tool_use", "id": "t1", "name": "run", "input": {"command": "ls"}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "first ✓"},
    {"role": "assistant", "content": [{"type": "text", "text": "answer"}, CALL]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "kelp"}]},
    {"role": "assistant", "content": "done"},
]
ALL = ["user: first ✓", "assistant: answer <tool_use t1>", "user: <tool_result t1>",
       "assistant: done"]  # fmt: skip


def lines(*values: Any) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response_item", "payload": {"type": kind, **fields}}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "event_msg", "payload": {"type": kind, **fields}}


def said(role: str, words: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return item("message", role=role, content=[{"type": kind, "text": words}])


META = {"type": "session_meta", "payload": {"id": "r1", "cwd": "/w", "cli_version": "0.139.0"}}
ROLLOUT = [
    META,
    said("developer", "<permissions instructions>"),
    {"type": "turn_context", "payload": {"model": "gpt-x", "cwd": "/w/sub"}},
    said("user", "first ✓"),
    event("user_message", message="first ✓"),
    item("reasoning", summary=[], encrypted_content="sealed"),
    said("assistant", "answer"),
    item("function_call", name="run", arguments='{"command": "ls"}', call_id="t1"),
    item("function_call_output", call_id="t1", output="kelp"),
    said("assistant", "done"),
]
LISTS = {
    "an array": json.dumps(MESSAGES).encode(),
    "an array over many lines": json.dumps(MESSAGES, indent=1).encode(),
    "an object": json.dumps({"model": "claude-x", "messages": MESSAGES}).encode(),
    "an object over many lines": json.dumps(
        {"agent": "a", "messages": MESSAGES}, indent=1
    ).encode(),
    "one message a line": lines(*MESSAGES),
    "with a byte order mark": b"\xef\xbb\xbf" + json.dumps(MESSAGES).encode(),
}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def of(content: bytes, name: str = "session.jsonl") -> ImportedHistory:
        path = tmp_path / name
        path.write_bytes(content)
        found = formats.read(path)
        assert path.read_bytes() == content, "P8"
        return found

    return of


def read_rollout(read: Any, *values: Any) -> ImportedHistory:
    found: ImportedHistory = read(lines(META, *values))
    assert found.format == "codex"
    return found


@pytest.mark.parametrize("spelling", LISTS)
def test_a_list_of_messages_is_read_in_every_spelling(read: Any, spelling: str) -> None:
    found = read(LISTS[spelling])
    assert (found.format, shown(found), found.notes) == ("messages", ALL, ())
    assert found.model == ("claude-x" if spelling == "an object" else "")


def test_a_rollout_of_codex_is_read(read: Any) -> None:
    found = read(lines(*ROLLOUT))
    assert (found.format, found.versions, found.session_id) == ("codex", ("0.139.0",), "r1")
    assert (found.title, found.cwd, found.model) == ("first ✓", "/w/sub", "gpt-x")
    assert shown(found) == ALL
    assert [note.kind for note in found.notes] == ["left out", "left out"]
    assert validate(repair(found.messages).history) == ()


def test_the_first_form_of_rollouts_had_no_envelope(read: Any) -> None:
    bare = [{"id": "r0", "timestamp": "2025-05-01T00:00:00Z", "instructions": None}]
    bare += [value["payload"] for value in ROLLOUT if value["type"] == "response_item"]
    found = read(lines(*bare))
    assert (found.format, found.session_id, shown(found)) == ("codex", "r0", ALL)


def test_a_name_decides_nothing(read: Any) -> None:
    session = Transcript().user("u1", "first").says("a1", "m1", "answer")
    assert read(session.bytes(), "messages.json").format == "claude-code"
    assert read(lines(*ROLLOUT), "0d9f.json").format == "codex"
    assert read(LISTS["an array"], "rollout-2026.jsonl").format == "messages"


def test_a_session_about_rollouts_is_still_a_session_of_claude_code(read: Any) -> None:
    quoted = lines(*ROLLOUT).decode()
    session = Transcript().user("u1", quoted).user("u2", json.dumps(MESSAGES), parent="u1")
    assert read(session.bytes()).format == "claude-code"


def test_a_damaged_first_line_does_not_hide_what_the_file_is(read: Any) -> None:
    session = Transcript().user("u1", "first").says("a1", "m1", "answer").bytes()
    assert read(b"\0" * 99 + session).format == "claude-code"
    assert read(b"}{ torn\n" + session).format == "claude-code"
    assert read(b'{"type":"session_me\n' + lines(*ROLLOUT)).format == "codex"
    assert read(b'{"role":"us\n' + LISTS["one message a line"]).format == "messages"


def test_a_session_that_begins_with_a_picture_is_still_recognised() -> None:
    prompt = {"parentUuid": None, "type": "user", "message": {"content": "x" * formats.HEAD_BYTES}}
    head = json.dumps(prompt).encode()[: formats.HEAD_BYTES]
    assert formats.sniff(head) is formats.CLAUDE_CODE


def test_a_first_line_longer_than_the_head_is_still_recognised() -> None:
    long = "x" * formats.HEAD_BYTES
    meta = {"type": "session_meta", "payload": {"id": "r1", "base_instructions": long}}
    assert formats.sniff(lines(meta)[: formats.HEAD_BYTES]) is formats.CODEX
    messages = [{"role": "user", "content": long}]
    assert formats.sniff(lines(messages)[: formats.HEAD_BYTES]) is formats.MESSAGES


def test_codex_a_compaction_stands_for_what_was_before_it(read: Any) -> None:
    kept = [said("user", "first")["payload"], said("assistant", "as I said")["payload"]]
    compacted = {"type": "compacted", "payload": {"message": "", "replacement_history": kept}}
    found = read_rollout(
        read, said("user", "first"), said("assistant", "long"), compacted, said("user", "next")
    )
    assert shown(found) == ["user: first", "assistant: as I said", "user: next"]
    assert "2 items from before a compaction" in str(found.notes[0])


def test_codex_a_compaction_of_the_older_form_keeps_the_prompts_and_its_summary(read: Any) -> None:
    compacted = {"type": "compacted", "payload": {"message": "Summary."}}
    found = read_rollout(read, said("user", "first"), said("assistant", "long"), compacted)
    assert shown(found) == ["user: first", "user: Summary."]


def test_P4_codex_a_summary_that_only_its_own_service_can_read_replaces_nothing(read: Any) -> None:
    sealed = [{"type": "compaction", "encrypted_content": "gAAA"}]
    compacted = {"type": "compacted", "payload": {"message": "", "replacement_history": sealed}}
    found = read_rollout(read, said("user", "first"), said("assistant", "long"), compacted)
    assert shown(found) == ["user: first", "assistant: long"]
    assert [note.kind for note in found.notes] == ["mended"]


def test_codex_turns_that_were_rolled_back_are_gone_with_all_that_followed(read: Any) -> None:
    back = event("thread_rolled_back", num_turns=1)
    found = read_rollout(
        read,
        said("user", "first"), said("assistant", "one"),
        said("user", "second"), said("assistant", "two"), back, said("user", "third"),
    )  # fmt: skip
    assert shown(found) == ["user: first", "assistant: one", "user: third"]


def test_codex_what_tools_got_and_gave_comes_out_of_its_wrapping(read: Any) -> None:
    wrapped = json.dumps({"output": "no such file", "metadata": {"exit_code": 1}})
    found = read_rollout(
        read,
        item("custom_tool_call", name="apply_patch", input="*** Begin", call_id="t1"),
        item("custom_tool_call_output", call_id="t1", output=wrapped.replace('": ', '":')),
        item("function_call", name="run", arguments="not json", call_id="t2"),
        item("function_call_output", call_id="t2", output={"content": "ok", "success": True}),
    )
    patch, failed, strange, fine = (m["content"][0] for m in to_wire(found.messages))
    assert patch["input"] == {"input": "*** Begin"}
    assert (failed["content"], failed["is_error"]) == ("no such file", True)
    assert strange["input"] == {"arguments": "not json"}
    assert fine == {"type": "tool_result", "tool_use_id": "t2", "content": "ok"}


def test_codex_pictures_and_the_plan_come_along(read: Any) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    steps = [{"step": "Look", "status": "completed"}, {"step": "Build", "status": "odd"}]
    found = read_rollout(
        read,
        item("message", role="user", content=[picture]),
        item("function_call", name="update_plan", arguments=json.dumps({"plan": steps}),
             call_id="t1"),
        item("function_call_output", call_id="t1", output="Plan updated"),
    )  # fmt: skip
    assert found.messages[0].blocks[0].get("source") == {
        "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=",
    }  # fmt: skip
    assert found.todos == (Todo("Look", "completed"), Todo("Build", "pending"))


@pytest.mark.survives("D20")
@pytest.mark.parametrize("spelling", LISTS)
def test_D20_a_list_cut_off_anywhere_gives_all_messages_before_the_cut(
    read: Any, spelling: str
) -> None:
    content = LISTS[spelling]
    counts = []
    for cut in range(len(content)):
        found = read(content[:cut])
        count = len(found.messages)
        assert shown(found) == ALL[:count]
        counts.append(count)
    assert counts == sorted(counts), "a longer file never gives less"
    assert counts[-1] >= len(ALL) - 1


@pytest.mark.survives("D20")
def test_D20_what_is_torn_in_the_middle_of_a_list_is_named_with_its_bytes(read: Any) -> None:
    parts = [json.dumps(message).encode() for message in MESSAGES]
    torn = parts[1][:40]
    content = b"[" + b",".join([parts[0], torn, parts[2], parts[3]]) + b"]"
    found = read(content)
    assert shown(found) == [ALL[0], *ALL[2:]]
    (note,) = found.notes
    assert content[note.start : note.stop].startswith(torn)


@pytest.mark.survives("D23")
def test_D23_kinds_of_a_later_version_are_passed_over(read: Any) -> None:
    later = [{"type": "world_state", "payload": {}}, item("holo_call", data=1), event("aurora")]
    found = read_rollout(read, said("user", "first"), *later, said("assistant", "one"))
    assert shown(found) == ["user: first", "assistant: one"]
    assert "holo_call" in str(found.notes[0])


@given(
    st.sampled_from([*LISTS.values(), lines(*ROLLOUT)]),
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 60), st.binary(max_size=20)), max_size=4
    ),
)
@settings(max_examples=150, deadline=None)
def test_P8_no_damage_raises_and_what_is_read_can_be_repaired(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    wounds: list[tuple[int, int, bytes]],
) -> None:
    for place, length, other in wounds:
        content = content[:place] + other + content[place + length :]
    path = tmp_path_factory.getbasetemp() / "damaged.jsonl"
    path.write_bytes(content)
    assert validate(repair(formats.read(path).messages).history) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("type", "role", "content", "name", "arguments", "call_id", "output", "action", "text",
          "input", "summary", "replacement_history", "message", "num_turns", "id",
          "cwd")  # fmt: skip
KINDS = ("message", "function_call", "function_call_output", "custom_tool_call",
         "local_shell_call", "web_search_call", "reasoning", "thread_rolled_back")  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted({"response_item", "event_msg", "compacted", "turn_context"})),
            st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
            st.sampled_from(KINDS),
        ),
        max_size=6,
    )
)
@settings(max_examples=80, deadline=None)
def test_fields_of_wrong_types_raise_nowhere(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, dict[str, Any], str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "strange.jsonl"
    values = [{"type": kind, "payload": {**fields, "type": of}} for kind, fields, of in entries]
    path.write_bytes(lines(META, *values))
    assert validate(repair(formats.read(path).messages).history) == ()


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_a_real_file_of_another_agent_is_read_and_can_be_continued(path: Path) -> None:
    found = formats.read(path)
    assert validate(repair(found.messages).history) == ()
    wanted = {".messages": "messages", "codex": "codex"}
    known = next((name for mark, name in wanted.items() if mark in path.name), None)
    if known is not None:
        assert (found.format, bool(found.messages)) == (known, True)


@pytest.mark.parametrize("field", ["type", "role", "payload", "messages", "uuid"])
@pytest.mark.parametrize("value", [[], {}, None, 1, [{"type": "text"}]])
def test_p8_a_field_of_any_type_is_looked_at_by_every_reader(field: str, value: object) -> None:
    for record in ({field: value}, {"content": "", field: value}):
        found = formats.sniff(json.dumps(record).encode())
        assert found is None or found in formats.READERS
