"""The texts of all refusals, as data.

Law: these are the canonical strings of specification §8.1 and, where that list is silent, those of
§2; where both are silent the text is ours and its rule's section says that it is inferred. A test
compares them word for word with what the rules say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INVALID_REQUEST: Final = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Wording:
    """The fixed part of a refusal. `text` holds `{placeholders}`, filled by `refuse`."""

    text: str
    status: int = 400
    type: str = INVALID_REQUEST
    error_code: str | None = None


def _auth(text: str) -> Wording:
    return Wording(text, 401, "authentication_error")


def _coded(code: str, text: str, status: int = 400, error_type: str = INVALID_REQUEST) -> Wording:
    return Wording(text, status, error_type, code)


_DIRECTIVE_ONLY: Final = (
    "; the directive-only form (content: [] with output_config) is accepted at any position"
)
_BOUND_ELSEWHERE: Final = (
    "messages.{i}.content.{j}: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".{header}'
)
BINDING_HEADER_SENTENCE: Final = (
    " That setting requires the `thinking-binding-controls-2026-08-01` value in the "
    "`anthropic-beta` header."
)
_DOCS: Final = (
    "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
)
_ADAPTIVE_HINT: Final = (
    'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
)

_ENVELOPE: Final = {
    "path": Wording("Not found", 404, "not_found_error"),
    "R1a": _auth("x-api-key header is required"),
    "R1b": _auth("invalid x-api-key"),
    "R1c": _auth("Invalid bearer token"),
    "R3": Wording("anthropic-version: header is required"),
    "R3b": Wording('anthropic-version: "{version}" is not a valid version'),
    "R4": Wording(
        "Unexpected value(s) `{values}` for the `anthropic-beta` header. Please consult our "
        "documentation at docs.anthropic.com or try again without the header."
    ),
    "R5": Wording("The request body is not valid JSON: {detail}: line {l} column {c} (char {n})"),
    "R5a": Wording("The request body is not a JSON object"),
    "R5b": _coded("unsupported_charset", "The charset `{charset}` is not supported"),
    "R6a": _coded(
        "request_body_encoding_unsupported", "The content-encoding `{encoding}` is not supported"
    ),
    "R6b": _coded(
        "request_body_encoding_invalid", "The request body is not valid `{encoding}` data"
    ),
    "R6c": _coded(
        "request_body_too_large_after_decoding",
        "Request exceeds the maximum size",
        413,
        "request_too_large",
    ),
    "R6d": _coded("request_body_timeout", "The request body did not arrive in time"),
    "R7": Wording("Request exceeds the maximum size", 413, "request_too_large"),
    "R8": Wording("{path}: Extra inputs are not permitted"),
    "R9": Wording("{path}: Field required"),
    "type": Wording("{path}: Input should be {expected}"),
    "R10": Wording("model: {model}", 404, "not_found_error"),
    "R11": Wording(
        "max_tokens: {n} > {cap}, which is the maximum allowed number of output tokens for {model}"
    ),
    "R11b": Wording("max_tokens: Input should be greater than or equal to 0"),
    "R13": Wording("max_tokens: 0 may not be combined with `{param}`"),
    "R14": Wording("{param}: Extra inputs are not permitted"),
    "R15a": Wording("`{param}` is deprecated for this model."),
    "R15b": Wording(
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. "
        + _DOCS
        + "extended-thinking#important-considerations-when-using-extended-thinking"
    ),
    "R15c": Wording(
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    ),
    "R15d": Wording("{param}: Input should be less than or equal to 1"),
    "R16": Wording("stop_sequences: each stop sequence must contain non-whitespace"),
    "R17a": Wording("system: text content blocks must be non-empty"),
    "R17b": Wording("system: text content blocks must contain non-whitespace text"),
    "R18": Wording("messages: at least one message is required"),
    "R19": Wording("messages: List should have at most {max} items after validation, not {n}"),
    "R90": Wording(
        "input length and `max_tokens` exceed context limit: {a} + {b} > {c}, decrease input "
        "length or `max_tokens` and try again"
    ),
}

_ORDER: Final = {
    "R20": Wording(
        'messages: roles must alternate between "user" and "assistant", but found multiple '
        '"{role}" roles in a row'
    ),
    "R21": Wording('messages: first message must use the "user" role'),
    "R22": Wording(
        "This model does not support assistant message prefill. "
        "The conversation must end with a user message."
    ),
    "R23": Wording("messages: final assistant content cannot end with trailing whitespace"),
    "R24": Wording(
        "messages.{i}: role 'system' must follow a 'user' message or an 'assistant' message "
        "ending in a server tool result" + _DIRECTIVE_ONLY
    ),
    "R25": Wording(
        "messages.{i}: role 'system' must precede an 'assistant' message or end the array"
        + _DIRECTIVE_ONLY
    ),
    "R26": Wording(
        "messages.0: use the top-level 'system' parameter for the initial system prompt"
        + _DIRECTIVE_ONLY
    ),
    "R27a": Wording("messages.{i}: system content must contain at least one block"),
    "R27b": Wording(
        "messages.{i}: role 'system' supports text, tool_addition, and tool_removal blocks only"
    ),
    "R28a": Wording("role 'system' is not supported on this model"),
    "R28b": Wording(
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
        'parameter, not "system" as an input message role.'
    ),
    "R30": _coded(
        "tool_reference_unresolved",
        "messages.{i}.content.{j}: the tool `{name}` is not defined at this position",
    ),
    "R30b": _coded(
        "tool_name_conflict",
        "messages.{i}.content.{j}: the name `{name}` belongs to a tool of another kind",
    ),
    "R30c": _coded(
        "available_tools_limit_exceeded",
        "messages.{i}: {n} tools are available after this message, at most {max} may be",
    ),
    "R31": Wording(
        "{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags: "
        "{tags}"
    ),
    "R32": Wording("messages: text content blocks must be non-empty"),
    "R33": Wording("messages: text content blocks must contain non-whitespace text"),
    "R34": Wording("messages.{i}: user messages must have non-empty content"),
    "R35": Wording(
        "messages.{i}: all messages must have non-empty content except for the optional final "
        "assistant message"
    ),
    "R36a": Wording("messages.{i}: `{type}` blocks can only be in `assistant` messages"),
    "R36b": Wording("messages.{i}: `{type}` blocks can only be in `user` messages"),
    "R36c": Wording(
        "messages.{i}.content.{j}: `{type}` blocks may only be in `assistant` messages"
    ),
    "R36d": Wording("messages.{i}: `{type}` blocks can only be in `system` messages"),
    "R37": Wording("messages.{i}.content.{j}: `document` blocks may only be in `user` messages"),
    "R38": Wording(
        "messages.{i}.content.{j}: `citations` may not be set on text in `user` messages"
    ),
    "R39": Wording("messages.{i}: The final block in an assistant message cannot be `thinking`."),
}

_TOOL_TRAFFIC: Final = {
    "R40": Wording(
        "messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        "{ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    ),
    "R42": Wording(
        "messages.{i}.content.{j}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. "
        "Each `tool_result` block must have a corresponding `tool_use` block in the previous "
        "message."
    ),
    "R43": Wording(
        "messages.{i}.content.{j}: each tool_use must have a single result. Found multiple "
        "`tool_result` blocks with id: {id}"
    ),
    "R44": Wording("messages.{i}.content.{j}: `tool_use` ids must be unique"),
    "R45": Wording("{path}: String should match pattern '{pattern}'"),
    "R46": Wording("{path}: String should have at most {max} characters"),
    "R46b": Wording("{path}: String should have at least {min} character"),
    "R47": Wording("{path}: Input should be a valid dictionary"),
    "R48": Wording(
        "messages.{i}.content.{j}.tool_result: content cannot be empty if `is_error` is true"
    ),
    "R48b": Wording(
        'messages.{i}.content.{j}.tool_result: all content must be type "text" if `is_error` '
        "is true"
    ),
    "R49": Wording("messages.{i}.content.{j}: source tool {id} not found"),
    "R49b": Wording(
        "{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags: "
        "{tags}"
    ),
    "R50a": Wording(
        "messages.{i}.content.{j}.tool_result.toolset_name: Input should be '{toolset}'"
    ),
    "R50b": Wording(
        "messages.{i}.content.{j}.tool_result: only text, image and browser_state content may "
        "answer a member of a toolset"
    ),
    "R51": Wording(
        "messages.{i}: `{tool}` tool use with id `{id}` was found without a corresponding "
        "`{tool}_tool_result` block"
    ),
    "R52": Wording(
        "messages.{i}: `{tool}` tool use with id `{id}` was found but no `{tool}` tool was provided"
    ),
    "R54": Wording(
        "container_id is required when there are pending tool uses generated by code execution "
        "with tools."
    ),
    "R54b": Wording(
        "messages.{i}: only `tool_result` blocks may answer tool uses generated by code execution"
    ),
    "R54c": Wording(
        'messages.{i}.content.{j}.tool_result: all content must be type "text" in answer to tool '
        "uses generated by code execution"
    ),
    "R55": Wording(
        "messages.{i}.content.{j}: unexpected `tool_use_id` found in `{type}` blocks: {id}. Each "
        "`{type}` block must have a corresponding tool use block before it."
    ),
    "R56a": Wording("mcp_servers.{k}.url: URL scheme should be 'https'"),
    "R56b": Wording(
        "mcp_servers.{k}: MCP server '{name}' must be referenced by exactly one mcp_toolset"
    ),
    "R56c": Wording("tools.{k}: MCP server '{name}' not found in mcp_servers"),
    "R57": Wording("Container identifier can only be provided when using the code execution tool"),
    "A31": Wording("Tool reference '{name}' not found in available tools"),
}

_MEDIA: Final = {
    "R58": Wording("File not found: {id}", 404, "not_found_error"),
    "R58b": _coded("file_expired", "File expired: {id}", 404, "not_found_error"),
    "R59a": Wording("{path}.data: Image does not match the provided media type {media_type}"),
    "R59b": Wording("Could not process image"),
    "R59c": Wording("{path}: Input should be {expected}"),
    "R60a": _coded(
        "image_dimensions_too_large",
        "{path}.data: At least one of the image dimensions exceed max allowed size: 8000 pixels",
    ),
    "R60b": _coded(
        "image_dimensions_too_large",
        "{path}.data: At least one of the image dimensions exceed max allowed size for many-image "
        "requests: 2000 pixels",
    ),
    "R61": Wording("{path}: image exceeds {m} MB maximum: {n} bytes > {max} bytes"),
    "R62": Wording("{path}.data: A maximum of {max} PDF pages may be provided."),
    "R62b": Wording("messages: A maximum of {max} images may be provided."),
    "R63": Wording("The PDF specified was not valid."),
    "R64": Wording("Unable to download the file. Please verify the URL and try again."),
}

_THINKING: Final = {
    "R65a": Wording(f'"thinking.type.enabled" is not supported for this model. {_ADAPTIVE_HINT}'),
    "R65b": Wording("adaptive thinking is not supported on this model"),
    "R65c": Wording(f'"thinking.type.disabled" is not supported for this model. {_ADAPTIVE_HINT}'),
    "R65d": Wording(
        '"thinking.type.disabled" is not supported for this model. Use '
        '"thinking.type.between_tools" for the lowest thinking setting, or '
        '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
    ),
    "R65e": Wording('"thinking.type.between_tools" is not supported for this model.'),
    "R66a": Wording(
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    ),
    "R66b": Wording(
        "`max_tokens` must be greater than `thinking.budget_tokens`. "
        + _DOCS
        + "extended-thinking#max-tokens-and-context-window-size"
    ),
    "R67": Wording("Thinking may not be enabled when tool_choice forces tool use."),
    "R68": Wording(
        "messages.{i}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
        "`{type}`. When `thinking` is enabled, a final `assistant` message must start with a "
        "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We "
        "recommend you include thinking blocks from previous turns. To avoid this requirement, "
        "disable `thinking`. " + _DOCS + "extended-thinking"
    ),
    "R69": Wording(
        "messages.{i}.content.{j}: When thinking is disabled, an `assistant` message in the final "
        "position cannot contain `thinking`. To use thinking blocks, enable `thinking` in your "
        "request."
    ),
    "R70": Wording(
        "messages.{i}.content.{j}: `thinking` or `redacted_thinking` blocks in the latest "
        "assistant message cannot be modified. These blocks must remain as they were in the "
        "original response."
    ),
    "R71a": Wording("messages.{i}.content.{j}: Invalid `signature` in `thinking` block"),
    "R71b": Wording("messages.{i}.content.{j}: Invalid `data` in `redacted_thinking` block"),
    "R71c": Wording("{path}: Field required"),
    "R72": Wording(_BOUND_ELSEWHERE),
    "R74": Wording(_BOUND_ELSEWHERE),
    "R77": Wording("`effort` {effort} is not supported with thinking type `{type}`"),
    "R77b": Wording("This model does not support the effort parameter."),
    "R78": Wording("thinking.{type}.block_binding: Extra inputs are not permitted"),
}

_CACHE_AND_TOOLS: Final = {
    "R79": Wording("A maximum of 4 blocks with cache_control may be provided. Found {n}."),
    "R80": Wording(
        "{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
        "cache_control block. Note that blocks are processed in the following order: `tools`, "
        "`system`, `messages`."
    ),
    "R81": Wording("{path}.cache_control: cache_control cannot be set for empty text blocks"),
    "R81b": Wording("{path}: Extra inputs are not permitted"),
    "R81c": Wording("{path}: Input should be {expected}"),
    "R82": Wording("cache_control: the last block already has a cache_control with another ttl"),
    "R83a": Wording("tools.{k}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
    "R83b": Wording("tools: Tool names must be unique."),
    "R84a": Wording(
        "tools.{k}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at "
        "the top level"
    ),
    "R84b": Wording(
        "tools.{k}.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft "
        "2020-12 (https://json-schema.org/draft/2020-12). Learn more about tool use at "
        "https://docs.claude.com/en/docs/tool-use."
    ),
    "R84c": Wording(
        "tools.{k}.custom.input_schema.properties: Property keys should match pattern "
        "'^[a-zA-Z0-9_.-]{1,64}$'"
    ),
    "R85a": Wording("tool_choice.any may only be specified while providing tools"),
    "R85b": Wording("Tool '{name}' not found in provided tools"),
    "R85c": Wording('tool_choice: type "tool" and "any" are not supported for this model.'),
    "R86": Wording("All tools have defer_loading: true. At least one tool must not be deferred."),
    "R87": Wording("Requests which include `tool_use` or `tool_result` blocks must define tools"),
    "R88a": Wording(
        "{path}: For 'object' type, 'additionalProperties' must be explicitly set to false"
    ),
    "R88b": Wording("{path}: property '{keyword}' is not supported"),
    "R88c": Wording("{path}: Unsupported regex feature in pattern field: {pattern}"),
    "R88d": Wording("{path}: recursive schemas are not supported"),
}

_SIZE_AND_COMPACTION: Final = {
    "R89": Wording("prompt is too long: {n} tokens > {max} maximum"),
    "R91": Wording("compaction: the `compaction` parameter requires anthropic-beta: {beta}"),
    "R92": _coded(
        "compaction_block_misplaced",
        "`compaction` block must be sent first, in place of the messages it summarizes; remove "
        "those messages",
    ),
    "R93": _coded(
        "compaction_block_ambiguous", "messages: only one `compaction` block may have content"
    ),
    "R94a": _coded(
        "compaction_signature_invalid",
        "messages.{i}.content.{j}: Invalid `signature` in `compaction` block",
    ),
    "R94b": _coded(
        "compaction_content_mismatch",
        "messages.{i}.content.{j}: the content of the `compaction` block was changed",
    ),
    "R94c": _coded(
        "compaction_tool_changes_mismatch",
        "messages.{i}.content.{j}: the tool changes of the `compaction` block were changed",
    ),
    "R95a": _coded(
        "compaction_nothing_to_summarize", "compaction: there is no conversation to summarize"
    ),
    "R95b": _coded(
        "compaction_incomplete_turn", "compaction: the last assistant turn is not finished"
    ),
    "R95c": Wording("compaction: `{param}` may not be combined with `compaction`"),
    "R95d": Wording("compaction: this model does not support compaction"),
    "R95e": _coded(
        "compaction_too_many_tool_references",
        "compaction: the conversation refers to {n} tools, at most {max} are supported",
    ),
    "R96a": Wording(
        "context_management.edits.{k}.compact_20260112.trigger.value: Input should be greater "
        "than or equal to 50000"
    ),
    "R96b": Wording(
        "context_management.edits.{k}: Input tag 'compact_20260112' found using 'type' does not "
        "match any of the expected tags: 'clear_thinking_20251015', 'clear_tool_uses_20250919'"
    ),
    "R96c": Wording(
        "context_management.edits.{k}: `compact_20260112` may not run on a request with a signed "
        "`compaction` block"
    ),
    "R96d": Wording("messages.{i}.content.{j}: `compaction` content must be non-empty or null"),
    "R97": Wording(
        "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive"
    ),
    "R97b": Wording(
        "context_management.edits: `clear_thinking_20251015` must be the first of the edits"
    ),
    "R97c": Wording(
        "context_management.edits.{k}.clear_thinking_20251015.keep.value: Input should be greater "
        "than 0"
    ),
    "R98": _coded("thread_not_found", "thread: not found", 404, "not_found_error"),
    "R99": Wording("fallbacks: this model does not support fallbacks"),
    "R100": Wording(
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing "
        "to upgrade or purchase credits."
    ),
    "E429": Wording(
        "This request would exceed your organization's rate limit of {n} input tokens per minute. "
        "Please try again later.",
        429,
        "rate_limit_error",
    ),
    "E500": Wording("Internal server error", 500, "api_error"),
    "E504": Wording("Request timed out", 504, "timeout_error"),
    "E529": Wording("Overloaded", 529, "overloaded_error"),
}

WORDINGS: Final[Mapping[str, Wording]] = {
    **_ENVELOPE,
    **_ORDER,
    **_TOOL_TRAFFIC,
    **_MEDIA,
    **_THINKING,
    **_CACHE_AND_TOOLS,
    **_SIZE_AND_COMPACTION,
}
