"""The fields of blocks: required ones (R9, R71), optional ones, sources of media (R31, R59).

Law: a field that is there has its type. `null` is a value of its own: only the fields that the API
itself fills with it take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from holdfast.conversation.profile import MEDIA_TYPES, SOURCES
from holdfast.conversation.rules.flaws import Flaw, quoted

Wanted: TypeAlias = tuple[str, type]
Holds: TypeAlias = Callable[[Any], bool]

_EXPECTED: Final[Mapping[type, str]] = {str: "string", list: "list", dict: "dictionary"}


def required_flaws(data: Mapping[str, Any], wanted: Iterable[Wanted], path: str) -> Iterator[Flaw]:
    """Yield the required fields that are missing or of another type."""
    for name, kind in wanted:
        rule = "R71" if name == "signature" else "R9"
        if name not in data:
            yield Flaw(rule, f"{path}.{name}: Field required")
        elif not isinstance(data[name], kind):
            yield Flaw(rule, f"{path}.{name}: Input should be a valid {_EXPECTED[kind]}")


def source_flaws(source: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    """Yield what is wrong with the `source` of an image or a document, as far as its fields go."""
    form = source.get("type")
    if "type" not in source:
        yield Flaw("R9", f"{path}.type: Field required")
        return
    if not isinstance(form, str) or form not in SOURCES[kind]:
        yield Flaw(
            "R31",
            f"{path}: Input tag '{form}' found using 'type' does not match any of the expected "
            f"tags: {quoted(SOURCES[kind])}",
        )
        return
    path = f"{path}.{form}"
    known = SOURCES[kind][form]
    allowed = MEDIA_TYPES.get((kind, form))
    choices = {"media_type"} if allowed and "media_type" in source else set()
    yield from required_flaws(source, ((name, str) for name in known if name not in choices), path)
    if form == "content":
        known = ("content",)
        if "content" not in source:
            yield Flaw("R9", f"{path}.content: Field required")
    if allowed and choices and source["media_type"] not in tuple(allowed):
        yield Flaw("R59", f"{path}.media_type: Input should be {quoted(allowed)}")
    for name in source:
        if name != "type" and name not in known:
            yield Flaw("R8", f"{path}.{name}: Extra inputs are not permitted")


def optional_flaws(data: Mapping[str, Any], kind: str, path: str) -> Iterator[Flaw]:
    """Yield the optional fields whose value is of another type."""
    for name in wrong_options(data, kind):
        expected = _OPTIONS[kind][name][0]
        yield Flaw("R9", f"{path}.{name}: Input should be {expected}")


def wrong_options(data: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """Return the names of the optional fields whose value is of another type."""
    options = _OPTIONS.get(kind, {})
    return tuple(name for name in data if name in options and not options[name][1](data[name]))


def _is_switch(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name == "enabled" and isinstance(on, bool) for name, on in value.items()
    )


def _are_citations(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _are_transformations(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name == "oversized_image" and how in ("downsize", "error") for name, how in value.items()
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _or_null(holds: Holds) -> Holds:
    return lambda value: value is None or holds(value)


_TEXT: Final = ("a valid string", _or_null(_is_text))
_SWITCH: Final = ("a valid dictionary", _or_null(_is_switch))
_OPTIONS: Final[Mapping[str, Mapping[str, tuple[str, Holds]]]] = {
    "text": {"citations": ("a valid list", _or_null(_are_citations))},
    "image": {"transformations": ("a valid dictionary", _or_null(_are_transformations))},
    "document": {"title": _TEXT, "context": _TEXT, "citations": _SWITCH},
    "search_result": {"citations": _SWITCH},
    "tool_use": {"toolset_name": _TEXT},
    "tool_result": {"toolset_name": _TEXT},
    "compaction": {"content": _TEXT, "encrypted_content": _TEXT, "signature": _TEXT},
}
"""Optional fields with what the API says they should be, and the test. Cache marks apart (R81)."""
