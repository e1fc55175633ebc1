"""Rules that depend on the model, the endpoint or the request, and the repair of each."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from conversation.notation import parse, render
from conversation.strategies import server_result, server_use, thinking, tool_use
from conversation.test_rules_table import answered, asked, block
from holdfast.conversation.history import (
    SYSTEM,
    Block,
    History,
    Message,
    assistant,
    text,
    tool_result,
    user,
)
from holdfast.conversation.models import Endpoint, profile_of
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.repair import repair
from holdfast.conversation.rules import validate

COMPATIBLE = profile_of("llama", Endpoint.COMPATIBLE)
PREFILL = profile_of("claude-opus-4-5")
MANUAL = attrs.evolve(PREFILL, leading_thinking_required=True)
ON_DEMAND = DEFAULT.with_betas(["compact-2026-09-04"])
THRESHOLD = DEFAULT.with_betas(["compact-2026-01-12"])
CHANGES = attrs.evolve(
    DEFAULT.with_betas(["inline-tools-2026-09-15"]), tool_names=frozenset({"read"})
)
NO_TOOLS = Profile(server_tools=frozenset())
CODE = {"type": "code_execution_20260521", "tool_id": "srvtoolu_1"}


def code_call(tool_id: str = "t1") -> tuple[Block, Block]:
    runner = server_use("srvtoolu_1", "code_execution")
    return runner, block("tool_use", id=tool_id, name="run", input={}, caller=CODE)


def change(kind: str, **tool: Any) -> Message:
    return Message(SYSTEM, (block(kind, tool=tool),))


def compaction(content: Any = "So far.") -> Block:
    return block("compaction", content=content, signature="s")


# rule, where it is found, history, profile
TABLE: list[tuple[str, tuple[int | None, int | None], History, Profile]] = [
    ("R8", (1, 0), asked(block("tool_use", id="t1", name="n", input={}, index=1)), DEFAULT),
    ("R8", (1, 0), asked(block("thinking", thinking="", signature="s", _id=1), text("a")), DEFAULT),
    ("R8", (1, 0), asked(block("tool_use", id="t1", name="n", input={}, **{"ca\ufffder": {}})),
     DEFAULT),
    ("R8", (1, 0), asked(block("thinking", thinking="", signature="s", partJson=1), text("a")),
     DEFAULT),
    ("R8", (0, 0), (user(block("text", text="a", cache_control={"type": "ephemeral", "by": 1})),),
     DEFAULT),
    ("R9", (0, 0), (user(block("search_result", source="s", title="t", content=["a"])),), DEFAULT),
    ("R9", (0, 0), (user(block("document", title=3, source={"type": "url", "url": "https://a"})),),
     DEFAULT),
    ("R20", (1, None), parse("user: a / + user: b"), COMPATIBLE),
    ("R23", (1, 0), parse("user: a / assistant: b␣"), PREFILL),
    ("R23", (1, None), parse("user: a / assistant: b"), MANUAL),
    ("R28", (1, None), parse("user: a / system: b"), PREFILL),
    ("R30", (1, 0), (user("a"), change("tool_removal", type="tool_reference", name="x")), CHANGES),
    ("R31", (1, 0), asked(thinking("hm", "s"), text("a")), COMPATIBLE),
    ("R31", (2, 0), answered(block("tool_result", tool_use_id="t1", content=[
        {"type": "search_result", "source": "s", "title": "t", "content": []}])), COMPATIBLE),
    ("R46", (1, 0), asked(server_use("srvtoolu_1", "made_up"), server_result("srvtoolu_1")),
     DEFAULT),
    ("R50", (2, 0), (user("a"), assistant(
        block("tool_use", id="t1", name="click", input={}, toolset_name="computer")),
        user(tool_result("t1", "ok"))), DEFAULT),
    ("R50", (2, 0), (user("a"), assistant(
        block("tool_use", id="t1", name="click", input={}, toolset_name="computer")),
        user(block("tool_result", tool_use_id="t1", toolset_name="computer", content=[
            {"type": "document", "source": {"type": "url", "url": "https://a"}}]))), DEFAULT),
    ("R52", (1, 0), (user("a"), assistant(server_use("srvtoolu_1"))), NO_TOOLS),
    ("R54", (1, 1), (user("a"), assistant(*code_call()), user(tool_result("t1", "ok"))), DEFAULT),
    ("R68", (1, 0), parse("user: a / use t1: x / result t1: ok"), MANUAL),
    ("R69", (1, 0), parse("user: a / think: s / assistant: b"), PREFILL),
    ("R79", (None, None),
     (user(block("text", text="a", cache_control={"type": "ephemeral"})),), COMPATIBLE),
    ("R80", (1, 0), (
        user(block("text", text="a", cache_control={"type": "ephemeral"})),
        user(block("text", text="b", cache_control={"type": "ephemeral", "ttl": "1h"})),
     ), DEFAULT),
    ("R81", (0, 0), (user(block("text", text="a", cache_control={"type": "ephemeral",
                                                                "ttl": "24h"})),), DEFAULT),
    ("R81", (1, 0), asked(block("thinking", thinking="", signature="s",
                                cache_control={"type": "ephemeral"}), text("a")), DEFAULT),
    ("R92", (1, 0), (user("a"), assistant(compaction()), user("b")), ON_DEMAND),
    ("R93", (1, 0), (user(compaction()), assistant(compaction()), user("b")), ON_DEMAND),
    ("R94", (0, 0), (user(block("compaction", content="a")), assistant("b"), user("c")), ON_DEMAND),
    ("R96", (0, 0), (user(compaction("")), assistant("b"), user("c")), ON_DEMAND),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "where", "history", "profile"), TABLE, ids=[r[0] for r in TABLE])
def test_a_violation_is_found_at_its_place_and_mended(
    rule: str, where: tuple[int | None, int | None], history: History, profile: Profile
) -> None:
    found = validate(history, profile)
    assert (rule, *where) in [(f.rule, f.message, f.block) for f in found]
    repaired = repair(history, profile=profile)
    left = {finding.rule for finding in validate(repaired.history, profile)}
    # Thinking cannot be invented: the sender leaves manual thinking off (A10).
    assert left == ({"R68"} if rule == "R68" else set())


@pytest.mark.parametrize(
    ("history", "profile"),
    [
        (parse("user: a / use t1: x / result t1: ok / assistant: b / user: c"), MANUAL),
        (parse("user: a / think: s / use t1: x / result t1: ok"), MANUAL),
        (parse("user: a / assistant: b"), PREFILL),
        (parse("user: a / search srvtoolu_1"), Profile(server_tools=frozenset({"web_search"}))),
        ((user(compaction()), assistant("b"), user("c")), ON_DEMAND),
        ((user("a"), assistant(compaction(), text("b")), user("c")), THRESHOLD),
        ((user("a"), change("tool_addition", type="tool_reference", name="read")), CHANGES),
        ((user("a"), change("tool_addition", type="tool_definition", definition={"name": "x"}),
          assistant("b"), user("c"), change("tool_removal", type="tool_reference", name="x")),
         CHANGES),
        ((user("a"), assistant(*code_call()), user(tool_result("t1", "ok"))),
         Profile(containers_allowed=True)),
    ],
)  # fmt: skip
def test_what_another_profile_would_refuse_is_fine_here(history: History, profile: Profile) -> None:
    assert validate(history, profile) == ()
    assert repair(history, profile=profile).history is history


@pytest.mark.survives("A32")
def test_turns_are_joined_where_they_must_alternate_results_first() -> None:
    broken = parse("user: a / + user: b / use t1: x / user: by the way / + result t1: ok")
    repaired = repair(broken, profile=COMPATIBLE).history
    assert render(repaired) == "user: a / user: b / use t1: x / result t1: ok / user: by the way"
    assert [message.role for message in repaired] == ["user", "assistant", "user"]


@pytest.mark.survives("A08")
def test_r74_thinking_before_a_hole_goes_and_thinking_behind_it_stays() -> None:
    history = (
        user("a"),
        assistant(thinking("one", "s1"), tool_use("t1")),
        user(tool_result("t1", "ok")),
        assistant(thinking("two", ""), text("b")),
        user("c"),
        assistant(thinking("three", "s3"), text("d")),
        user("e"),
    )
    kept = "user: a / use t1: run / result t1: ok / assistant: b / user: c / think: s3 "
    repaired = repair(history)
    assert render(repaired.history) == kept + "/ assistant: d / user: e"
    assert [step.rule for step in repaired.steps] == ["R74", "R71"]
    unbound = repair(history, profile=profile_of("claude-opus-5")).history
    assert unbound[1] is history[1]


def test_a_call_made_by_code_that_is_gone_becomes_a_call_of_the_model() -> None:
    history = (user("a"), assistant(*code_call()), user(tool_result("t1", "ok")))
    repaired = repair(history).history
    assert "caller" not in repaired[1].blocks[1].data
    assert repaired[1].blocks[0].type == "text"
    assert repaired[2] is history[2]


def test_a_result_names_the_toolset_of_its_call() -> None:
    call = block("tool_use", id="t1", name="click", input={}, toolset_name="computer")
    repaired = repair((user("a"), assistant(call), user(tool_result("t1", "ok")))).history
    assert repaired[2].blocks[0].get("toolset_name") == "computer"


def test_notes_that_clients_keep_in_blocks_leave_and_the_rest_stays() -> None:
    call = block("tool_use", id="t1", name="n", input={}, index=1, _raw="x", new_field=1)
    repaired = repair((user("a"), assistant(call), user(tool_result("t1", "ok")))).history
    assert repaired[1].blocks[0].data == {
        "type": "tool_use", "id": "t1", "name": "n", "input": {}, "new_field": 1,
    }  # fmt: skip
