"""Every rule by its smallest violation: id, position and the API's own sentence."""

from __future__ import annotations

from typing import Any

import pytest

from conversation.notation import parse
from conversation.strategies import PIXEL, server_result, server_use, thinking, tool_use
from holdfast.conversation.history import (
    Block,
    History,
    Message,
    assistant,
    text,
    tool_result,
    user,
)
from holdfast.conversation.profile import ANY_TOOLS, DEFAULT, Profile
from holdfast.conversation.rules import validate

DIRECTIVE = "; the directive-only form (content: [] with output_config) is accepted at any position"
TAGS = ", ".join(f"'{tag}'" for tag in sorted(DEFAULT.known_blocks))
PNG = {"type": "base64", "media_type": "image/png", "data": PIXEL}

CODE = {"type": "code_execution_20260521", "tool_id": "srvtoolu_9"}


def block(kind: str, **fields: Any) -> Block:
    return Block.of({"type": kind, **fields})


def asked(*blocks: Block) -> History:
    """A history in which the assistant says `blocks` and the user goes on."""
    return (user("go"), assistant(*blocks), user("and?"))


def answered(*blocks: Block) -> History:
    """A history in which the call `t1` gets `blocks` for an answer."""
    return (user("go"), assistant(tool_use("t1")), user(*blocks))


