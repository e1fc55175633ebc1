"""The models that the simulator pretends to serve: what each takes and what it refuses.

Law: everything model-gated is a field of `ModelSpec` and a row of `MODELS`; no rule names a model.
Source: specification §5.3 (sizes), R22, R28, R65, R72, R73, R85, R99.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

ThinkingType: TypeAlias = Literal["adaptive", "enabled", "disabled", "between_tools"]
SystemRole: TypeAlias = Literal["supported", "refused", "unknown_role"]

_MILLION: Final = 1_000_000
_SMALL_WINDOW: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model. Sizes in tokens.

    `thinking_types` are those accepted (R65); `thinks_by_default` says what an omitted `thinking`
    means. A model reads the thinking of itself and of `reads` (R73). `binds_prefix` marks models
    whose thinking is bound to the conversation before it (R72), `binds_always` those where no
    account is exempt.
    """

    id: str
    line: str
    window_tokens: int = _MILLION
    output_tokens_max: int = 128_000
    thinking_types: frozenset[ThinkingType] = frozenset({"adaptive"})
    thinks_by_default: bool = True
    prefill: bool = False
    system_role: SystemRole = "supported"
    forced_tool_choice: bool = True
    sampling: bool = False
    effort: bool = True
    compaction: bool = True
    fallbacks: bool = True
    binds_prefix: bool = False
    binds_always: bool = False
    reads: frozenset[str] = frozenset()
    lifecycle: Literal["active", "deprecated", "retired"] = "active"
    retires_at: str | None = None

    def can_read(self, issuer: str) -> bool:
        """Tell whether this model may be shown the thinking of `issuer` (R73)."""
        return issuer == self.id or issuer in self.reads

    def info(self, window_tokens: int | None = None) -> dict[str, Any]:
        """Return the object of `GET /v1/models/{id}`; `window_tokens` overrides the size."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.id.replace("-", " ").title(),
            "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "line": self.line,
            "lifecycle": self.lifecycle,
            "deprecated_at": None,
            "retires_at": self.retires_at,
            "max_input_tokens": window_tokens or self.window_tokens,
            "max_tokens": self.output_tokens_max,
            "capabilities": self._capabilities(),
        }

    def _capabilities(self) -> dict[str, Any]:
        yes, no = {"supported": True}, {"supported": False}
        types: tuple[ThinkingType, ...] = ("adaptive", "between_tools", "disabled", "enabled")
        efforts = ("low", "medium", "high", "xhigh", "max")
        return {
            "batch": yes,
            "citations": yes,
            "code_execution": yes,
            "compaction": {
                "supported": self.compaction,
                "summarize": yes if self.compaction else no,
            },
            "context_management": {
                "supported": True,
                "clear_thinking_20251015": yes,
                "clear_tool_uses_20250919": yes,
                "compact_20260112": yes if self.compaction else no,
            },
            "effort": {
                "supported": self.effort,
                **dict.fromkeys(efforts, yes if self.effort else no),
            },
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {"supported": True, "code_execution": yes, "web_search": yes},
            "structured_outputs": yes,
            "thinking": {
                "supported": True,
                "types": {kind: yes if kind in self.thinking_types else no for kind in types},
            },
        }


_OLD_READABLE: Final = frozenset(
    {
        "claude-opus-4-5",
        "claude-opus-4-5-20251101",
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "claude-opus-4-6",
        "claude-sonnet-4-6",
        "claude-opus-4-7",
        "claude-opus-4-8",
        "claude-opus-5",
        "claude-sonnet-5",
    }
)
_FABLES: Final = frozenset(
    {"claude-fable-5", "claude-mythos-5", "claude-fable-5-1", "claude-mythos-5-1"}
)
_TWO: Final = frozenset({"claude-fable-5-2", "claude-mythos-5-2"})
_ADAPTIVE_OR_OFF: Final[frozenset[ThinkingType]] = frozenset({"adaptive", "disabled"})
_MANUAL_OR_OFF: Final[frozenset[ThinkingType]] = frozenset({"enabled", "disabled"})


def _fable(model: str, *, reads: frozenset[str], forced: bool = False, **extra: Any) -> ModelSpec:
    line = "fable" if "fable" in model else "mythos"
    return ModelSpec(id=model, line=line, forced_tool_choice=forced, reads=reads, **extra)


def _older(model: str, line: str, **extra: Any) -> ModelSpec:
    """A model of the 4.5 generation: prefill, manual thinking, a small window."""
    return ModelSpec(
        id=model,
        line=line,
        window_tokens=_SMALL_WINDOW,
        output_tokens_max=64_000,
        thinking_types=_MANUAL_OR_OFF,
        thinks_by_default=False,
        prefill=True,
        system_role="unknown_role",
        sampling=True,
        effort=model.startswith("claude-opus"),
        compaction=False,
        reads=_OLD_READABLE,
        **extra,
    )


def _middle(model: str, line: str, **extra: Any) -> ModelSpec:
    """A model of the generations 4.6 to 4.8: adaptive thinking that is off unless asked for."""
    fields: dict[str, Any] = {
        "thinking_types": _ADAPTIVE_OR_OFF,
        "thinks_by_default": False,
        "system_role": "refused",
        "reads": _OLD_READABLE,
        **extra,
    }
    return ModelSpec(id=model, line=line, **fields)


_SPECS: Final = (
    _fable(
        "claude-fable-5-2",
        reads=_OLD_READABLE | _FABLES | _TWO | {"claude-opus-5-5"},
        binds_prefix=True,
        binds_always=True,
        compaction=False,
    ),
    _fable(
        "claude-mythos-5-2",
        reads=_OLD_READABLE | _FABLES | _TWO | {"claude-opus-5-5"},
        binds_prefix=True,
        compaction=False,
    ),
    ModelSpec(
        id="claude-opus-5-5",
        line="opus",
        binds_prefix=True,
        forced_tool_choice=False,
        reads=_OLD_READABLE,
    ),
    ModelSpec(
        id="claude-sonnet-5-5",
        line="sonnet",
        thinking_types=frozenset({"adaptive", "between_tools"}),
        binds_prefix=True,
        forced_tool_choice=False,
    ),
    ModelSpec(
        id="claude-haiku-5-5",
        line="haiku",
        binds_prefix=True,
        fallbacks=False,
        reads=_OLD_READABLE,
    ),
    _fable(
        "claude-fable-5-1",
        reads=_OLD_READABLE | _FABLES | {"claude-opus-5-5"},
        binds_prefix=True,
    ),
    _fable(
        "claude-mythos-5-1",
        reads=_OLD_READABLE | _FABLES | {"claude-opus-5-5"},
        binds_prefix=True,
    ),
    _fable("claude-fable-5", reads=_OLD_READABLE | _FABLES, forced=True),
    _fable("claude-mythos-5", reads=_OLD_READABLE | _FABLES, forced=True),
    ModelSpec(
        id="claude-opus-5", line="opus", thinking_types=_ADAPTIVE_OR_OFF, reads=_OLD_READABLE
    ),
    ModelSpec(
        id="claude-sonnet-5",
        line="sonnet",
        thinking_types=_ADAPTIVE_OR_OFF,
        system_role="refused",
        reads=_OLD_READABLE,
    ),
    _middle("claude-opus-4-8", "opus", system_role="supported"),
    _middle("claude-opus-4-7", "opus"),
    _middle(
        "claude-opus-4-6", "opus", thinking_types=_ADAPTIVE_OR_OFF | _MANUAL_OR_OFF, sampling=True
    ),
    _middle(
        "claude-sonnet-4-6",
        "sonnet",
        thinking_types=_ADAPTIVE_OR_OFF | _MANUAL_OR_OFF,
        sampling=True,
    ),
    _older("claude-opus-4-5", "opus"),
    _older("claude-opus-4-5-20251101", "opus"),
    _older("claude-haiku-4-5", "haiku"),
    _older("claude-haiku-4-5-20251001", "haiku"),
    _older(
        "claude-sonnet-4-5", "sonnet", lifecycle="deprecated", retires_at="2026-11-30T00:00:00Z"
    ),
    _older(
        "claude-sonnet-4-5-20250929",
        "sonnet",
        lifecycle="deprecated",
        retires_at="2026-11-30T00:00:00Z",
    ),
    ModelSpec(
        id="claude-mythos-preview",
        line="mythos",
        thinking_types=frozenset({"adaptive", "enabled"}),
        forced_tool_choice=False,
        lifecycle="retired",
        retires_at="2026-06-30T00:00:00Z",
    ),
)

MODELS: Final[Mapping[str, ModelSpec]] = {spec.id: spec for spec in _SPECS}


def usable(model: str) -> ModelSpec | None:
    """Return the model that a request may name, or None: unknown and retired ones (R10)."""
    spec = MODELS.get(model)
    return None if spec is None or spec.lifecycle == "retired" else spec
