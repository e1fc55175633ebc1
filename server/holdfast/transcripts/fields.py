"""Fields of decoded objects that may have any type.

Law: a field of another type counts as not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_field(value: Mapping[str, Any], name: str) -> str:
    """Return a field when it is a string, else ""."""
    field = value.get(name)
    return field if isinstance(field, str) else ""


def text_or_none(value: Mapping[str, Any], name: str) -> str | None:
    """Return a field when it is a string, else None."""
    field = value.get(name)
    return field if isinstance(field, str) else None


def mapping_field(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field when it is an object, else an empty one."""
    field = value.get(name)
    return field if isinstance(field, Mapping) else {}
