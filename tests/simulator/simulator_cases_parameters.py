"""Refusals of shape, parameters and tools, in the words of specification §8.1 and §2."""

from __future__ import annotations

from typing import Any

from holdfast.simulator.rules.request import Envelope
from simulator.simulator_bodies import (
    TOOL,
    Json,
    assistant,
    body,
    result,
    system,
    text,
    use,
    user,
)
from simulator.simulator_cases import Case

OLD = Envelope(version="2023-06-01")
COMPACT = Envelope(betas=frozenset({"compact-2026-09-04"}))
THREADS = Envelope(betas=frozenset({"message-threads-2026-08-12"}))
COUNT = Envelope(counting=True)

HAIKU = "claude-haiku-4-5"
DOCS = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
MANUAL = {"type": "enabled", "budget_tokens": 1024}
THOUGHT = {"type": "thinking", "thinking": "", "signature": "forged"}


def tool(**changes: Any) -> Json:
    return {**TOOL, **changes}


def schema(**changes: Any) -> Json:
    return tool(input_schema={"type": "object", **changes})


def without(value: Json, key: str) -> Json:
    return {name: item for name, item in value.items() if name != key}


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
        "R71c",
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
