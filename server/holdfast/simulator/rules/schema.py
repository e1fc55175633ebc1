"""A small schema engine: JSON against shapes, one error, the API's path grammar.

Law: the first failing path is reported, fields in the order in which the shape declares them,
unknown keys last (§8 step 4). Paths are dotted, with the tag of a union member inserted:
`messages.3.content.0.tool_use.input` (§0). Fields and members behind a beta do not exist for a
request that does not carry its header (R8, R31).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.request import Envelope

Check: TypeAlias = Callable[[Any, str, Envelope], None]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object. `betas`: any one of these headers makes the key known.

    `missing` is the rule by which the body is refused without a required key.
    """

    check: Check
    required: bool = False
    nullable: bool = False
    betas: frozenset[str] = frozenset()
    missing: str = "R9"

    def known(self, envelope: Envelope) -> bool:
        """Tell whether the key exists for this request."""
        return not self.betas or bool(self.betas & envelope.betas)


Fields: TypeAlias = Mapping[str, Field]


def required(check: Check, missing: str = "R9") -> Field:
    """A key that must be there and may not be null."""
    return Field(check, required=True, missing=missing)


def optional(check: Check, *betas: str) -> Field:
    """A key that may be absent, but not null."""
    return Field(check, betas=frozenset(betas))


def nullable(check: Check, *betas: str) -> Field:
    """A key that may be absent or null."""
    return Field(check, nullable=True, betas=frozenset(betas))


def anything(_value: Any, _path: str, _envelope: Envelope) -> None:
    """Accept every JSON value."""


def boolean(value: Any, path: str, _envelope: Envelope) -> None:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise refuse("type", path=path, expected="a valid boolean")


def integer(value: Any, path: str, _envelope: Envelope) -> None:
    """Accept whole numbers, not booleans."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse("type", path=path, expected="a valid integer")


def number(value: Any, path: str, _envelope: Envelope) -> None:
    """Accept numbers, not booleans."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refuse("type", path=path, expected="a valid number")


def string(value: Any, path: str, _envelope: Envelope) -> None:
    """Accept strings."""
    if not isinstance(value, str):
        raise refuse("type", path=path, expected="a valid string")


def dictionary(value: Any, path: str, _envelope: Envelope) -> None:
    """Accept objects of any shape (R47 has its text from here)."""
    if not isinstance(value, dict):
        raise refuse("R47", path=path)


def matching(pattern: str) -> Check:
    """Accept strings that match `pattern` as a whole (R45)."""
    compiled = re.compile(pattern.removesuffix("$") + r"\Z")

    def check(value: Any, path: str, envelope: Envelope) -> None:
        string(value, path, envelope)
        if not compiled.match(value):
            raise refuse("R45", path=path, pattern=pattern)

    return check


def sized(shortest: int, longest: int) -> Check:
    """Accept strings of `shortest` to `longest` characters (R46)."""

    def check(value: Any, path: str, envelope: Envelope) -> None:
        string(value, path, envelope)
        if len(value) > longest:
            raise refuse("R46", path=path, max=longest)
        if len(value) < shortest:
            raise refuse("R46b", path=path, min=shortest)

    return check


def forbidden(rule: str) -> Field:
    """A key that is known only to be refused by a rule of its own."""

    def check(_value: Any, path: str, _envelope: Envelope) -> None:
        raise refuse(rule, path=path)

    return Field(check)


def one_of(*values: str, rule: str = "type") -> Check:
    """Accept exactly these strings; the text lists them as the API does."""
    quoted = [f"'{value}'" for value in values]
    expected = " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))

    def check(value: Any, path: str, _envelope: Envelope) -> None:
        if not isinstance(value, str) or value not in values:
            raise refuse(rule, path=path, expected=expected)

    return check


def list_of(item: Check) -> Check:
    """Accept arrays whose items all pass `item`."""

    def check(value: Any, path: str, envelope: Envelope) -> None:
        if not isinstance(value, list):
            raise refuse("type", path=path, expected="a valid list")
        for index, element in enumerate(value):
            item(element, f"{path}.{index}", envelope)

    return check


def text_or(other: Check) -> Check:
    """Accept a string, or what `other` accepts."""

    def check(value: Any, path: str, envelope: Envelope) -> None:
        if not isinstance(value, str):
            other(value, path, envelope)

    return check


def shape(fields: Fields, *, others: bool = False) -> Check:
    """Accept objects with exactly these fields; `others` lets unknown keys pass."""

    def check(value: Any, path: str, envelope: Envelope) -> None:
        if not isinstance(value, dict):
            raise refuse("type", path=path, expected="a valid dictionary")
        check_fields(value, path, envelope, fields, others=others)

    return check


def check_fields(
    value: Mapping[str, Any], path: str, envelope: Envelope, fields: Fields, *, others: bool = False
) -> None:
    """Check the fields of one object: declared ones in order, then unknown keys."""
    prefix = f"{path}." if path else ""
    for name, field in fields.items():
        if not field.known(envelope):
            continue
        if name not in value:
            if field.required:
                raise refuse(field.missing, path=prefix + name)
            continue
        if value[name] is None and field.nullable:
            continue
        field.check(value[name], prefix + name, envelope)
    if others:
        return
    for name in value:
        if name not in fields or not fields[name].known(envelope):
            raise refuse("R8", path=prefix + name)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a union told apart by `type`."""

    fields: Fields
    betas: frozenset[str] = frozenset()
    others: bool = False


def tagged(members: Mapping[str, Member], default: str | None = None, rule: str = "R31") -> Check:
    """Accept objects whose `type` names a member and whose fields fit it (R31).

    `default` is the member meant when `type` is absent or null, as for custom tools. `rule` is
    the one that an unknown tag breaks, in the words of R31.
    """

    def check(value: Any, path: str, envelope: Envelope) -> None:
        if not isinstance(value, dict):
            raise refuse("type", path=path, expected="a valid dictionary")
        tag = value.get("type")
        if tag is None and default is not None:
            tag = default
        if "type" not in value and tag is None:
            raise refuse("R9", path=f"{path}.type")
        member = members.get(tag) if isinstance(tag, str) else None
        if member is None or (member.betas and not member.betas & envelope.betas):
            known = sorted(n for n, m in members.items() if not m.betas or m.betas & envelope.betas)
            raise refuse(rule, path=path, tag=tag, tags=", ".join(f"'{name}'" for name in known))
        check_fields(value, f"{path}.{tag}", envelope, member.fields, others=member.others)

    return check
