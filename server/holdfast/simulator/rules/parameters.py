"""Steps 5 and 6: the model and everything that is gated by it (R10 to R17, R65 to R67, R77, R91,
R95, R98, R99).

Law: these checks read the model's row and the parameters, never the messages.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.simulator.models import ModelSpec, usable
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import (
    BINDING_CONTROLS,
    COMPACT_ON_DEMAND,
    INTERLEAVED_THINKING,
    MESSAGE_THREADS,
    VERSION_CURRENT,
    Envelope,
    JsonObject,
)

_SAMPLING: Final = ("temperature", "top_p", "top_k")
_BUDGET_MIN: Final = 1024
_CONTAINER_TOOLS: Final = "code_execution_"


def thinking_type(body: JsonObject, model: ModelSpec) -> str:
    """Return the thinking mode in force: the one sent, or what the model does without (R65)."""
    sent = body.get("thinking")
    if isinstance(sent, dict):
        return str(sent["type"])
    return "adaptive" if model.thinks_by_default else "disabled"


def check_parameters(body: JsonObject, envelope: Envelope) -> ModelSpec:
    """Run the checks of steps 5 and 6 that do not concern tool definitions; return the model."""
    model = usable(body["model"])
    if model is None:
        raise refuse("R10", model=body["model"])
    _check_max_tokens(body, envelope, model)
    _check_sampling(body, envelope, model)
    if any(not sequence.strip() for sequence in body.get("stop_sequences", ())):
        raise refuse("R16")
    _check_system(body.get("system"))
    _check_thinking(body, envelope, model)
    _check_effort(body, model)
    _check_compaction(body, envelope, model)
    _check_container(body)
    _check_thread(body, envelope)
    if isinstance(body.get("fallbacks"), list) and body["fallbacks"] and not model.fallbacks:
        raise refuse("R99")
    return model


def _check_max_tokens(body: JsonObject, envelope: Envelope, model: ModelSpec) -> None:
    if envelope.counting:
        return
    tokens = body["max_tokens"]
    if tokens < 0:
        raise refuse("R11b")
    if tokens > model.output_tokens_max:
        raise refuse("R11", n=tokens, cap=model.output_tokens_max, model=model.id)
    if tokens == 0:
        forbidden = {
            "stream": body.get("stream") is True,
            "thinking": (body.get("thinking") or {}).get("type") == "enabled",
            "output_config.format": bool((body.get("output_config") or {}).get("format")),
            "tool_choice": forces_tool(body),
        }
        for param, present in forbidden.items():
            if present:
                raise refuse("R13", param=param)


def forces_tool(body: JsonObject) -> bool:
    """Tell whether `tool_choice` demands a tool call."""
    return (body.get("tool_choice") or {}).get("type") in ("any", "tool")


def _check_sampling(body: JsonObject, envelope: Envelope, model: ModelSpec) -> None:
    sent = [param for param in _SAMPLING if param in body]
    if envelope.version == VERSION_CURRENT:
        for param in sent:
            raise refuse("R14", param=param)
    for param in ("temperature", "top_p"):
        if param in body and body[param] > 1:
            raise refuse("R15d", param=param)
    if not model.sampling:
        for param in sent:
            if param == "top_k" or body[param] != 1:
                raise refuse("R15a", param=param)
    if thinking_type(body, model) in ("enabled", "adaptive") and body.get("temperature", 1) != 1:
        raise refuse("R15b")
    if model.prefill and "temperature" in body and "top_p" in body:
        raise refuse("R15c")


def _check_system(system: Any) -> None:
    blocks = [{"text": system}] if isinstance(system, str) else system or []
    for index, block in enumerate(blocks):
        if not block["text"]:
            if block.get("cache_control"):
                raise refuse("R81", path=f"system.{index}")
            raise refuse("R17a")
        if not block["text"].strip():
            raise refuse("R17b")


def _check_thinking(body: JsonObject, envelope: Envelope, model: ModelSpec) -> None:
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        return
    kind = thinking["type"]
    if kind not in model.thinking_types:
        between = "between_tools" in model.thinking_types
        refusals = {
            "enabled": "R65a",
            "adaptive": "R65b",
            "disabled": "R65d" if between else "R65c",
            "between_tools": "R65e",
        }
        raise refuse(refusals[kind])
    if "block_binding" in thinking and BINDING_CONTROLS not in envelope.betas:
        raise refuse("R78", type=kind)
    if kind == "enabled":
        if thinking["budget_tokens"] < _BUDGET_MIN:
            raise refuse("R66a")
        interleaved = INTERLEAVED_THINKING in envelope.betas
        cap = body.get("max_tokens")
        if cap is not None and thinking["budget_tokens"] >= cap and not interleaved:
            raise refuse("R66b")
        if forces_tool(body):
            raise refuse("R67")


def _check_effort(body: JsonObject, model: ModelSpec) -> None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return
    if not model.effort:
        raise refuse("R77b")
    kind = thinking_type(body, model)
    # Off by default is no choice of the client: only a sent mode limits the effort.
    sent = isinstance(body.get("thinking"), dict)
    if sent and kind in ("disabled", "between_tools") and effort in ("xhigh", "max"):
        raise refuse("R77", effort=effort, type=kind)


def _check_compaction(body: JsonObject, envelope: Envelope, model: ModelSpec) -> None:
    if body.get("compaction") is None:
        return
    if COMPACT_ON_DEMAND not in envelope.betas:
        raise refuse("R91", beta=COMPACT_ON_DEMAND)
    if not model.compaction:
        raise refuse("R95d")
    forbidden = {
        "context_management": bool(body.get("context_management")),
        "stop_sequences": bool(body.get("stop_sequences")),
        "output_config.format": bool((body.get("output_config") or {}).get("format")),
        "tool_choice": forces_tool(body),
        "output_config.task_budget.remaining": "remaining" in _task_budget(body),
    }
    for param, present in forbidden.items():
        if present:
            raise refuse("R95c", param=param)


def _task_budget(body: JsonObject) -> JsonObject:
    return (body.get("output_config") or {}).get("task_budget") or {}


def _check_container(body: JsonObject) -> None:
    if body.get("container") is None:
        return
    types = [str(tool.get("type", "")) for tool in body.get("tools", ())]
    if not any(kind.startswith(_CONTAINER_TOOLS) for kind in types):
        raise refuse("R57")


def _check_thread(body: JsonObject, envelope: Envelope) -> None:
    """The simulator keeps no threads, so that every continuation is one of an expired thread."""
    thread = body.get("thread")
    if MESSAGE_THREADS in envelope.betas and thread and thread.get("type") == "continue":
        raise refuse("R98")
