"""What an endpoint accepts, as data: block types, fields, patterns, limits.

Law: no rule and no repair pass knows a model or a beta by name. What differs between endpoints is
a field of `Profile`; what is the same everywhere is a table in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from holdfast.conversation.history import ASSISTANT, SYSTEM, USER, Role

USER_BLOCKS: Final = frozenset(
    {"text", "image", "document", "search_result", "tool_result", "container_upload"}
)
ASSISTANT_BLOCKS: Final = frozenset(
    {
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
    }
)
SYSTEM_BLOCKS: Final = frozenset({"text"})
RESULT_BLOCKS: Final = frozenset(
    {"text", "image", "document", "search_result", "tool_reference", "browser_state"}
)
"""What may stand inside a `tool_result`."""

TOOLSET_RESULT_BLOCKS: Final = frozenset({"text", "image", "browser_state"})
"""What may stand inside the result of a member of a toolset (R50)."""

PART_BLOCKS: Final[Mapping[str, frozenset[str]]] = {
    "search_result": frozenset({"text"}),
    "document": frozenset({"text", "image"}),
    "mcp_tool_result": frozenset({"text"}),
}
"""What may stand inside other blocks with a list of blocks; for `document`, in its source."""

SERVER_TOOLS: Final = frozenset(
    {
        "advisor",
        "web_search",
        "web_fetch",
        "code_execution",
        "bash_code_execution",
        "text_editor_code_execution",
        "tool_search_tool_regex",
        "tool_search_tool_bm25",
    }
)
"""The tools that the API runs itself: the only names of a `server_tool_use`."""

CODE_CALLERS: Final = frozenset(
    {"code_execution_20250825", "code_execution_20260120", "code_execution_20260521"}
)
"""The kinds of `caller` that name the code which made a call (R49)."""

THINKING_BLOCKS: Final = frozenset({"thinking", "redacted_thinking"})

ON_DEMAND: Final = "compact-2026-09-04"
THRESHOLD: Final = "compact-2026-01-12"

BETA_BLOCKS: Final[Mapping[str, tuple[tuple[Role, str], ...]]] = {
    ON_DEMAND: ((USER, "compaction"), (ASSISTANT, "compaction")),
    THRESHOLD: ((ASSISTANT, "compaction"),),
    "advisor-tool-2026-03-01": ((ASSISTANT, "advisor_tool_result"),),
    "mcp-client-2026-09-15": (
        (ASSISTANT, "mcp_tool_use"),
        (ASSISTANT, "mcp_tool_result"),
        (ASSISTANT, "mcp_tool_listing"),
    ),
    "inline-tools-2026-09-15": ((SYSTEM, "tool_addition"), (SYSTEM, "tool_removal")),
    "mid-conversation-tool-changes-2026-07-01": (
        (SYSTEM, "tool_addition"),
        (SYSTEM, "tool_removal"),
    ),
}
"""Block types that are accepted only behind a beta header (R31). Unknown betas add nothing."""

FIELDS: Final[Mapping[str, tuple[tuple[str, type], ...]]] = {
    "text": (("text", str),),
    "image": (("source", dict),),
    "document": (("source", dict),),
    "search_result": (("source", str), ("title", str), ("content", list)),
    "container_upload": (("file_id", str),),
    "tool_result": (("tool_use_id", str),),
    "tool_reference": (("tool_name", str),),
    "tool_use": (("id", str), ("name", str)),
    "server_tool_use": (("id", str), ("name", str)),
    "mcp_tool_use": (("id", str), ("name", str), ("server_name", str)),
    "thinking": (("thinking", str), ("signature", str)),
    "redacted_thinking": (("data", str),),
    "tool_addition": (("tool", dict),),
    "tool_removal": (("tool", dict),),
}
"""Required fields (R9) of the block types whose shape is fixed; inputs and contents apart."""

KNOWN_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text", "citations", "cache_control"}),
    "image": frozenset({"source", "transformations", "cache_control"}),
    "document": frozenset({"source", "title", "context", "citations", "cache_control"}),
    "search_result": frozenset({"source", "title", "content", "citations", "cache_control"}),
    "container_upload": frozenset({"file_id", "cache_control"}),
    "tool_result": frozenset(
        {"tool_use_id", "content", "is_error", "toolset_name", "cache_control"}
    ),
    "tool_reference": frozenset({"tool_name", "cache_control"}),
    "server_tool_use": frozenset({"id", "name", "input", "caller", "cache_control"}),
    "mcp_tool_use": frozenset({"id", "name", "server_name", "input", "cache_control"}),
    "mcp_tool_result": frozenset({"tool_use_id", "content", "is_error", "cache_control"}),
    "tool_addition": frozenset({"tool", "cache_control"}),
    "tool_removal": frozenset({"tool", "cache_control"}),
    **{
        kind: frozenset({"tool_use_id", "content", "caller", "cache_control"})
        for kind in (*ASSISTANT_BLOCKS, "advisor_tool_result")
        if kind.endswith("_tool_result")
    },
}
"""Every field but `type` (R8) of the blocks whose fields are settled."""

ECHOED_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "tool_use": frozenset({"id", "name", "input", "caller", "toolset_name", "cache_control"}),
    "thinking": frozenset({"thinking", "signature"}),
    "redacted_thinking": frozenset({"data"}),
    "compaction": frozenset(
        {"content", "encrypted_content", "signature", "tool_changes", "cache_control"}
    ),
}
"""The fields known of the blocks that every answer may hold. The API may add some and expects them
back, so another field is only refused when it cannot be the API's: see `is_bookkeeping`."""

