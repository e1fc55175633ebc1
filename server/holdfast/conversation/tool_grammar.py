"""The grammar of a request's list of tools (R83, R84, R86-R88), and how any list is made to fit.

Law: `check_tools(normalise_tools(tools)[0]) == ()` for every list. No tool is dropped except a
copy, and what a schema said that the API would refuse is told to the model in the description. One
tool server with a strange schema must not cost a session its requests (A29, A30).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from holdfast.conversation import encoding
from holdfast.conversation.clipping import clip
from holdfast.conversation.findings import Finding, RepairStep
from holdfast.conversation.history import History
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.schemas import (
    COMBINATORS,
    PROPERTY_KEY,
    is_schema,
    is_strict,
    is_too_deep,
    object_schema,
)

Tool: TypeAlias = Mapping[str, Any]

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
NAME_CHARS_MAX: Final = 64
"""What we make is shorter than what the API takes: its own documents say 64 (R83)."""
SCHEMA_BYTES_MAX: Final = 8 * 1024
"""How much of a schema that had to be simplified is repeated in the description."""
NAMELESS: Final = "unnamed_tool"
GONE: Final = "This tool is not available any more."

_NOT_2020_12: Final = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12). Learn more about tool use at "
    "https://docs.claude.com/en/docs/tool-use."
)
_FIELDS: Final = frozenset(
    {
        "type", "name", "description", "input_schema", "strict", "cache_control", "defer_loading",
        "allowed_callers", "eager_input_streaming", "input_examples",
    }
)  # fmt: skip


def check_tools(
    tools: Sequence[Tool], profile: Profile = DEFAULT, history: History = ()
) -> tuple[Finding, ...]:
    """Return every broken rule of a list of tools; `history` is what it is sent with (R87).

    A finding about one tool has its index in `detail` (`tools.K...`) and its name in `ids`.
    """
    found = [flaw for number, tool in enumerate(tools) for flaw in _tool_flaws(number, tool)]
    names = [name for tool in tools if isinstance(name := tool.get("name"), str)]
    twice = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
    if twice:
        found.append(Finding("R83", None, None, "tools: Tool names must be unique.", twice))
    if tools and all(tool.get("defer_loading") is True for tool in tools):
        found.append(Finding("R86", None, None, "All tools have defer_loading: true"))
    if profile.tools_required and not tools and called_names(history):
        detail = "Requests which include `tool_use` or `tool_result` blocks must define tools"
        found.append(Finding("R87", None, None, detail))
    return tuple(found)


def normalise_tools(
    tools: Sequence[Tool], profile: Profile = DEFAULT, history: History = ()
) -> tuple[tuple[Tool, ...], tuple[RepairStep, ...]]:
    """Return a list of tools that the API accepts, and what was changed, each step naming a tool.

    Pure, deterministic and idempotent; a tool that needs nothing is the same object. Copies of a
    tool go; another tool of the same name gets a name made from its definition. `RepairStep.origin`
    is the tool's name as it came.
    """
    steps: list[RepairStep] = []
    fitted: list[Tool] = []
    settled = {str(tool.get("name")) for tool in tools if not is_custom(tool)}
    taken: set[str] = set()
    seen: set[str] = set()
    for tool in tools:
        key = encoding.encode(tool) if is_custom(tool) else str(tool.get("name", tool))
        if key in seen:
            steps.append(_step("R83", tool, "dropped a copy of a tool", "the first copy"))
            continue
        seen.add(key)
        shaped = _shaped(tool, steps)
        if is_custom(tool):
            shaped = _named(shaped, taken | settled, tool, steps)
            taken.add(str(shaped["name"]))
        fitted.append(shaped)
    fitted = _with_one_loaded(fitted, steps)
    if profile.tools_required and not fitted:
        fitted = [_placeholder(name) for name in called_names(history)]
        steps += [_step("R87", tool, "named a tool of the history", "its calls") for tool in fitted]
    return tuple(fitted), tuple(steps)


def called_names(history: History) -> tuple[str, ...]:
    """Return the names of the client tools that a history calls, in the order of first use."""
    names = (b.text_of("name") for m in history for b in m.blocks if b.type == "tool_use")
    return tuple(dict.fromkeys(name for name in names if name))


def is_custom(tool: Tool) -> bool:
    """Say whether a tool is the client's own; the others have types that the API knows."""
    return tool.get("type") in (None, "custom")


def _tool_flaws(number: int, tool: Tool) -> Iterator[Finding]:
    name = tool.get("name")
    ids = (name,) if isinstance(name, str) else ()
    if not is_custom(tool):
        return
    for rule, text in _custom_flaws(tool):
        yield Finding(rule, None, None, f"tools.{number}.custom{text}", ids)


