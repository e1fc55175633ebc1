"""Refusals of the rarer kind: other endpoints, files, connectors, strict schemas, edits."""

from __future__ import annotations

from typing import Any

from differential.pictures import png
from holdfast.simulator.endpoints import ENDPOINTS
from holdfast.simulator.rules.request import Account, Envelope
from simulator.simulator_bodies import (
    TOOL,
    Json,
    assistant,
    body,
    image,
    result,
    search,
    system,
    text,
    use,
    user,
)
from simulator.simulator_cases import Case

HAIKU = "claude-haiku-4-5"
MARK = {"type": "ephemeral"}
COMPACT = Envelope(betas=frozenset({"compact-2026-09-04", "context-management-2025-06-27"}))
CONTEXT = Envelope(betas=frozenset({"context-management-2025-06-27"}))
CHANGES = Envelope(betas=frozenset({"inline-tools-2026-09-15"}))
FALLBACK = Envelope(betas=frozenset({"server-side-fallback-2026-07-01"}))
CONNECTOR = Envelope(betas=frozenset({"mcp-client-2026-09-15"}))
COMPATIBLE = Account(endpoint=ENDPOINTS["compatible"])
LEGACY = Account(endpoint=ENDPOINTS["bedrockLegacy"])
CODE_TOOL = {"type": "code_execution_20260521", "name": "code_execution"}
CODE = {"type": "code_execution_20260521", "tool_id": "srvtoolu_1"}
RUNNING = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {}}
TAGS = "'code_execution_20250825', 'code_execution_20260120', 'code_execution_20260521', 'direct'"
CALL = assistant("I read.", use("t1"))
SUMMARY = {"type": "compaction", "content": None, "signature": "of an old one"}


def answered(*blocks: Json, **call: Any) -> Json:
    return body(user("x"), assistant(use("t1", **call)), user(*blocks))


def programmatic(*blocks: Json, ended: bool = False) -> Json:
    """A call that running code made, answered by `blocks`."""
    over = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {}}
    spoken = assistant(RUNNING, *[over] * ended, use("t1", caller=CODE))
    return body(user("x"), spoken, user(*blocks), tools=[CODE_TOOL], container="container_1")


def changed(*blocks: Json) -> Json:
    return body(user("x"), system(*blocks), tools=[TOOL])


def defined(**definition: Any) -> Json:
    return {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": definition},
    }


def connected(tools: list[Json], *servers: Json) -> Json:
    return body(tools=tools, mcp_servers=list(servers))


def strict(**schema: Any) -> Json:
    whole = {"type": "object", "additionalProperties": False, **schema}
    return body(tools=[{**TOOL, "strict": True, "input_schema": whole}])


def edited(*edits: Json, **fields: Any) -> Json:
    return body(context_management={"edits": list(edits)}, **fields)


WIKI = {"type": "url", "name": "wiki", "url": "https://wiki"}
WIKI_TOOLS = {"type": "mcp_toolset", "mcp_server_name": "wiki"}
STRICT = "tools.0.custom.input_schema"
SHORT = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 49_999}}

ENDPOINT = [
    Case(
        "R20",
        body(user("x"), user("y")),
        'messages: roles must alternate between "user" and "assistant", but found multiple "user" '
        "roles in a row",
        account=COMPATIBLE,
    ),
    Case(
        "R28b",
        body(user("x"), system("y")),
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
        'parameter, not "system" as an input message role.',
        account=COMPATIBLE,
    ),
    Case(
        "R4",
        body(),
        "Unexpected value(s) `inline-tools-2026-09-15` for the `anthropic-beta` header. Please "
        "consult our documentation at docs.anthropic.com or try again without the header.",
        envelope=CHANGES,
        account=COMPATIBLE,
    ),
    Case(
        "R8",
        body(thinking={"type": "adaptive"}),
        "thinking: Extra inputs are not permitted",
        account=COMPATIBLE,
    ),
    Case(
        "R8",
        body(cache_control=MARK),
        "cache_control: Extra inputs are not permitted",
        account=LEGACY,
    ),
    Case(
        "R8",
        body(user(text("x", cache_control=MARK))),
        "messages.0.content.0.text.cache_control: Extra inputs are not permitted",
        account=COMPATIBLE,
    ),
    Case(
        "R31",
        body(user("x"), assistant({"type": "redacted_thinking", "data": "?"}), user("y")),
        "messages.1.content.0: Input tag 'redacted_thinking' found using 'type' does not match any "
        "of the expected tags: 'document', 'image', 'text', 'tool_result', 'tool_use'",
        account=COMPATIBLE,
    ),
    Case(
        "R31",
        answered(result("t1", [image()])),
        "messages.2.content.0.tool_result.content.0: Input tag 'image' found using 'type' does not "
        "match any of the expected tags: 'text'",
        account=COMPATIBLE,
    ),
    Case(
        "R87",
        answered(result("t1")),
        "Requests which include `tool_use` or `tool_result` blocks must define tools",
        account=LEGACY,
    ),
    Case(
        "R61",
        body(user(image(png(10, 10).ljust(3_932_172, b"\0")))),
        "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum: 5242896 bytes > "
        "5242880 bytes",
        account=Account(endpoint=ENDPOINTS["vertex"]),
    ),
    Case(
        "R90",
        body(user("x"), max_tokens=990),
        "input length and `max_tokens` exceed context limit: 13 + 990 > 1000, decrease input "
        "length or `max_tokens` and try again",
        account=Account(endpoint=ENDPOINTS["compatible"], window_tokens=1000),
    ),
]