BOOKKEEPING: Final = frozenset({"index", "partial_json", "parsed", "parsed_output"})
"""Names under which clients keep their own notes in blocks that the API wrote (R8)."""

_API_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

SOURCES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "image": {"base64": ("media_type", "data"), "url": ("url",), "file": ("file_id",)},
    "document": {
        "base64": ("media_type", "data"),
        "text": ("media_type", "data"),
        "content": (),
        "url": ("url",),
        "file": ("file_id",),
    },
}
"""The kinds of `source` of a medium, and the strings that each needs (R9, R31)."""

MEDIA_TYPES: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("image", "base64"): frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
    ("document", "base64"): frozenset({"application/pdf"}),
    ("document", "text"): frozenset({"text/plain"}),
}
"""The media types that a source may name (R59)."""

TOOL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
SERVER_TOOL_ID: Final = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,200}")
MESSAGES_MAX: Final = 100_000
MEBIBYTE: Final = 1024 * 1024

ThinkingType: TypeAlias = Literal["adaptive", "between_tools", "enabled", "disabled"]


@attrs.frozen(cache_hash=True)
class Profile:
    """What one model behind one endpoint accepts in `messages`.

    The defaults are the current models behind the first-party API.

    Who may speak: `prefill_allowed` (R22), `system_role_allowed` (R28), `leading_assistant_allowed`
    (R21), `strict_alternation` (two messages of one role in a row are refused, specification §7).

    Thinking: `thinking_types` are the values of `thinking.type` that the model takes, and
    `always_thinks` says that it cannot be switched off (R65). `bound_thinking`: thinking is bound
    to everything before it (R72). `leading_thinking_required`: the request thinks manually, so the
    turn in a tool loop starts with thinking (R68). `thinking_replayed`: thinking may be sent back.

    Tools: `tool_names` are the tools a `tool_reference` may name; `None` allows any, which suits a
    history that is only looked at. `forced_tools_allowed` (R85), `tools_required`: a history with
    calls needs a list of tools in the request (R87). `server_tools` are the API's tools in the
    request (R52), `None` for any; `containers_allowed`: a container goes with the request (R54).

    Cache: `cache_marks_max` is what the API allows (4) less what the sender adds (R79);
    `auto_cache_allowed`: a mark may stand at the top level of the request (R82).

    Sizes: `image_bytes_max` counts encoded bytes of one image (R61), the sides are pixels (R60):
    `image_side_max` for few images, `many_images_side_max` above `many_images` of them.
    `media_count_max` images and `pdf_pages_max` pages fit into one request (R62), and
    `body_bytes_max` bytes of body (R7). `betas_allowed`: beta headers mean something here.
    `compaction_leads`: a compaction block stands first, once (R92, R93). `compacts_on_demand`: the
    model makes and takes signed compactions, `compaction_offered`: the endpoint lets it (§6).
    """

    prefill_allowed: bool = False
    system_role_allowed: bool = True
    leading_assistant_allowed: bool = False
    strict_alternation: bool = False
    thinking_types: frozenset[ThinkingType] = frozenset({"adaptive"})
    always_thinks: bool = True
    bound_thinking: bool = True
    leading_thinking_required: bool = False
    thinking_replayed: bool = True
    tool_names: frozenset[str] | None = frozenset()
    forced_tools_allowed: bool = False
    tools_required: bool = False
    server_tools: frozenset[str] | None = None
    containers_allowed: bool = False
    cache_marks_max: int = 4
    auto_cache_allowed: bool = True
    image_bytes_max: int = 10 * MEBIBYTE
    image_side_max: int = 8000
    many_images: int = 20
    many_images_side_max: int = 2000
    media_count_max: int = 600
    pdf_pages_max: int = 600
    body_bytes_max: int = 32 * MEBIBYTE
    betas_allowed: bool = True
    compaction_leads: bool = True
    compacts_on_demand: bool = True
    compaction_offered: bool = True
    user_blocks: frozenset[str] = USER_BLOCKS
    assistant_blocks: frozenset[str] = ASSISTANT_BLOCKS
    system_blocks: frozenset[str] = SYSTEM_BLOCKS
    result_blocks: frozenset[str] = RESULT_BLOCKS

    def blocks_of(self, role: Role) -> frozenset[str]:
        """Return the block types that a message of `role` may hold."""
        if role == USER:
            return self.user_blocks
        return self.assistant_blocks if role == ASSISTANT else self.system_blocks

    @property
    def known_blocks(self) -> frozenset[str]:
        """Every block type that some role may hold."""
        return self.user_blocks | self.assistant_blocks | self.system_blocks

    def with_betas(self, betas: Iterable[str]) -> Profile:
        """Return this profile with the block types that the given beta headers unlock."""
        if not self.betas_allowed:
            return self
        sent = frozenset(betas)
        leads = ON_DEMAND in sent or THRESHOLD not in sent
        profile = attrs.evolve(self, compaction_leads=self.compaction_leads and leads)
        for beta in sorted(sent):
            for role, kind in BETA_BLOCKS.get(beta, ()):
                profile = profile.accepting(role, kind)
        return profile

    def accepting(self, role: Role, kind: str) -> Profile:
        """Return this profile with one more block type for messages of `role`."""
        if role == USER:
            return attrs.evolve(self, user_blocks=self.user_blocks | {kind})
        if role == ASSISTANT:
            return attrs.evolve(self, assistant_blocks=self.assistant_blocks | {kind})
        return attrs.evolve(self, system_blocks=self.system_blocks | {kind})


DEFAULT: Final = Profile()
"""The current models behind the first-party API, no beta headers, no deferred tools."""

ANY_TOOLS: Final = Profile(tool_names=None)
"""As `DEFAULT` for looking at histories of others, whose tool list is not known."""


def is_bookkeeping(kind: str, field: str, value: object) -> bool:
    """Say whether a field of a block that the API wrote cannot be the API's own (R8).

    Empty fields come from clients that print their data classes whole; the API's own names are
    lower-case words joined by underscores, so any other is a client's note or a damaged one.
    """
    known = ECHOED_FIELDS.get(kind)
    if known is None or field == "type" or field in known:
        return False
    return value is None or field in BOOKKEEPING or _API_NAME.fullmatch(field) is None


def is_server_use(kind: str) -> bool:
    """Say whether a block type is a call that the API itself runs (`server_tool_use` ...)."""
    return kind.endswith("_tool_use")


def is_server_result(kind: str) -> bool:
    """Say whether a block type answers a call that the API itself ran."""
    return kind.endswith("_tool_result")