NO_TAG = "Input tag '{}' found using 'type' does not match any of the expected tags: {}"
TABLE: list[tuple[str, History, str]] = [
    ("R5", (user(Block('{"type":"text","text":"\\ud83d"}')),),
     "messages.0.content.0: The request body is not valid JSON: no low surrogate in string"),
    ("R8", (user(block("text", text="a", id="x")),),
     "messages.0.content.0.text.id: Extra inputs are not permitted"),
    ("R9", (user(block("image")),), "messages.0.content.0.image.source: Field required"),
    ("R9", (user(Block.of({"text": "a"})),), "messages.0.content.0.type: Field required"),
    ("R9", (user(block("text", text=3)),),
     "messages.0.content.0.text.text: Input should be a valid string"),
    ("R18", (), "messages: at least one message is required"),
    ("R21", parse("assistant: a / user: b"), 'messages: first message must use the "user" role'),
    ("R22", parse("user: a / assistant: b"),
     "This model does not support assistant message prefill. The conversation must end with a "
     "user message."),
    ("R24", parse("user: a / assistant: b / system: s"),
     "messages.2: role 'system' must follow a 'user' message or an 'assistant' message ending in "
     "a server tool result" + DIRECTIVE),
    ("R25", parse("user: a / system: s / user: b"),
     "messages.1: role 'system' must precede an 'assistant' message or end the array" + DIRECTIVE),
    ("R26", parse("system: s / user: b"),
     "messages.0: use the top-level 'system' parameter for the initial system prompt" + DIRECTIVE),
    ("R27", (user("a"), Message("system", ())),
     "messages.1: system content must contain at least one block"),
    ("R27", (user("a"), Message("system", (tool_result("t", "x"),))),
     "messages.1: role 'system' supports text, tool_addition, and tool_removal blocks only"),
    ("R31", (user(block("hologram")),), "messages.0.content.0: " + NO_TAG.format("hologram", TAGS)),
    ("R31", (user(block("compaction", content="s")),),
     "messages.0.content.0: " + NO_TAG.format("compaction", TAGS)),
    ("R32", (user(text("")),), "messages: text content blocks must be non-empty"),
    ("R33", (user(text(" \n")),), "messages: text content blocks must contain non-whitespace text"),
    ("R33", answered(block("tool_result", tool_use_id="t1",
                           content=[{"type": "text", "text": " "}])),
     "messages: text content blocks must contain non-whitespace text"),
    ("R34", (user(),), "messages.0: user messages must have non-empty content"),
    ("R35", (user("a"), assistant(), user("b")),
     "messages.1: all messages must have non-empty content except for the optional final "
     "assistant message"),
    ("R36", (user(tool_use("t1")),),
     "messages.0: `tool_use` blocks can only be in `assistant` messages"),
    ("R36", asked(tool_result("t1", "x")),
     "messages.1: `tool_result` blocks can only be in `user` messages"),
    ("R36", (user(thinking()),),
     "messages.0.content.0: `thinking` blocks may only be in `assistant` messages"),
    ("R37", asked(block("document", source={"type": "url", "url": "u"})),
     "messages.1.content.0: `document` blocks may only be in `user` messages"),
    ("R38", (user(block("text", text="a", citations=[{"type": "char_location"}])),),
     "messages.0.content.0: citations are not allowed in user messages"),
    ("R39", parse("user: a / think: s"),
     "messages.1: The final block in an assistant message cannot be `thinking`."),
    ("R40", asked(text("so"), tool_use("t1"), tool_use("t2")),
     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1, "
     "t2. Each `tool_use` block must have a corresponding `tool_result` block in the next "
     "message."),
    ("R40", answered(text("first"), tool_result("t1", "x")),
     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. "
     "Each `tool_use` block must have a corresponding `tool_result` block in the next message."),
    ("R42", (user(tool_result("t1", "x")),),
     "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each "
     "`tool_result` block must have a corresponding `tool_use` block in the previous message."),
    ("R43", answered(tool_result("t1", "x"), tool_result("t1", "y")),
     "messages.2.content.1: each tool_use must have a single result. Found multiple "
     "`tool_result` blocks with id: t1"),
    ("R44", (*answered(tool_result("t1", "x")), assistant(tool_use("t1")),
             user(tool_result("t1", "y"))),
     "messages.3.content.0: `tool_use` ids must be unique"),
    ("R45", (user("go"), assistant(tool_use("a.b")), user(tool_result("a.b", "x"))),
     "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
    ("R45", asked(server_use("srv-1"), server_result("srv-1")),
     "messages.1.content.0.server_tool_use.id: String should match pattern "
     "'^srvtoolu_[a-zA-Z0-9_]+$'"),
    ("R46", (user("go"), assistant(tool_use("t1", "n" * 201)), user(tool_result("t1", "x"))),
     "messages.1.content.0.tool_use.name: String should have at most 200 characters"),
    ("R46", (user("go"), assistant(tool_use("t1", "")), user(tool_result("t1", "x"))),
     "messages.1.content.0.tool_use.name: String should have at least 1 character"),
    ("R47", (user("go"), assistant(block("tool_use", id="t1", name="n", input="{")),
             user(tool_result("t1", "x"))),
     "messages.1.content.0.tool_use.input: Input should be a valid dictionary"),
    ("R48", answered(tool_result("t1", "", is_error=True)),
     "messages.2.content.0.tool_result: content cannot be empty if `is_error` is true"),
    ("R48", answered(block("tool_result", tool_use_id="t1", is_error=True,
                           content=[{"type": "image", "source": PNG}])),
     "messages.2.content.0.tool_result: all content must be text if `is_error` is true"),
    ("R49", (user("go"), assistant(block("tool_use", id="t1", name="n", input={}, caller=CODE)),
             user(tool_result("t1", "x"))),
     "messages.1.content.0: source tool srvtoolu_9 not found"),
    ("R51", asked(server_use("srvtoolu_1")),
     "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding "
     "`web_search_tool_result` block"),
    ("R55", asked(server_result("srvtoolu_1")),
     "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: "
     "srvtoolu_1. Each `web_search_tool_result` block must have a corresponding "
     "`server_tool_use` block before it."),
    ("R59", (user(block("image", source={**PNG, "media_type": "image/svg+xml"})),),
     "messages.0.content.0.image.source.base64.media_type: Input should be 'image/gif', "
     "'image/jpeg', 'image/png', 'image/webp'"),
    ("R71", asked(block("thinking", thinking="hm"), text("so")),
     "messages.1.content.0.thinking.signature: Field required"),
    ("R71", asked(thinking("hm", ""), text("so")),
     "messages.1.content.0: Invalid `signature` in `thinking` block"),
    ("R79", (user(*(block("text", text="a", cache_control={"type": "ephemeral"}),) * 5),),
     "A maximum of 4 blocks with cache_control may be provided. Found 5."),
    ("A31", answered(block("tool_result", tool_use_id="t1",
                           content=[{"type": "tool_reference", "tool_name": "Gone"}])),
     "messages.2.content.0.tool_result.content.0: Tool reference 'Gone' not found in available "
     "tools"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "history", "detail"), TABLE, ids=[row[0] for row in TABLE])
def test_a_violation_is_found_in_the_words_of_the_api(
    rule: str, history: History, detail: str
) -> None:
    assert (rule, detail) in [(found.rule, found.detail) for found in validate(history)]


@pytest.mark.parametrize(
    "history",
    [
        parse("user: a / + user: b"),
        parse("user: a / assistant: b / + assistant: c / user: d"),
        parse("user: a / think: sig / assistant: b / user: c"),
        parse("user: a / think: sig / user: stopped"),
        parse("user: a / system: s / + system: s / assistant: b / user: c / system: s"),
        parse("user: a / use t1: x / use t2: y / result t2: 2 / + result t1: 1 / user: and"),
        parse("user: a / use t1: x / result t1: "),
        parse(
            "user: a / search srvtoolu_1 / found srvtoolu_1 / system: s / assistant: b / user: c"
        ),
        parse("user: a / search srvtoolu_1"),
        parse(
            "user: a / search srvtoolu_1 / use t1: x / result t1: 1 / found srvtoolu_1 / user: c"
        ),
    ],
)
def test_what_the_api_accepts_is_no_finding(history: History) -> None:
    assert validate(history) == ()


def test_findings_come_in_the_order_in_which_the_api_answers() -> None:
    history = (assistant(text(""), tool_use("a.b")), Message("system", (text("s"),)))
    assert [f.rule for f in validate(history)] == ["R45", "R21", "R24", "R32", "R40", "R22"]


def test_a_profile_is_data_and_decides_what_is_accepted() -> None:
    compacted = (assistant(block("compaction", content="s")), user("go on"))
    assert [f.rule for f in validate(compacted)] == ["R31", "R21"]
    signed = (assistant(block("compaction", content="s", signature="x")), user("go on"))
    taking = DEFAULT.with_betas(["compact-2026-09-04"])
    assert validate(signed, taking) == ()
    assert [f.rule for f in validate(compacted, taking)] == ["R94"]
    assert validate(compacted, DEFAULT.with_betas(["compact-2026-01-12"])) == ()
    prefill = parse("user: a / assistant: b")
    assert validate(prefill, Profile(prefill_allowed=True)) == ()
    system = parse("user: a / system: s")
    assert [f.rule for f in validate(system, Profile(system_role_allowed=False))] == ["R28"]
    assert validate(TABLE[-1][1], ANY_TOOLS) == ()


def test_a_compaction_that_is_not_first_is_misplaced() -> None:
    profile = DEFAULT.with_betas(["compact-2026-09-04"])
    history = (user("a"), assistant(block("compaction", content="s")), user("b"))
    assert [f.rule for f in validate(history, profile)] == ["R92"]


def test_running_calls_are_no_findings_but_forgotten_ones_are() -> None:
    history = (user("go"), assistant(tool_use("t1"), tool_use("t2")))
    assert validate(history, open_ids=frozenset({"t1", "t2"})) == ()
    (found,) = validate(history, open_ids=frozenset({"t1"}))
    assert (found.rule, found.ids) == ("R40", ("t2",))
    assert "after: t2." in found.detail
