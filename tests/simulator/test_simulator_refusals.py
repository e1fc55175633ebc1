"""Every rule refuses with the API's own words (specification §8, §8.1).

The texts are written out here, as the specification has them, and not taken from the code.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.simulator.errors import ERRORS
from holdfast.simulator.refusals import WORDINGS, Refusal
from holdfast.simulator.rules.request import Account, Envelope
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Validator
from simulator.simulator_bodies import (
    KEY_HEADERS,
    TOOL,
    Json,
    assistant,
    body,
    found,
    image,
    pdf,
    png,
    refusal_of,
    result,
    search,
    system,
    text,
    use,
    user,
)

OLD = Envelope(version="2023-06-01")
COMPACT = Envelope(betas=frozenset({"compact-2026-09-04"}))
CONTEXT = Envelope(betas=frozenset({"context-management-2025-06-27"}))
TOOL_CHANGES = Envelope(betas=frozenset({"inline-tools-2026-09-15"}))
THREADS = Envelope(betas=frozenset({"message-threads-2026-08-12"}))
COUNT = Envelope(counting=True)

HAIKU = "claude-haiku-4-5"
INVALID = "invalid_request_error"
DIRECTIVE = "; the directive-only form (content: [] with output_config) is accepted at any position"
DOCS = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
MARK = {"type": "ephemeral"}
MANUAL = {"type": "enabled", "budget_tokens": 1024}
THOUGHT = {"type": "thinking", "thinking": "", "signature": "forged"}
WEB = {"type": "web_search_20260318", "name": "web_search"}


def tool(**changes: Any) -> Json:
    return {**TOOL, **changes}


def schema(**changes: Any) -> Json:
    return tool(input_schema={"type": "object", **changes})


def without(value: Json, key: str) -> Json:
    return {name: item for name, item in value.items() if name != key}


@dataclass(frozen=True)
class Case:
    rule: str
    body: Json
    message: str
    status: int = 400
    type: str = INVALID
    code: str | None = None
    envelope: Envelope = field(default_factory=Envelope)
    account: Account = field(default_factory=Account)


CALLED = assistant("I read.", use("t1"), use("t2"))
ORPHANED = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each "
    "`tool_use` block must have a corresponding `tool_result` block in the next message."
)
BAD_SCHEMA = (
    "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12). Learn more about tool use at "
    "https://docs.claude.com/en/docs/tool-use."
)
NOT_ENABLED = (
    '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
    '"output_config.effort" to control thinking behavior.'
)

SHAPE = [
    Case("R8", body(colour="red"), "colour: Extra inputs are not permitted"),
    Case(
        "R8",
        body(context_management={"edits": []}),
        "context_management: Extra inputs are not permitted",
    ),
    Case(
        "R8",
        body(user({"type": "text", "text": "x", "id": "1"})),
        "messages.0.content.0.text.id: Extra inputs are not permitted",
    ),
    Case(
        "R8",
        body(user("x"), system(output_config={"effort": "low"})),
        "messages.1.output_config: Extra inputs are not permitted",
    ),
    Case(
        "R8",
        body(envelope=None, max_tokens=5),
        "max_tokens: Extra inputs are not permitted",
        envelope=COUNT,
    ),
    Case("R9", body(model=None), "model: Field required"),
    Case("R9", body(max_tokens=None), "max_tokens: Field required"),
    Case("R9", without(body(), "messages"), "messages: Field required"),
    Case("R9", body({"role": "user"}), "messages.0.content: Field required"),
    Case("R9", body(user({"text": "x"})), "messages.0.content.0.type: Field required"),
    Case(
        "R9",
        body(user("x"), assistant(without(THOUGHT, "signature")), user("y")),
        "messages.1.content.0.thinking.signature: Field required",
    ),
    Case(
        "type",
        body({"role": "robot", "content": "x"}),
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    Case("type", body(max_tokens="many"), "max_tokens: Input should be a valid integer"),
    Case("type", body(stream="yes"), "stream: Input should be a valid boolean"),
    Case("type", body(system=[text("x"), 3]), "system.1: Input should be a valid dictionary"),
    Case(
        "type",
        body(output_config={"effort": "huge"}),
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
    ),
    Case(
        "R19",
        body(*[user("x")] * 100_001),
        "messages: List should have at most 100000 items after validation, not 100001",
    ),
    Case(
        "R31",
        body(user("x"), assistant("y"), user({"type": "hologram"})),
        "messages.2.content.0: Input tag 'hologram' found using 'type' does not match any of the "
        "expected tags: 'bash_code_execution_tool_result', 'code_execution_tool_result', "
        "'container_upload', 'document', 'image', 'redacted_thinking', 'search_result', "
        "'server_tool_use', 'text', 'text_editor_code_execution_tool_result', 'thinking', "
        "'tool_result', 'tool_search_tool_result', 'tool_use', 'web_fetch_tool_result', "
        "'web_search_tool_result'",
    ),
    Case(
        "R45",
        body(user("x"), assistant(use("call:1")), user(result("call:1"))),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    Case(
        "R45",
        body(user("x"), assistant(use("t1\n")), user("y")),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    Case(
        "R46",
        body(user("x"), assistant(use("t1", name="n" * 201)), user(result("t1"))),
        "messages.1.content.0.tool_use.name: String should have at most 200 characters",
    ),
    Case(
        "R46b",
        body(user("x"), assistant(use("t1", name="")), user(result("t1"))),
        "messages.1.content.0.tool_use.name: String should have at least 1 character",
    ),
    Case(
        "R47",
        body(user("x"), assistant(use("t1", input="{}")), user(result("t1"))),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
]

PARAMETERS = [
    Case("R10", body(model="gpt-2"), "model: gpt-2", 404, "not_found_error"),
    Case(
        "R10",
        body(model="claude-mythos-preview"),
        "model: claude-mythos-preview",
        404,
        "not_found_error",
    ),
    Case(
        "R11",
        body(max_tokens=128_001),
        "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for "
        "claude-opus-5-5",
    ),
    Case("R11b", body(max_tokens=-1), "max_tokens: Input should be greater than or equal to 0"),
    Case(
        "R13",
        body(max_tokens=0, stream=True),
        "max_tokens: 0 may not be combined with `stream`",
    ),
    Case("R14", body(temperature=1), "temperature: Extra inputs are not permitted"),
    Case(
        "R15a",
        body(temperature=0.5),
        "`temperature` is deprecated for this model.",
        envelope=OLD,
    ),
    Case("R15a", body(top_k=5), "`top_k` is deprecated for this model.", envelope=OLD),
    Case(
        "R15b",
        body(model=HAIKU, max_tokens=4096, temperature=0.5, thinking=MANUAL),
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. "
        + DOCS
        + "extended-thinking#important-considerations-when-using-extended-thinking",
        envelope=OLD,
    ),
    Case(
        "R15c",
        body(model=HAIKU, temperature=0.5, top_p=0.5),
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        envelope=OLD,
    ),
    Case(
        "R15d",
        body(model=HAIKU, temperature=1.5),
        "temperature: Input should be less than or equal to 1",
        envelope=OLD,
    ),
    Case(
        "R16",
        body(stop_sequences=["END", " \n"]),
        "stop_sequences: each stop sequence must contain non-whitespace",
    ),
    Case("R17a", body(system=""), "system: text content blocks must be non-empty"),
    Case(
        "R17b",
        body(system=[text(" ")]),
        "system: text content blocks must contain non-whitespace text",
    ),
    Case("R65a", body(thinking=MANUAL), NOT_ENABLED),
    Case(
        "R65b",
        body(model=HAIKU, thinking={"type": "adaptive"}),
        "adaptive thinking is not supported on this model",
    ),
    Case(
        "R65c",
        body(thinking={"type": "disabled"}),
        '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive" '
        'and "output_config.effort" to control thinking behavior.',
    ),
    Case(
        "R65d",
        body(model="claude-sonnet-5-5", thinking={"type": "disabled"}),
        '"thinking.type.disabled" is not supported for this model. Use '
        '"thinking.type.between_tools" for the lowest thinking setting, or '
        '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
    ),
    Case(
        "R65e",
        body(thinking={"type": "between_tools"}),
        '"thinking.type.between_tools" is not supported for this model.',
    ),
    Case(
        "R66a",
        body(model=HAIKU, thinking={"type": "enabled", "budget_tokens": 1023}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    Case(
        "R66b",
        body(model=HAIKU, max_tokens=1024, thinking=MANUAL),
        "`max_tokens` must be greater than `thinking.budget_tokens`. "
        + DOCS
        + "extended-thinking#max-tokens-and-context-window-size",
    ),
    Case(
        "R67",
        body(
            model=HAIKU,
            max_tokens=4096,
            thinking=MANUAL,
            tools=[TOOL],
            tool_choice={"type": "any"},
        ),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    Case(
        "R77",
        body(
            model="claude-opus-5",
            thinking={"type": "disabled"},
            output_config={"effort": "max"},
        ),
        "`effort` max is not supported with thinking type `disabled`",
    ),
    Case(
        "R77b",
        body(model=HAIKU, output_config={"effort": "low"}),
        "This model does not support the effort parameter.",
    ),
    Case(
        "R78",
        body(
            thinking={
                "type": "adaptive",
                "block_binding": {"prefix_mismatch_behavior": "drop_block"},
            }
        ),
        "thinking.adaptive.block_binding: Extra inputs are not permitted",
    ),
    Case(
        "R57",
        body(container="container_1"),
        "Container identifier can only be provided when using the code execution tool",
    ),
    Case(
        "R91",
        body(compaction={"type": "summarize"}),
        "compaction: the `compaction` parameter requires anthropic-beta: compact-2026-09-04",
    ),
    Case(
        "R95c",
        body(compaction={"type": "summarize"}, stop_sequences=["x"]),
        "compaction: `stop_sequences` may not be combined with `compaction`",
        envelope=COMPACT,
    ),
    Case(
        "R95d",
        body(model="claude-haiku-4-5", compaction={"type": "summarize"}),
        "compaction: this model does not support compaction",
        envelope=COMPACT,
    ),
    Case(
        "R98",
        body(thread={"type": "continue", "previous_message_id": "msg_1"}),
        "thread: not found",
        404,
        "not_found_error",
        "thread_not_found",
        THREADS,
    ),
]

TOOLS = [
    Case(
        "R83a",
        body(tools=[tool(name="read file")]),
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    Case("R83b", body(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
    Case(
        "R9",
        body(tools=[without(TOOL, "input_schema")]),
        "tools.0.custom.input_schema: Field required",
    ),
    Case(
        "R9",
        body(tools=[TOOL, tool(name="b", input_schema={})]),
        "tools.1.custom.input_schema.type: Field required",
    ),
    Case(
        "R84a",
        body(tools=[schema(anyOf=[{"type": "object"}])]),
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the "
        "top level",
    ),
    Case("R84b", body(tools=[schema(properties={"a": {"type": "text"}})]), BAD_SCHEMA),
    Case("R84b", body(tools=[schema(properties={"a": {"items": [{}]}})]), BAD_SCHEMA),
    Case("R84b", body(tools=[schema(required="a")]), BAD_SCHEMA),
    Case("R84b", body(tools=[schema(properties={"a": {"exclusiveMinimum": True}})]), BAD_SCHEMA),
    Case(
        "R84c",
        body(tools=[schema(properties={"a b": {}})]),
        "tools.0.custom.input_schema.properties: Property keys should match pattern "
        "'^[a-zA-Z0-9_.-]{1,64}$'",
    ),
    Case(
        "R85a",
        body(model="claude-opus-5", tool_choice={"type": "any"}),
        "tool_choice.any may only be specified while providing tools",
    ),
    Case(
        "R85b",
        body(model="claude-opus-5", tools=[TOOL], tool_choice={"type": "tool", "name": "rm"}),
        "Tool 'rm' not found in provided tools",
    ),
    Case(
        "R85c",
        body(tools=[TOOL], tool_choice={"type": "any"}),
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    Case(
        "R86",
        body(tools=[tool(defer_loading=True)]),
        "All tools have defer_loading: true. At least one tool must not be deferred.",
    ),
]

ORDER = [
    Case("R18", {**body(), "messages": []}, "messages: at least one message is required"),
    Case(
        "R21", body(assistant("x"), user("y")), 'messages: first message must use the "user" role'
    ),
    Case(
        "R22",
        body(user("x"), assistant("The answer is")),
        "This model does not support assistant message prefill. The conversation must end with a "
        "user message.",
    ),
    Case(
        "R23",
        body(user("x"), assistant("The answer is "), model=HAIKU),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    Case(
        "R24",
        body(user("x"), assistant("y"), system("note"), user("z")),
        "messages.2: role 'system' must follow a 'user' message or an 'assistant' message ending "
        "in a server tool result" + DIRECTIVE,
    ),
    Case(
        "R25",
        body(user("x"), system("one"), system("two"), user("y")),
        "messages.1: role 'system' must precede an 'assistant' message or end the array"
        + DIRECTIVE,
    ),
    Case(
        "R26",
        body(system("be short"), user("x")),
        "messages.0: use the top-level 'system' parameter for the initial system prompt"
        + DIRECTIVE,
    ),
    Case(
        "R27a",
        body(user("x"), system()),
        "messages.1: system content must contain at least one block",
    ),
    Case(
        "R27b",
        body(user("x"), system(image())),
        "messages.1: role 'system' supports text, tool_addition, and tool_removal blocks only",
    ),
    Case(
        "R28a",
        body(user("x"), system("note"), model="claude-opus-4-7"),
        "role 'system' is not supported on this model",
    ),
    Case(
        "R28b",
        body(user("x"), system("note"), model=HAIKU),
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
        'parameter, not "system" as an input message role.',
    ),
    Case(
        "R30",
        body(
            user("x"),
            system(
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "rm"}},
            ),
            tools=[TOOL],
        ),
        "messages.1.content.0: the tool `rm` is not defined at this position",
        code="tool_reference_unresolved",
        envelope=TOOL_CHANGES,
    ),
    Case("R32", body(user(text(""))), "messages: text content blocks must be non-empty"),
    Case(
        "R32",
        body(user("x"), assistant(use("t1")), user(result("t1", [text("")]))),
        "messages: text content blocks must be non-empty",
    ),
    Case(
        "R33",
        body(user("x"), assistant(text("\n\n")), user("y")),
        "messages: text content blocks must contain non-whitespace text",
    ),
    Case("R34", body(user("")), "messages.0: user messages must have non-empty content"),
    Case(
        "R35",
        body(user("x"), assistant(), user("y")),
        "messages.1: all messages must have non-empty content except for the optional final "
        "assistant message",
    ),
    Case(
        "R36a",
        body(user(use("t1"))),
        "messages.0: `tool_use` blocks can only be in `assistant` messages",
    ),
    Case(
        "R36b",
        body(user("x"), assistant(result("t1")), user("y")),
        "messages.1: `tool_result` blocks can only be in `user` messages",
    ),
    Case(
        "R36c",
        body(user("x", THOUGHT)),
        "messages.0.content.1: `thinking` blocks may only be in `assistant` messages",
    ),
    Case(
        "R37",
        body(user("x"), assistant("y", pdf(1)), user("z")),
        "messages.1.content.1: `document` blocks may only be in `user` messages",
    ),
    Case(
        "R38",
        body(user(text("x", citations=[{"type": "char_location"}]))),
        "messages.0.content.0: `citations` may not be set on text in `user` messages",
    ),
    Case(
        "R39",
        body(user("x"), assistant("y", THOUGHT), model=HAIKU),
        "messages.1: The final block in an assistant message cannot be `thinking`.",
    ),
]

PAIRS = [
    Case(
        "R40",
        body(user("x"), CALLED, user("go on")),
        "messages.1: " + ORPHANED.format(ids="t1, t2"),
    ),
    Case(
        "R40",
        body(user("x"), CALLED, user(result("t1"), "and", result("t2"))),
        "messages.1: " + ORPHANED.format(ids="t2"),
    ),
    Case(
        "R42",
        body(user("x"), assistant("y"), user("z", result("t9"))),
        "messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: t9. Each "
        "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
    ),
    Case(
        "R43",
        body(user("x"), assistant(use("t1")), user(result("t1"), result("t1"))),
        "messages.2.content.1: each tool_use must have a single result. Found multiple "
        "`tool_result` blocks with id: t1",
    ),
    Case(
        "R44",
        body(
            user("x"),
            assistant(use("t1")),
            user(result("t1")),
            assistant("y", use("t1")),
            user(result("t1")),
        ),
        "messages.3.content.1: `tool_use` ids must be unique",
    ),
    Case(
        "R48",
        body(user("x"), assistant(use("t1")), user(result("t1", "", is_error=True))),
        "messages.2.content.0.tool_result: content cannot be empty if `is_error` is true",
    ),
    Case(
        "R48b",
        body(user("x"), assistant(use("t1")), user(result("t1", [image()], is_error=True))),
        'messages.2.content.0.tool_result: all content must be type "text" if `is_error` is true',
    ),
    Case(
        "R51",
        body(user("x"), assistant(search()), user("y"), tools=[WEB]),
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding "
        "`web_search_tool_result` block",
    ),
    Case(
        "R51",
        body(
            user("x"),
            assistant(search(), use("t1")),
            user(result("t1"), "and more"),
            tools=[WEB],
        ),
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding "
        "`web_search_tool_result` block",
    ),
    Case(
        "R52",
        body(user("x"), assistant(search()), tools=[TOOL]),
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found but no `web_search` tool "
        "was provided",
    ),
    Case(
        "R54",
        body(
            user("x"),
            assistant(
                use("t1", caller={"type": "code_execution_20260521", "tool_id": "srvtoolu_1"})
            ),
            user(result("t1")),
        ),
        "container_id is required when there are pending tool uses generated by code execution "
        "with tools.",
    ),
    Case(
        "R55",
        body(user("x"), assistant(found("srvtoolu_9")), user("y")),
        "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: "
        "srvtoolu_9. Each `web_search_tool_result` block must have a corresponding tool use block "
        "before it.",
    ),
]

SOURCE = "messages.0.content.0.image.source.base64"
MEDIA = [
    Case(
        "type",
        body(user(image(media_type="image/svg+xml"))),
        f"{SOURCE}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or "
        "'image/webp'",
    ),
    Case(
        "R59a",
        body(user(image(media_type="image/jpeg"))),
        f"{SOURCE}.data: Image does not match the provided media type image/jpeg",
    ),
    Case("R59b", body(user(image(b"no picture"))), "Could not process image"),
    Case(
        "R60a",
        body(user(image(png(8001, 10)))),
        f"{SOURCE}.data: At least one of the image dimensions exceed max allowed size: 8000 pixels",
        code="image_dimensions_too_large",
    ),
    Case(
        "R60b",
        body(user(image(png(10, 2001)), *[image()] * 20)),
        f"{SOURCE}.data: At least one of the image dimensions exceed max allowed size for "
        "many-image requests: 2000 pixels",
        code="image_dimensions_too_large",
    ),
    Case(
        "R60a",
        body(user("x"), assistant(use("t1")), user(result("t1", [image(png(8001, 10))]))),
        "messages.2.content.0.tool_result.content.0.image.source.base64.data: At least one of the "
        "image dimensions exceed max allowed size: 8000 pixels",
        code="image_dimensions_too_large",
    ),
    Case(
        "R61",
        body(user(image(png(10, 10, padding=7_864_320)))),
        f"{SOURCE}: image exceeds 10 MB maximum: 10485792 bytes > 10485760 bytes",
    ),
    Case(
        "R62",
        body(user(pdf(601))),
        "messages.0.content.0.pdf.source.base64.data: A maximum of 600 PDF pages may be provided.",
    ),
    Case(
        "R62",
        body(user(pdf(60), pdf(41)), model=HAIKU),
        "messages.0.content.1.pdf.source.base64.data: A maximum of 100 PDF pages may be provided.",
    ),
    Case(
        "R62b",
        body(user(*[image()] * 101), model=HAIKU),
        "messages: A maximum of 100 images may be provided.",
    ),
    Case(
        "R63",
        body(
            user(
                {
                    "type": "document",
                    "source": {
                        "type": "base64",
                        "media_type": "application/pdf",
                        "data": "aGVsbG8=",
                    },
                }
            )
        ),
        "The PDF specified was not valid.",
    ),
    Case(
        "R64",
        body(user({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})),
        "Unable to download the file. Please verify the URL and try again.",
    ),
]

ENDS = [
    Case(
        "R68",
        body(
            user("x"),
            assistant("y", use("t1")),
            user(result("t1")),
            model=HAIKU,
            max_tokens=4096,
            thinking=MANUAL,
        ),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. "
        "When `thinking` is enabled, a final `assistant` message must start with a thinking block "
        "(preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you "
        "include thinking blocks from previous turns. To avoid this requirement, disable "
        "`thinking`. " + DOCS + "extended-thinking",
    ),
    Case(
        "R69",
        body(user("x"), assistant(THOUGHT, "y"), model=HAIKU),
        "messages.1.content.0: When thinking is disabled, an `assistant` message in the final "
        "position cannot contain `thinking`. To use thinking blocks, enable `thinking` in your "
        "request.",
    ),
    Case(
        "R71a",
        body(user("x"), assistant(THOUGHT, "y"), user("z")),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    Case(
        "R71b",
        body(user("x"), assistant({"type": "redacted_thinking", "data": "?"}, "y"), user("z")),
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
]

CACHE = [
    Case(
        "R79",
        body(
            user(*[text("x", cache_control=MARK)] * 3),
            system=[text("s", cache_control=MARK)],
            tools=[tool(cache_control=MARK)],
        ),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    Case(
        "R80",
        body(
            user(text("x", cache_control={"type": "ephemeral", "ttl": "1h"})),
            system=[text("s", cache_control=MARK)],
        ),
        "messages.0.content.0.text.cache_control.ttl: a ttl='1h' cache_control block must not come "
        "after a ttl='5m' cache_control block. Note that blocks are processed in the following "
        "order: `tools`, `system`, `messages`.",
    ),
    Case(
        "R81",
        body(user("x", text("", cache_control=MARK))),
        "messages.0.content.1.text.cache_control: cache_control cannot be set for empty text "
        "blocks",
    ),
    Case(
        "R81",
        body(system=[text("", cache_control=MARK)]),
        "system.0.cache_control: cache_control cannot be set for empty text blocks",
    ),
    Case(
        "R82",
        body(
            user(text("x", cache_control=MARK)),
            cache_control={"type": "ephemeral", "ttl": "1h"},
        ),
        "cache_control: the last block already has a cache_control with another ttl",
    ),
]

SUMMARY = {"type": "compaction", "content": "what was", "signature": "forged"}
SIZE = [
    Case(
        "R89",
        body(user("x" * 3500)),
        "prompt is too long: 1012 tokens > 1000 maximum",
        account=Account(window_tokens=1000),
    ),
    Case(
        "R92",
        body(user("x"), assistant(SUMMARY), user("y")),
        "`compaction` block must be sent first, in place of the messages it summarizes; remove "
        "those messages",
        code="compaction_block_misplaced",
        envelope=COMPACT,
    ),
    Case(
        "R94a",
        body(user(SUMMARY, "and now?")),
        "messages.0.content.0: Invalid `signature` in `compaction` block",
        code="compaction_signature_invalid",
        envelope=COMPACT,
    ),
    Case(
        "R95a",
        body(user({"type": "compaction", "content": None}), compaction={"type": "summarize"}),
        "compaction: there is no conversation to summarize",
        code="compaction_nothing_to_summarize",
        envelope=COMPACT,
    ),
    Case(
        "R95b",
        body(user("x"), assistant(search()), tools=[WEB], compaction={"type": "summarize"}),
        "compaction: the last assistant turn is not finished",
        code="compaction_incomplete_turn",
        envelope=COMPACT,
    ),
    Case(
        "R97",
        body(model=HAIKU, context_management={"edits": [{"type": "clear_thinking_20251015"}]}),
        "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive",
        envelope=CONTEXT,
    ),
]

CASES = [*SHAPE, *PARAMETERS, *TOOLS, *ORDER, *PAIRS, *MEDIA, *ENDS, *CACHE, *SIZE]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.rule}-{case.message[:40]}".replace(" ", "_")
)
def test_a_broken_rule_is_refused_with_its_own_status_type_and_words(case: Case) -> None:
    refusal = refusal_of(case.body, case.envelope, case.account)
    assert refusal is not None
    answer = refusal.body("req_1")
    assert (refusal.rule, refusal.status, refusal.message) == (case.rule, case.status, case.message)
    assert answer["type"] == "error"
    assert answer["error"]["type"] == case.type
    assert answer["request_id"] == "req_1"
    assert answer["error"].get("details", {}).get("error_code") == case.code


HEADER_CASES = [
    ("R1a", {"x-api-key": ""}, 401, "authentication_error", "x-api-key header is required"),
    ("R1b", {"x-api-key": "wrong"}, 401, "authentication_error", "invalid x-api-key"),
    (
        "R1c",
        {"x-api-key": "", "authorization": "Bearer wrong"},
        401,
        "authentication_error",
        "Invalid bearer token",
    ),
    ("R3", {"anthropic-version": ""}, 400, INVALID, "anthropic-version: header is required"),
    (
        "R3b",
        {"anthropic-version": "2020-01-01"},
        400,
        INVALID,
        'anthropic-version: "2020-01-01" is not a valid version',
    ),
    (
        "R4",
        {"anthropic-beta": "compact-2026-09-04, tea-2026-01-01"},
        400,
        INVALID,
        "Unexpected value(s) `tea-2026-01-01` for the `anthropic-beta` header. Please consult our "
        "documentation at docs.anthropic.com or try again without the header.",
    ),
]


@pytest.mark.parametrize(("rule", "headers", "status", "kind", "message"), HEADER_CASES)
def test_a_wrong_header_is_refused_before_the_body_is_looked_at(
    rule: str, headers: dict[str, str], status: int, kind: str, message: str
) -> None:
    validator = Validator(Account(api_key="sk-test"), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.envelope({**KEY_HEADERS, **headers})
    refusal = caught.value
    assert (refusal.rule, refusal.status, refusal.type, refusal.message) == (
        rule,
        status,
        kind,
        message,
    )


@pytest.mark.parametrize("header", [{"x-api-key": "k"}, {"authorization": "Bearer k"}])
def test_both_ways_of_sending_a_key_are_accepted(header: dict[str, str]) -> None:
    validator = Validator(Account(api_key="k"), Signer(), Ledger())
    assert validator.envelope({"anthropic-version": "2023-06-01", **header}).version == "2023-06-01"


JSON_CASES = [
    (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    (b'{\n"a": "\\ud83d"}', "no low surrogate in string: line 2 column 13 (char 14)"),
    (b'{"a": "\\ud83dx"}', "no low surrogate in string: line 1 column 14 (char 13)"),
    (b'{"a": "\\udc00"}', "invalid high surrogate in string: line 1 column 8 (char 7)"),
    (b'{"\\ud83d": 1}', "no low surrogate in string: line 1 column 9 (char 8)"),
    (b'{"a": "\xed\xa0\x80"}', "invalid Unicode in string: line 1 column 8 (char 7)"),
    (b'{"a": NaN}', "unexpected constant NaN: line 1 column 1 (char 0)"),
]


@pytest.mark.parametrize(("raw", "detail"), JSON_CASES)
def test_r5_a_body_that_is_no_strict_json_is_refused_with_the_place(
    raw: bytes, detail: str
) -> None:
    validator = Validator(Account(), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.parsed({}, raw)
    assert (caught.value.rule, caught.value.status) == ("R5", 400)
    assert caught.value.message == f"The request body is not valid JSON: {detail}"


@pytest.mark.parametrize(
    "value", ["\\\\ud83d", "\\ud83d\\ude00", "\\\\\\\\ud83d", "\\u0041\\ud83d\\ude00\\u0042"]
)
def test_r5_a_surrogate_pair_or_an_escaped_backslash_is_no_lone_surrogate(value: str) -> None:
    raw = f'{{"a": "{value}"}}'
    parsed = Validator(Account(), Signer(), Ledger()).parsed({}, raw.encode())
    assert parsed == json.loads(raw)


BODY_CASES = [
    ("R5a", {}, b"[]", 400, None),
    (
        "R5b",
        {"content-type": "application/json; charset=utf-16"},
        b"{}",
        400,
        "unsupported_charset",
    ),
    ("R6a", {"content-encoding": "br"}, b"{}", 400, "request_body_encoding_unsupported"),
    ("R6b", {"content-encoding": "gzip"}, b"{}", 400, "request_body_encoding_invalid"),
    (
        "R6c",
        {"content-encoding": "deflate"},
        zlib.compress(bytes(2000)),
        413,
        "request_body_too_large_after_decoding",
    ),
    ("R7", {}, bytes(1001), 413, None),
]


@pytest.mark.parametrize(("rule", "headers", "raw", "status", "code"), BODY_CASES)
def test_a_body_that_cannot_be_taken_is_refused_by_encoding_and_size(
    rule: str, headers: dict[str, str], raw: bytes, status: int, code: str | None
) -> None:
    validator = Validator(Account(body_bytes_max=1000), Signer(), Ledger())
    with pytest.raises(Refusal) as caught:
        validator.parsed(headers, raw)
    assert (caught.value.rule, caught.value.status) == (rule, status)
    assert caught.value.details.get("error_code") == code


def test_a_compressed_body_is_read() -> None:
    validator = Validator(Account(), Signer(), Ledger())
    headers = {"content-encoding": "gzip", "content-type": "application/json; charset=UTF-8"}
    compressor = zlib.compressobj(wbits=31)
    raw = compressor.compress(b'{"a": 1}') + compressor.flush()
    assert validator.parsed(headers, raw) == {"a": 1}


def test_every_wording_has_a_test_that_reaches_it() -> None:
    reached = {case.rule for case in CASES}
    reached |= {case[0] for case in HEADER_CASES} | {case[0] for case in BODY_CASES} | {"R5"}
    elsewhere = {
        "path",  # test_simulator_http
        "R6d",  # a timeout of the transport, bounded and shared with R7
        "R70",  # test_simulator_thinking
        "R72",
        "R74",
        "R93",  # test_simulator_compaction
        "R94b",
    }
    by_fault = {
        rule
        for rule, wording in WORDINGS.items()
        if any(error.message == wording.text or rule == "E429" for error in ERRORS.values())
    }
    assert set(WORDINGS) - reached - elsewhere - by_fault == set()
