"""The definitions: valid for the API (A29, A30), true to the code, the same bytes always (R70)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from holdfast.conversation import encoding
from holdfast.tools.base import BaseTool
from holdfast.tools.registry import Toolbox, builtin_tools
from tools.toolkit import tool

NAMES = Toolbox().names


def digest() -> str:
    raw = encoding.encode([dict(definition) for definition in Toolbox().definitions])
    return hashlib.sha256(raw.encode()).hexdigest()


def test_the_order_is_fixed_and_todo_changes_nothing_outside() -> None:
    files = ("read", "list", "glob", "grep", "edit", "write", "run")
    assert (*files, "todo", "recall_search", "recall_read") == NAMES
    assert {name for name in NAMES if tool(name).mutates} == {"edit", "write", "run"}


def test_an_unknown_name_is_no_tool() -> None:
    assert Toolbox().get("made_up") is None


def test_a30_a_name_is_used_once() -> None:
    with pytest.raises(ValueError, match="two tools are named 'read'"):
        Toolbox([*builtin_tools(), *builtin_tools()])


def test_r70_the_definitions_have_the_same_bytes_in_every_process() -> None:
    script = (
        "import hashlib; from holdfast.conversation import encoding;"
        "from holdfast.tools.registry import Toolbox;"
        "raw = encoding.encode([dict(d) for d in Toolbox().definitions]);"
        "print(hashlib.sha256(raw.encode()).hexdigest())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == digest()


@pytest.mark.parametrize("name", NAMES)
def test_r83_names_are_what_the_api_takes(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
    assert tool(name).definition["name"] == name
    assert tool(name).definition["description"].strip()


@pytest.mark.parametrize("name", NAMES)
def test_a29_schemas_have_no_form_that_the_api_refuses(name: str) -> None:
    schema = tool(name).definition["input_schema"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert not {"oneOf", "anyOf", "allOf", "$ref", "$defs"} & set(
        re.findall(r"\w+|\$\w+", str(schema))
    )
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", key) for key in schema["properties"])


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_says_exactly_what_the_code_accepts(name: str) -> None:
    found = tool(name)
    assert isinstance(found, BaseTool)
    said, accepted = found.definition["input_schema"], generated(found.arguments_type)
    assert said["required"] == accepted.get("required", [])
    assert {key: essence(value) for key, value in said["properties"].items()} == {
        key: essence(value) for key, value in accepted["properties"].items()
    }


def generated(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return msgspec's own schema of a struct, with references resolved."""
    (root,), components = msgspec.json.schema_components([kind])

    def resolve(value: Any) -> Any:
        if isinstance(value, dict) and "$ref" in value:
            return resolve(components[value["$ref"].rpartition("/")[2]])
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        return [resolve(item) for item in value] if isinstance(value, list) else value

    resolved: dict[str, Any] = resolve(root)
    return resolved


def essence(value: Any) -> Any:
    """Leave out what is for readers only, and the null that stands for an absent value."""
    if isinstance(value, list):
        return sorted(value) if all(isinstance(item, str) for item in value) else value
    if not isinstance(value, dict):
        return value
    if "anyOf" in value:
        (value,) = (one for one in value["anyOf"] if one != {"type": "null"})
    kept = {
        key: essence(item)
        for key, item in value.items()
        if key not in ("title", "description", "default")
    }
    if "enum" in kept:
        kept["type"] = "string"
    return kept
