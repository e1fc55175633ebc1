"""The shapes of requests: which fields exist, which are required, which need a beta.

Law: this module is data. Sources: the official client's parameter types (version 2.12) and
specification §1.2, §1.3. Deep shapes of server tool results are not checked: a client only ever
echoes them.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.names import TYPED_TOOLS
from holdfast.simulator.rules.request import (
    COMPACT_ON_DEMAND,
    COMPACT_THRESHOLD,
    CONTEXT_MANAGEMENT,
    MESSAGE_THREADS,
    Envelope,
)
from holdfast.simulator.rules.schema import (
    Fields,
    Member,
    anything,
    boolean,
    check_fields,
    dictionary,
    forbidden,
    integer,
    list_of,
    matching,
    nullable,
    number,
    one_of,
    optional,
    required,
    shape,
    sized,
    string,
    tagged,
    text_or,
)

MESSAGES_MAX: Final = 100_000
TOOL_NAME_MAX: Final = 200
SYSTEM_OUTPUT_CONFIG: Final = "mid-conversation-output-config-2026-07-01"
SYSTEM_CLEAR_AT: Final = "mid-conversation-system-clear-at-2026-08-21"
TOOL_CHANGES: Final = ("inline-tools-2026-09-15", "mid-conversation-tool-changes-2026-07-01")
MCP_CLIENTS: Final = ("mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-client-2026-09-15")
FALLBACKS: Final = ("server-side-fallback-2026-06-01", "server-side-fallback-2026-07-01")
FALLBACK_CREDIT: Final = ("fallback-credit-2026-06-01", "fallback-credit-2026-07-01")


TOOL_ID: Final = "^[a-zA-Z0-9_-]+$"
SERVER_TOOL_ID: Final = "^srvtoolu_[a-zA-Z0-9_]+$"
_EFFORT: Final = one_of("low", "medium", "high", "xhigh", "max")
_CACHE_CONTROL: Final = nullable(
    shape(
        {
            "type": required(one_of("ephemeral", rule="R81c")),
            "ttl": optional(one_of("5m", "1h", rule="R81c")),
        }
    )
)
_TYPE: Final = {"type": required(string)}
_CITATIONS_SWITCH: Final = nullable(shape({"enabled": optional(boolean)}))

_TEXT: Final = Member(
    {
        **_TYPE,
        "text": required(string),
        "cache_control": _CACHE_CONTROL,
        "citations": nullable(list_of(dictionary)),
    }
)

_IMAGE_SOURCE: Final = tagged(
    {
        "base64": Member(
            {
                **_TYPE,
                "media_type": required(
                    one_of("image/jpeg", "image/png", "image/gif", "image/webp", rule="R59c")
                ),
                "data": required(string),
            }
        ),
        "url": Member({**_TYPE, "url": required(string)}),
        "file": Member({**_TYPE, "file_id": required(string)}),
    }
)
_IMAGE: Final = Member(
    {
        **_TYPE,
        "source": required(_IMAGE_SOURCE),
        "cache_control": _CACHE_CONTROL,
        "transformations": nullable(
            shape({"oversized_image": optional(one_of("downsize", "error"))})
        ),
    }
)

_DOCUMENT_SOURCE: Final = tagged(
    {
        "base64": Member(
            {
                **_TYPE,
                "media_type": required(one_of("application/pdf", rule="R59c")),
                "data": required(string),
            }
        ),
        "text": Member(
            {
                **_TYPE,
                "media_type": required(one_of("text/plain", rule="R59c")),
                "data": required(string),
            }
        ),
        "content": Member(
            {
                **_TYPE,
                "content": required(text_or(list_of(tagged({"text": _TEXT, "image": _IMAGE})))),
            }
        ),
        "url": Member({**_TYPE, "url": required(string)}),
        "file": Member({**_TYPE, "file_id": required(string)}),
    }
)
_DOCUMENT: Final = Member(
    {
        **_TYPE,
        "source": required(_DOCUMENT_SOURCE),
        "title": nullable(string),
        "context": nullable(string),
        "citations": _CITATIONS_SWITCH,
        "cache_control": _CACHE_CONTROL,
    }
)
_SEARCH_RESULT: Final = Member(
    {
        **_TYPE,
        "source": required(string),
        "title": required(string),
        "content": required(list_of(tagged({"text": _TEXT}))),
        "citations": _CITATIONS_SWITCH,
        "cache_control": _CACHE_CONTROL,
    }
)

_CODE_CALLER: Final = Member({**_TYPE, "tool_id": required(string)})
_CALLER: Final = optional(
    tagged(
        {
            "direct": Member(_TYPE),
            "code_execution_20250825": _CODE_CALLER,
            "code_execution_20260120": _CODE_CALLER,
            "code_execution_20260521": _CODE_CALLER,
        },
        rule="R49b",
    )
)
_TOOL_USE: Final = Member(
    {
        **_TYPE,
        "id": required(matching(TOOL_ID)),
        "name": required(sized(1, TOOL_NAME_MAX)),
        "input": required(dictionary),
        "cache_control": _CACHE_CONTROL,
        "caller": _CALLER,
        "toolset_name": nullable(string),
    }
)
_RESULT_CONTENT: Final = tagged(
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "tool_reference": Member(
            {**_TYPE, "tool_name": required(string), "cache_control": _CACHE_CONTROL}
        ),
        "browser_state": Member(_TYPE, others=True),
    }
)
_TOOL_RESULT: Final = Member(
    {
        **_TYPE,
        "tool_use_id": required(matching(TOOL_ID)),
        "content": optional(text_or(list_of(_RESULT_CONTENT))),
        "is_error": optional(boolean),
        "cache_control": _CACHE_CONTROL,
        "toolset_name": nullable(string),
    }
)
_SERVER_TOOL_USE: Final = Member(
    {
        **_TYPE,
        "id": required(matching(SERVER_TOOL_ID)),
        "name": required(
            one_of(
                "advisor",
                "web_search",
                "web_fetch",
                "code_execution",
                "bash_code_execution",
                "text_editor_code_execution",
                "tool_search_tool_regex",
                "tool_search_tool_bm25",
            )
        ),
        "input": required(dictionary),
        "cache_control": _CACHE_CONTROL,
        "caller": _CALLER,
    }
)
_SERVER_RESULT: Final[Fields] = {
    **_TYPE,
    "tool_use_id": required(matching(SERVER_TOOL_ID)),
    "content": required(anything),
    "cache_control": _CACHE_CONTROL,
    "caller": _CALLER,
}
_TOOL_CHANGE: Final = Member(
    {**_TYPE, "tool": required(dictionary), "cache_control": _CACHE_CONTROL},
    betas=frozenset(TOOL_CHANGES),
)

CONTENT_BLOCK: Final = tagged(
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "thinking": Member(
            {
                **_TYPE,
                "thinking": required(string),
                "signature": required(string, missing="R71c"),
                "cache_control": forbidden("R81b"),
            }
        ),
        "redacted_thinking": Member(
            {**_TYPE, "data": required(string), "cache_control": forbidden("R81b")}
        ),
        "tool_use": _TOOL_USE,
        "tool_result": _TOOL_RESULT,
        "server_tool_use": _SERVER_TOOL_USE,
        "web_search_tool_result": Member(_SERVER_RESULT),
        "web_fetch_tool_result": Member(_SERVER_RESULT),
        "code_execution_tool_result": Member(_SERVER_RESULT),
        "bash_code_execution_tool_result": Member(_SERVER_RESULT),
        "text_editor_code_execution_tool_result": Member(_SERVER_RESULT),
        "tool_search_tool_result": Member(_SERVER_RESULT),
        "advisor_tool_result": Member(_SERVER_RESULT, betas=frozenset({"advisor-tool-2026-03-01"})),
        "mcp_tool_use": Member(
            {
                **_TYPE,
                "id": required(matching(TOOL_ID)),
                "name": required(sized(1, TOOL_NAME_MAX)),
                "server_name": required(string),
                "input": required(dictionary),
                "cache_control": _CACHE_CONTROL,
            },
            betas=frozenset(MCP_CLIENTS),
        ),
        "mcp_tool_result": Member(
            {
                **_TYPE,
                "tool_use_id": required(matching(TOOL_ID)),
                "content": optional(text_or(list_of(tagged({"text": _TEXT})))),
                "is_error": optional(boolean),
                "cache_control": _CACHE_CONTROL,
            },
            betas=frozenset(MCP_CLIENTS),
        ),
        "mcp_tool_listing": Member(_TYPE, betas=frozenset({"mcp-client-2026-09-15"}), others=True),
        "container_upload": Member(
            {**_TYPE, "file_id": required(string), "cache_control": _CACHE_CONTROL}
        ),
        "compaction": Member(
            {
                **_TYPE,
                "content": nullable(string),
                "encrypted_content": nullable(string),
                "signature": nullable(string),
                "tool_changes": nullable(list_of(dictionary)),
                "cache_control": _CACHE_CONTROL,
            },
            betas=frozenset({COMPACT_ON_DEMAND, COMPACT_THRESHOLD}),
        ),
        "fallback": Member(_TYPE, betas=frozenset(FALLBACKS), others=True),
        "tool_addition": _TOOL_CHANGE,
        "tool_removal": _TOOL_CHANGE,
    }
)

_CONTENT: Final = text_or(list_of(CONTENT_BLOCK))
_CONVERSATION_MESSAGE: Final[Fields] = {
    "role": required(one_of("user", "assistant", "system")),
    "content": required(_CONTENT),
}
_SYSTEM_MESSAGE: Final[Fields] = {
    "role": required(one_of("system")),
    "content": optional(_CONTENT),
    "clear_at": nullable(one_of("next_user_message", "never"), SYSTEM_CLEAR_AT),
    "output_config": nullable(shape({"effort": nullable(_EFFORT)}), SYSTEM_OUTPUT_CONFIG),
}


def _message(value: Any, path: str, envelope: Envelope) -> None:
    if not isinstance(value, dict):
        raise refuse("type", path=path, expected="a valid dictionary")
    is_system = value.get("role") == "system"
    check_fields(value, path, envelope, _SYSTEM_MESSAGE if is_system else _CONVERSATION_MESSAGE)


def _messages(value: Any, path: str, envelope: Envelope) -> None:
    if isinstance(value, list) and len(value) > MESSAGES_MAX:
        raise refuse("R19", max=MESSAGES_MAX, n=len(value))
    list_of(_message)(value, path, envelope)


_CUSTOM_TOOL: Final = Member(
    {
        "type": nullable(string),
        "name": required(string),
        "description": optional(string),
        "input_schema": required(
            shape({"type": required(one_of("object"))}, others=True),
        ),
        "allowed_callers": optional(list_of(string)),
        "cache_control": _CACHE_CONTROL,
        "defer_loading": optional(boolean),
        "eager_input_streaming": nullable(boolean),
        "input_examples": optional(list_of(dictionary)),
        "strict": optional(boolean),
    }
)
_TYPED_TOOL: Final = Member(
    {
        **_TYPE,
        "name": optional(string),
        "cache_control": _CACHE_CONTROL,
        "defer_loading": optional(boolean),
    },
    others=True,
)
TOOL: Final = tagged(
    {"custom": _CUSTOM_TOOL, **dict.fromkeys(TYPED_TOOLS, _TYPED_TOOL)},
    default="custom",
)

_PARALLEL: Final = {"disable_parallel_tool_use": optional(boolean)}
_TOOL_CHOICE: Final = tagged(
    {
        "auto": Member({**_TYPE, **_PARALLEL}),
        "any": Member({**_TYPE, **_PARALLEL}),
        "tool": Member({**_TYPE, "name": required(string), **_PARALLEL}),
        "none": Member(_TYPE),
    }
)
_DISPLAY: Final = {"display": nullable(one_of("summarized", "omitted", "updates"))}
_BINDING: Final = {
    # Known without its header, because R78 is checked with the other thinking parameters.
    "block_binding": nullable(
        shape({"prefix_mismatch_behavior": nullable(one_of("error", "drop_block"))})
    )
}
_THINKING: Final = tagged(
    {
        "adaptive": Member({**_TYPE, **_DISPLAY, **_BINDING}),
        "between_tools": Member(_TYPE),
        "disabled": Member(_TYPE),
        "enabled": Member({**_TYPE, "budget_tokens": required(integer), **_DISPLAY, **_BINDING}),
    }
)
_OUTPUT_CONFIG: Final = shape(
    {
        "effort": nullable(_EFFORT),
        "format": nullable(
            shape({"type": required(one_of("json_schema")), "schema": required(dictionary)})
        ),
        "task_budget": nullable(dictionary, "task-budgets-2026-03-13"),
    }
)

_COUNTED: Final[Fields] = {
    "model": required(string),
    "messages": required(_messages),
    "system": optional(text_or(list_of(tagged({"text": _TEXT})))),
    "tools": optional(list_of(TOOL)),
    "tool_choice": optional(_TOOL_CHOICE),
    "thinking": optional(_THINKING),
    "output_config": optional(_OUTPUT_CONFIG),
    "cache_control": _CACHE_CONTROL,
    "speed": nullable(one_of("standard", "fast")),
    "context_management": nullable(
        shape({"edits": optional(list_of(dictionary))}), CONTEXT_MANAGEMENT, COMPACT_THRESHOLD
    ),
    # Known without its header, because R91 has a text of its own.
    "compaction": nullable(
        shape({"type": required(one_of("summarize")), "instructions": nullable(sized(0, 16_384))})
    ),
    "mcp_servers": optional(list_of(dictionary), *MCP_CLIENTS),
    "user_profile_id": nullable(string),
}
COUNT_TOKENS: Final[Fields] = _COUNTED
CREATE_MESSAGE: Final[Fields] = {
    "model": _COUNTED["model"],
    "max_tokens": required(integer),
    **_COUNTED,
    "stop_sequences": optional(list_of(string)),
    "stream": optional(boolean),
    "metadata": optional(shape({"user_id": nullable(sized(0, 256))})),
    "service_tier": optional(one_of("auto", "standard_only")),
    "inference_geo": nullable(string),
    "container": nullable(text_or(dictionary)),
    "diagnostics": nullable(shape({"previous_message_id": nullable(string)})),
    "fallbacks": nullable(anything, *FALLBACKS),
    "fallback_credit_token": nullable(string, *FALLBACK_CREDIT),
    "thread": nullable(dictionary, MESSAGE_THREADS),
    # Known to the schema in every version: their refusal comes later, by R14 and R15.
    "temperature": optional(number),
    "top_p": optional(number),
    "top_k": optional(integer),
}