def _custom_flaws(tool: Tool) -> Iterator[tuple[str, str]]:
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str):
        yield "R9", ".name: Field required"
    elif not NAME.fullmatch(name):
        yield "R83", f".name: String should match pattern '^{NAME.pattern}$'"
    for field in sorted(tool.keys() - _FIELDS):
        yield "R8", f".{field}: Extra inputs are not permitted"
    for field in _wrong_options(tool):
        yield "R9", f".{field}: Input should be of its own type"
    if not isinstance(schema, Mapping):
        yield "R84", ".input_schema: Field required"
        return
    if "type" not in schema:
        yield "R84", ".input_schema.type: Field required"
    elif schema["type"] != "object":
        yield "R84", ".input_schema.type: Input should be 'object'"
    if not COMBINATORS.isdisjoint(schema):
        text = "input_schema does not support oneOf, allOf, or anyOf at the top level"
        yield "R84", f".input_schema: {text}"
    elif is_too_deep(schema) or not is_schema(schema):
        yield "R84", f".input_schema: {_NOT_2020_12}"
    elif not _keys_are_legal(schema):
        pattern = PROPERTY_KEY.pattern
        text = f".input_schema.properties: Property keys should match pattern '^{pattern}$'"
        yield "R84", text
    if tool.get("strict") is True and not is_too_deep(schema) and not is_strict(schema):
        text = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        yield "R88", f".input_schema: {text}"


def _keys_are_legal(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    return all(PROPERTY_KEY.fullmatch(key) for key in properties)


def _wrong_options(tool: Tool) -> tuple[str, ...]:
    return tuple(field for field in tool if field in _OPTIONS and not _OPTIONS[field](tool[field]))


def _is_mark(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.get("type") == "ephemeral"
        and value.get("ttl", "5m") in ("5m", "1h")
        and value.keys() <= {"type", "ttl"}
    )


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


_OPTIONS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "description": lambda value: isinstance(value, str),
    "strict": _is_switch,
    "defer_loading": _is_switch,
    "eager_input_streaming": lambda value: value is None or isinstance(value, bool),
    "allowed_callers": _list_of(str),
    "input_examples": _list_of(dict),
    "cache_control": _is_mark,
}


def _shaped(tool: Tool, steps: list[RepairStep]) -> Tool:
    """Return a tool whose fields and schema the API accepts; its name is left for later."""
    if not is_custom(tool):
        return tool
    rules = {rule for rule, text in _custom_flaws(tool) if not text.startswith(".name")}
    if not rules:
        return tool
    unwanted = {*(tool.keys() - _FIELDS), *_wrong_options(tool)}
    shaped = {key: value for key, value in tool.items() if key not in unwanted}
    given = tool.get("input_schema")
    schema = object_schema(given)
    if schema != given:
        shaped["input_schema"] = schema
        shaped["description"] = _described(shaped.get("description", ""), given)
        steps.append(
            _step("R84", tool, "simplified the schema of a tool", "all of it, in the description")
        )
    if shaped.get("strict") is True and not is_strict(schema):
        del shaped["strict"]
        steps.append(_step("R88", tool, "made a tool's schema a guide, not a law", "the schema"))
    if rules - {"R84", "R88"}:
        steps.append(_step("R8", tool, "took out what is no field of a tool", "the tool"))
    return shaped


def _described(description: str, schema: Any) -> str:
    if schema is None:
        return description
    full = clip(encoding.encode(schema), SCHEMA_BYTES_MAX)
    note = f"The input must also satisfy this JSON schema: {full}"
    return f"{description}\n\n{note}" if description.strip() else note


def _named(tool: Tool, taken: set[str], given: Tool, steps: list[RepairStep]) -> Tool:
    """Return the tool under a legal name that no earlier tool has."""
    name = tool.get("name")
    clean = clean_tool_name(name)
    if clean in taken:
        digest = hashlib.sha256(encoding.encode(given).encode()).hexdigest()
        clean = _unused(clean, digest, taken)
    if clean == name:
        return tool
    steps.append(_step("R83", given, f"renamed a tool to {clean!r}", "the tool"))
    return {**tool, "name": clean}


def clean_tool_name(name: Any) -> str:
    """Return a legal name, the same for the same input; legal names are left alone (R83)."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    given = name if isinstance(name, str) else ""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", given)[:NAME_CHARS_MAX].strip("_") or NAMELESS


def _unused(name: str, digest: str, taken: Iterable[str]) -> str:
    for length in range(8, len(digest)):
        made = f"{name[: NAME_CHARS_MAX - length - 1]}_{digest[:length]}"
        if made not in taken:
            return made
    return _unused(name, hashlib.sha256(digest.encode()).hexdigest(), taken)


def _with_one_loaded(tools: list[Tool], steps: list[RepairStep]) -> list[Tool]:
    """Load the first tool at once when all are deferred: a list of nothing is refused (R86)."""
    if not tools or any(tool.get("defer_loading") is not True for tool in tools):
        return tools
    first = {key: value for key, value in tools[0].items() if key != "defer_loading"}
    steps.append(_step("R86", first, "loaded one tool at once", "the tool"))
    return [first, *tools[1:]]


def _placeholder(name: str) -> Tool:
    schema = {"type": "object", "properties": {}}
    return {"name": clean_tool_name(name), "description": GONE, "input_schema": schema}


def _step(rule: str, tool: Tool, action: str, kept: str) -> RepairStep:
    name = tool.get("name")
    return RepairStep(rule, name if isinstance(name, str) else "", action, kept)