TRAFFIC = [
    Case(
        "R30b",
        changed(defined(type="bash_20250124", name="read")),
        "messages.1.content.0: the name `read` belongs to a tool of another kind",
        code="tool_name_conflict",
        envelope=CHANGES,
    ),
    Case(
        "R30c",
        changed(defined(name="write", input_schema={"type": "object"})),
        "messages.1: 2 tools are available after this message, at most 1 may be",
        code="available_tools_limit_exceeded",
        envelope=CHANGES,
        account=Account(tools_max=1),
    ),
    Case(
        "R36d",
        body(
            user({"type": "tool_removal", "tool": {"type": "tool_reference", "name": "read"}}),
            tools=[TOOL],
        ),
        "messages.0: `tool_removal` blocks can only be in `system` messages",
        envelope=CHANGES,
    ),
    Case(
        "R49",
        answered(result("t1"), caller=CODE),
        "messages.1.content.0: source tool srvtoolu_1 not found",
    ),
    Case(
        "R49b",
        answered(result("t1"), caller={"type": "code"}),
        "messages.1.content.0.tool_use.caller: Input tag 'code' found using 'type' does not match "
        f"any of the expected tags: {TAGS}",
    ),
    Case(
        "R50a",
        answered(result("t1"), toolset_name="computer"),
        "messages.2.content.0.tool_result.toolset_name: Input should be 'computer'",
    ),
    Case(
        "R50b",
        answered(
            result("t1", [{"type": "tool_reference", "tool_name": "read"}], toolset_name="c"),
            toolset_name="c",
        )
        | {"tools": [TOOL]},
        "messages.2.content.0.tool_result: only text, image and browser_state content may answer a "
        "member of a toolset",
    ),
    Case(
        "R54b",
        programmatic(result("t1"), text("and"), ended=True),
        "messages.2: only `tool_result` blocks may answer tool uses generated by code execution",
    ),
    Case(
        "R54c",
        programmatic(result("t1", [image()])),
        'messages.2.content.0.tool_result: all content must be type "text" in answer to tool uses '
        "generated by code execution",
    ),
    Case(
        "A31",
        answered(result("t1", [{"type": "tool_reference", "tool_name": "DesignSync"}])),
        "Tool reference 'DesignSync' not found in available tools",
    ),
    Case(
        "R55",
        body(
            user("x"),
            assistant(
                search(),
                *[{"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}]
                * 2,
            ),
            user("y"),
        ),
        "messages.1.content.2: unexpected `tool_use_id` found in `web_search_tool_result` blocks: "
        "srvtoolu_1. Each `web_search_tool_result` block must have a corresponding tool use block "
        "before it.",
    ),
    Case(
        "R71c",
        body(user("x"), assistant({"type": "thinking", "thinking": ""}, "y"), user("z")),
        "messages.1.content.0.thinking.signature: Field required",
    ),
    Case(
        "R81b",
        body(
            user("x"),
            assistant({"type": "redacted_thinking", "data": "?", "cache_control": MARK}, "y"),
            user("z"),
        ),
        "messages.1.content.0.redacted_thinking.cache_control: Extra inputs are not permitted",
    ),
    Case(
        "R81c",
        body(user(text("x", cache_control={**MARK, "ttl": "24h"}))),
        "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
    ),
]

FILES = [
    Case(
        "R58",
        body(user({"type": "container_upload", "file_id": "file_1"})),
        "File not found: file_1",
        status=404,
        type="not_found_error",
        account=Account(files=frozenset({"file_2"})),
    ),
    Case(
        "R58b",
        body(user({"type": "image", "source": {"type": "file", "file_id": "file_1"}})),
        "File expired: file_1",
        status=404,
        type="not_found_error",
        code="file_expired",
        account=Account(expired_files=frozenset({"file_1"})),
    ),
    Case(
        "R59c",
        body(user(image(media_type="image/bmp"))),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', "
        "'image/png', 'image/gif' or 'image/webp'",
    ),
    Case("R59b", body(user(image(png(64, 64)[:-20]))), "Could not process image"),
    Case(
        "R59b",
        body(
            user(
                {
                    "type": "document",
                    "source": {"type": "content", "content": [image(b"no picture")]},
                }
            )
        ),
        "Could not process image",
    ),
]

PARAMETERS = [
    Case(
        "R56a",
        connected([WIKI_TOOLS], {**WIKI, "url": "http://wiki"}),
        "mcp_servers.0.url: URL scheme should be 'https'",
        envelope=CONNECTOR,
    ),
    Case(
        "R56b",
        connected([], WIKI),
        "mcp_servers.0: MCP server 'wiki' must be referenced by exactly one mcp_toolset",
        envelope=CONNECTOR,
    ),
    Case(
        "R56c",
        connected([WIKI_TOOLS]),
        "tools.0: MCP server 'wiki' not found in mcp_servers",
        envelope=CONNECTOR,
    ),
    Case(
        "R88a",
        strict(properties={"a": {"type": "array", "items": {"type": "object"}}}),
        f"{STRICT}.properties.a.items: For 'object' type, 'additionalProperties' must be "
        "explicitly set to false",
    ),
    Case(
        "R88b",
        strict(properties={"n": {"anyOf": [{"type": "integer", "minimum": 1}]}}),
        f"{STRICT}.properties.n.anyOf.0: property 'minimum' is not supported",
    ),
    Case(
        "R88b",
        strict(properties={"a": {"type": "array", "minItems": 2}}),
        f"{STRICT}.properties.a: property 'minItems' is not supported",
    ),
    Case(
        "R88c",
        strict(properties={"s": {"type": "string", "pattern": "(?=x)"}}),
        f"{STRICT}.properties.s: Unsupported regex feature in pattern field: (?=x)",
    ),
    Case(
        "R88d",
        strict(**{"$defs": {"n": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}}),
        f"{STRICT}: recursive schemas are not supported",
    ),
    Case(
        "R88a",
        body(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly "
        "set to false",
    ),
    Case(
        "R99",
        body(model="claude-haiku-5-5", fallbacks=[{"model": "claude-opus-5"}]),
        "fallbacks: this model does not support fallbacks",
        envelope=FALLBACK,
    ),
    Case(
        "R95c",
        body(compaction={"type": "summarize"}, output_config={"task_budget": {"remaining": 1}}),
        "compaction: `output_config.task_budget.remaining` may not be combined with `compaction`",
        envelope=Envelope(betas=COMPACT.betas | {"task-budgets-2026-03-13"}),
    ),
    Case(
        "R95e",
        body(user("x"), CALL, user(result("t1")), compaction={"type": "summarize"}),
        "compaction: the conversation refers to 1 tools, at most 0 are supported",
        code="compaction_too_many_tool_references",
        envelope=COMPACT,
        account=Account(tools_max=0),
    ),
    Case(
        "R96a",
        edited(SHORT),
        "context_management.edits.0.compact_20260112.trigger.value: Input should be greater than "
        "or equal to 50000",
        envelope=CONTEXT,
    ),
    Case(
        "R96b",
        edited(SHORT, model=HAIKU),
        "context_management.edits.0: Input tag 'compact_20260112' found using 'type' does not "
        "match any of the expected tags: 'clear_thinking_20251015', 'clear_tool_uses_20250919'",
        envelope=CONTEXT,
    ),
    Case(
        "R96c",
        {**edited({"type": "compact_20260112"}), "messages": [user(SUMMARY, "x")]},
        "context_management.edits.0: `compact_20260112` may not run on a request with a signed "
        "`compaction` block",
        envelope=COMPACT,
    ),
    Case(
        "R96d",
        body(user({"type": "compaction", "content": " ", "signature": "any"}, "x")),
        "messages.0.content.0: `compaction` content must be non-empty or null",
        envelope=COMPACT,
    ),
    Case(
        "R97b",
        edited({"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015"}),
        "context_management.edits: `clear_thinking_20251015` must be the first of the edits",
        envelope=CONTEXT,
    ),
    Case(
        "R97c",
        edited({"type": "clear_thinking_20251015", "keep": {"type": "turns", "value": 0}}),
        "context_management.edits.0.clear_thinking_20251015.keep.value: Input should be greater "
        "than 0",
        envelope=CONTEXT,
    ),
]
