"""Step 6, strict schemas and servers of others (R56, R88).

Law: a schema that outputs must keep exactly is a smaller language than JSON Schema: every object
names all its keys, and what cannot be compiled into a grammar is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import JsonObject
from holdfast.simulator.rules.tool_definitions import is_custom

_UNSUPPORTED: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems",
)  # fmt: skip
_LOOKAROUND: Final = re.compile(r"\(\?[=!<]|\\[1-9]")
_INSIDE: Final = ("properties", "$defs", "definitions")


def check_strict(body: JsonObject) -> None:
    """Check the schema of the output format and those of tools that ask for it."""
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        check_strict_schema(wanted["schema"], "output_config.format.schema")
    for k, tool in enumerate(body.get("tools") or ()):
        if is_custom(tool) and tool.get("strict") is True:
            check_strict_schema(tool["input_schema"], f"tools.{k}.custom.input_schema")


def check_strict_schema(schema: JsonObject, path: str) -> None:
    """Check one schema and all that it holds (R88)."""
    for where, inner in _schemas(schema, path):
        if inner.get("type") == "object" and inner.get("additionalProperties") is not False:
            raise refuse("R88a", path=where)
        for keyword in _UNSUPPORTED:
            if keyword in inner:
                raise refuse("R88b", path=where, keyword=keyword)
        if inner.get("minItems", 0) not in (0, 1):
            raise refuse("R88b", path=where, keyword="minItems")
        pattern = inner.get("pattern")
        if isinstance(pattern, str) and _LOOKAROUND.search(pattern):
            raise refuse("R88c", path=where, pattern=pattern)
    _refuse_recursion(schema, path)


def _schemas(schema: Any, path: str) -> Iterator[tuple[str, JsonObject]]:
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word in _INSIDE:
        members = schema.get(word)
        for name, inner in members.items() if isinstance(members, dict) else ():
            yield from _schemas(inner, f"{path}.{word}.{name}")
    yield from _schemas(schema.get("items"), f"{path}.items")
    for word in ("anyOf", "allOf"):
        options = schema.get(word)
        for k, inner in enumerate(options if isinstance(options, list) else ()):
            yield from _schemas(inner, f"{path}.{word}.{k}")


def _refuse_recursion(schema: JsonObject, path: str) -> None:
    """A definition may not lead back to itself."""
    names = {
        f"#/{word}/{name}": inner
        for word in ("$defs", "definitions")
        for name, inner in (schema.get(word) or {}).items()
    }
    leads = {
        name: {inner.get("$ref") for _, inner in _schemas(definition, "")}
        for name, definition in {**names, "#": {**schema, "$defs": {}, "definitions": {}}}.items()
    }
    for name in leads:
        reached, fresh = set[str](), {name}
        while fresh:
            fresh = {to for at in fresh for to in leads[at] if to in leads} - reached
            reached |= fresh
        if name in reached:
            raise refuse("R88d", path=path)


def check_mcp_servers(body: JsonObject) -> None:
    """Check that servers and toolsets of the connector name each other (R56)."""
    servers: list[JsonObject] = body.get("mcp_servers") or []
    toolsets = [
        (k, str(tool.get("mcp_server_name")))
        for k, tool in enumerate(body.get("tools") or ())
        if tool.get("type") == "mcp_toolset"
    ]
    for k, server in enumerate(servers):
        if not str(server.get("url", "")).startswith("https://"):
            raise refuse("R56a", k=k)
        if sum(name == server.get("name") for _, name in toolsets) != 1:
            raise refuse("R56b", k=k, name=server.get("name"))
    known = {server.get("name") for server in servers}
    for k, name in toolsets:
        if name not in known:
            raise refuse("R56c", k=k, name=name)
