"""JSON schemas of tools: which the API takes (R84, R88), and the nearest one that it does.

Law: `object_schema(x)` is legal for every `x`, and is `x` when `x` is legal. It may allow more than
`x` did, never other names: the whole of `x` goes into the tool's description, so the model still
knows. Only the keywords that tools use are looked at; unknown ones are legal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

COMBINATORS: Final = frozenset({"oneOf", "allOf", "anyOf"})
PROPERTY_KEY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
DEPTH_MAX: Final = 64
"""Deeper schemas are taken for broken: nothing that reads them has to recurse without end."""
TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})

Test: TypeAlias = Callable[[Any], bool]


def _is_type(value: Any) -> bool:
    if isinstance(value, str):
        return value in TYPES
    names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return names and bool(value) and len(set(value)) == len(value) and TYPES.issuperset(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _are_names(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return False
    return len(set(value)) == len(value)


def _are_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(is_schema(item) for item in value)


def _named_schemas(value: Any) -> bool:
    return isinstance(value, dict) and all(is_schema(item) for item in value.values())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def is_schema(value: Any) -> bool:
    """Say whether a value is a schema of draft 2020-12, as far as the common keywords go."""
    if isinstance(value, bool):
        return True
    return isinstance(value, dict) and next(wrong_keywords(value), None) is None


def is_too_deep(value: Any) -> bool:
    """Say whether a value is nested deeper than `DEPTH_MAX`. Works for any depth."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def wrong_keywords(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keywords of a schema whose value the draft does not allow."""
    for keyword, value in schema.items():
        test = _KEYWORDS.get(keyword)
        if test is not None and not test(value):
            yield keyword


_KEYWORDS: Final[Mapping[str, Test]] = {
    "type": _is_type,
    "required": _are_names,
    "enum": lambda value: isinstance(value, list),
    "title": _is_text,
    "description": _is_text,
    "format": _is_text,
    "$ref": _is_text,
    "$id": _is_text,
    "$schema": _is_text,
    "$comment": _is_text,
    "pattern": _is_pattern,
    "uniqueItems": lambda value: isinstance(value, bool),
    "examples": lambda value: isinstance(value, list),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _named_schemas),
    **dict.fromkeys(("oneOf", "allOf", "anyOf", "prefixItems"), _are_schemas),
    **dict.fromkeys(
        (
            "items", "additionalProperties", "not", "if", "then", "else", "contains",
            "propertyNames", "unevaluatedItems", "unevaluatedProperties",
        ),
        is_schema,
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(
        (
            "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
            "minContains", "maxContains",
        ),
        _is_count,
    ),
}  # fmt: skip


def is_strict(schema: Any) -> bool:
    """Say whether a schema is closed everywhere, as `strict` tools must be (R88).

    Keywords that strict tools do not know, and references that could recurse, count as not closed.
    """
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if not _NOT_STRICT.isdisjoint(schema) or schema.get("minItems", 0) not in (0, 1):
        return False
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(is_strict(item) for item in schema.values())


_NOT_STRICT: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems", "$ref"}
)


def object_schema(given: Any) -> dict[str, Any]:
    """Return the schema of a tool's input: legal, and as near to `given` as can be."""
    if not isinstance(given, dict) or is_too_deep(given):
        return {"type": "object", "properties": {}}
    schema = {key: value for key, value in given.items() if key not in COMBINATORS}
    for combinator in sorted(COMBINATORS & given.keys()):
        schema = _joined(schema, given[combinator], required=combinator == "allOf")
    for keyword in tuple(wrong_keywords(schema)):
        schema[keyword] = _mended(keyword, schema[keyword])
    schema = {key: value for key, value in schema.items() if value is not _DROP}
    schema = _with_legal_keys(schema)
    if schema.get("type") != "object":
        schema["type"] = "object"
    return schema


_DROP: Final = object()


def _mended(keyword: str, value: Any) -> Any:
    """Return what can be kept of a keyword's value: the schemas in it that are legal."""
    if keyword in ("properties", "patternProperties", "$defs", "definitions"):
        if isinstance(value, dict):
            return {key: item if is_schema(item) else _loose(item) for key, item in value.items()}
        return {}
    if keyword == "required" and isinstance(value, list):
        return list(dict.fromkeys(name for name in value if isinstance(name, str)))
    return _DROP


def _loose(item: Any) -> Any:
    """Return a schema that allows at least what `item` did, without its wrong keywords."""
    if not isinstance(item, dict):
        return {}
    kept = {key: value for key, value in item.items() if key not in set(wrong_keywords(item))}
    if isinstance(item.get("properties"), dict) and "properties" not in kept:
        kept["properties"] = _mended("properties", item["properties"])
    return kept


def _joined(schema: dict[str, Any], branches: Any, *, required: bool) -> dict[str, Any]:
    """Lift the properties of a combinator's branches; only what all of them need is required."""
    found = [b for b in branches if isinstance(b, dict)] if isinstance(branches, list) else []
    properties: dict[str, Any] = {}
    for branch in found:
        own = object_schema(branch).get("properties", {})
        for key, value in own.items():
            if key not in properties:
                properties[key] = value
            elif properties[key] != value:
                properties[key] = {}  # the branches differ: the description says how
    needs = [set(_names(branch.get("required"))) for branch in found]
    together = set.union if required else set.intersection
    common = together(*needs) if needs else set()
    own = schema.get("properties")
    joined = {**schema, "properties": {**properties, **(own if isinstance(own, dict) else {})}}
    wanted = [*_names(schema.get("required")), *sorted(common)]
    if wanted:
        joined["required"] = list(dict.fromkeys(wanted))
    return joined


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _with_legal_keys(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out the properties whose keys are refused, and what else names them."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or all(map(PROPERTY_KEY.fullmatch, properties)):
        return schema
    kept = {key: value for key, value in properties.items() if PROPERTY_KEY.fullmatch(key)}
    lost = properties.keys() - kept.keys()
    changed = {**schema, "properties": kept}
    if isinstance(schema.get("required"), list):
        changed["required"] = [name for name in schema["required"] if name not in lost]
    if changed.get("additionalProperties") is False:
        del changed["additionalProperties"]  # the model may still give what the list cannot name
    return changed
