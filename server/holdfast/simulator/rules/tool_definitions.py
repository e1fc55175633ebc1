"""Step 6, second half: tool definitions and the choice among them (R83 to R86).

Law: a schema is checked as the API does it: by shape at the top, by draft 2020-12 below.
"""

from __future__ import annotations

import re
from typing import Any, Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.parameters import forces_tool
from holdfast.simulator.rules.request import JsonObject

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
_PROPERTY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}\Z")
_JSON_TYPES: Final = frozenset(
    {"array", "boolean", "integer", "null", "number", "object", "string"}
)
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions")
_SCHEMA_LISTS: Final = ("oneOf", "allOf", "anyOf", "prefixItems")
_SCHEMAS: Final = (
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
)
_NUMBERS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_STRINGS: Final = ("description", "title", "format", "pattern", "$ref")
_COUNTS: Final = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)


def is_custom(tool: JsonObject) -> bool:
    """Tell whether a tool definition is the client's own, with a schema."""
    return tool.get("type") in (None, "custom")


def tool_names(tools: list[JsonObject]) -> list[str]:
    """Return the names that a model may call, in order."""
    return [tool["name"] for tool in tools if isinstance(tool.get("name"), str)]


def check_tools(body: JsonObject, model: ModelSpec) -> None:
    """Check tool choice, then every definition."""
    tools: list[JsonObject] = body.get("tools") or []
    _check_choice(body, tools, model)
    for k, tool in enumerate(tools):
        if is_custom(tool):
            _check_custom(k, tool)
    names = tool_names(tools)
    if len(set(names)) != len(names):
        raise refuse("R83b")
    if tools and all(tool.get("defer_loading") is True for tool in tools):
        raise refuse("R86")


def _check_choice(body: JsonObject, tools: list[JsonObject], model: ModelSpec) -> None:
    if not forces_tool(body):
        return
    choice = body["tool_choice"]
    if not model.forced_tool_choice:
        raise refuse("R85c")
    if choice["type"] == "any" and not tools:
        raise refuse("R85a")
    if choice["type"] == "tool" and choice["name"] not in tool_names(tools):
        raise refuse("R85b", name=choice["name"])


def _check_custom(k: int, tool: JsonObject) -> None:
    if not _NAME.match(tool["name"]):
        raise refuse("R83a", k=k)
    schema = tool["input_schema"]
    if any(word in schema for word in ("oneOf", "allOf", "anyOf")):
        raise refuse("R84a", k=k)
    if not is_json_schema(schema):
        raise refuse("R84b", k=k)
    if not all(_PROPERTY.match(name) for name in schema.get("properties") or {}):
        raise refuse("R84c", k=k)


def is_json_schema(schema: Any) -> bool:
    """Tell whether a value keeps the draft 2020-12 meta-schema in the keywords that tools use."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict):
        return False
    maps = [schema[word] for word in _SCHEMA_MAPS if word in schema]
    lists = [schema[word] for word in _SCHEMA_LISTS if word in schema]
    return (
        _is_type(schema.get("type", "object"))
        and all(isinstance(entries, dict) for entries in maps)
        and all(is_json_schema(entry) for entries in maps for entry in entries.values())
        and all(isinstance(entries, list) and entries for entries in lists)
        and all(is_json_schema(entry) for entries in lists for entry in entries)
        and all(is_json_schema(schema[word]) for word in _SCHEMAS if word in schema)
        and all(_is_number(schema[word]) for word in _NUMBERS if word in schema)
        and all(_is_count(schema[word]) for word in _COUNTS if word in schema)
        and _is_name_list(schema.get("required", []))
        and isinstance(schema.get("enum", []), list)
        and all(isinstance(schema.get(word, ""), str) for word in _STRINGS)
        and _is_pattern(schema.get("pattern", ""))
    )


def _is_pattern(value: str) -> bool:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _is_type(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) and item in _JSON_TYPES for item in value)
    return isinstance(value, str) and value in _JSON_TYPES


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_name_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value)
    )
