"""Refusals of messages, media, thinking, cache marks and size, in the words of §8.1 and §2."""

from __future__ import annotations

from typing import Any

from holdfast.simulator.rules.request import Account, Envelope
from simulator.simulator_bodies import (
    TOOL,
    Json,
    assistant,
    body,
    found,
    image,
    pdf,
    png,
    result,
    search,
    system,
    text,
    use,
    user,
)
from simulator.simulator_cases import Case

COMPACT = Envelope(betas=frozenset({"compact-2026-09-04"}))
CONTEXT = Envelope(betas=frozenset({"context-management-2025-06-27"}))
TOOL_CHANGES = Envelope(betas=frozenset({"inline-tools-2026-09-15"}))

HAIKU = "claude-haiku-4-5"
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


CALLED = assistant("I read.", use("t1"), use("t2"))
ORPHANED = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each "
    "`tool_use` block must have a corresponding `tool_result` block in the next message."
)

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
                search(),
                found(),
                use("t1", caller={"type": "code_execution_20260521", "tool_id": "srvtoolu_1"}),
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
        "R59c",
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
        body(user(image(png(10, 10).ljust(7_864_344, b"\0")))),
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
