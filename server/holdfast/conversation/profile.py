"""What an endpoint accepts, as data: block types, fields, patterns, limits.

Law: no rule and no repair pass knows a model or a beta by name. What differs between endpoints is
a field of `Profile`; what is the same everywhere is a table in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

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
RESULT_BLOCKS: Final = frozenset({"text", "image", "document", "search_result", "tool_reference"})
"""What may stand inside a `tool_result`."""

BETA_BLOCKS: Final[Mapping[str, tuple[tuple[Role, str], ...]]] = {
    "compact-2026-09-04": ((USER, "compaction"), (ASSISTANT, "compaction")),
    "compact-2026-01-12": ((ASSISTANT, "compaction"),),
    "mcp-client-2026-09-15": (
        (ASSISTANT, "mcp_tool_use"),
        (ASSISTANT, "mcp_tool_result"),
        (ASSISTANT, "mcp_tool_listing"),
    ),
    "inline-tools-2026-09-15": ((SYSTEM, "tool_addition"), (SYSTEM, "tool_removal")),
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
}
"""Every field but `type` (R8) of the blocks that clients write. Blocks that only the API writes are
not listed: it may add fields to them, and expects them back."""

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


@attrs.frozen(cache_hash=True)
class Profile:
    """What one model behind one endpoint accepts in `messages`.

    `tool_names` are the tools a `tool_reference` may name; `None` allows any, which suits a history
    that is only looked at. `cache_marks_max` is what the API allows (4) less what the sender adds.
    """

    prefill_allowed: bool = False
    system_role_allowed: bool = True
    leading_assistant_allowed: bool = False
    tool_names: frozenset[str] | None = frozenset()
    cache_marks_max: int = 4
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
        profile = self
        for beta in betas:
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


def is_server_use(kind: str) -> bool:
    """Say whether a block type is a call that the API itself runs (`server_tool_use` ...)."""
    return kind.endswith("_tool_use")


def is_server_result(kind: str) -> bool:
    """Say whether a block type answers a call that the API itself ran."""
    return kind.endswith("_tool_result")
