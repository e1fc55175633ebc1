"""Where settings come from: the editor's section, the environment, and what to say of wrong ones.

Law: nothing here raises, whatever it is given, and no message holds what may be a key (P11).

Editors send settings in several dialects, all of which mean the same here: nested or dotted names,
with or without `holdfast` around or before them, `null` for "not set", and an empty list for an
empty object or the reverse, which is how Lua tables come out as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from holdfast.settings.endpoints import unknown
from holdfast.settings.readers import HIDDEN, WrongValue, clipped, shown

SECTION: Final = "holdfast"

# What editors keep in the same section for their own use: how to start and trace the server.
_EDITORS_OWN: Final = ("server", "trace")

Fields: TypeAlias = "Mapping[str, attrs.Attribute[Any]]"


@attrs.frozen
class Problem:
    """A setting that was not taken.

    `name` is the full name a person finds it under, `value` what stands there as far as it may be
    shown, `message` what is wrong, what is used instead and, where it is not plain, the next step.
    """

    name: str
    value: str
    message: str


class Reading:
    """One reading of all sources: the values taken so far, and a problem for each one that was not.

    `fields` are the declared settings by their names on the wire. A later source goes before an
    earlier one; a value that is wrong leaves what an earlier source said.
    """

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.groups = {wire.split(".")[0] for wire in fields if "." in wire}
        self.given: dict[str, Any] = {}
        self.problems: list[Problem] = []

    def take(self, wire: str, value: object, name: str) -> None:
        """Read one value, or say under `name` why not and what is used instead."""
        field = self.fields[wire]
        try:
            self.given[wire] = field.metadata["read"](value)
        except WrongValue as wrong:
            match self.given.get(wire, field.default):
                case None:
                    instead = "the model's own limit is used"
                case () if wire == "prices":
                    instead = "no price is used, so no cost is shown"
                case () if wire in ("endpoints", "failover"):
                    instead = "no other endpoint is used"
                case ():
                    instead = "no rule is used, so you are asked about every call"
                case used:
                    instead = f"{used} is used"
            at = f"{name}{wrong.at}"
            self.problems.append(Problem(at, shown(wrong.value), f"{at} {wrong}; {instead}."))

    def editor(self, section: object) -> None:
        """Read the editor's section, which may be any JSON."""
        if isinstance(section, Mapping) and SECTION in section:
            section = section[SECTION]
        if section is None or section == []:
            return
        if not isinstance(section, Mapping):
            message = f"The section {SECTION} of the settings must be an object; it is not used."
            self.problems.append(Problem(SECTION, shown(section), message))
            return
        for wire, value in self._flat(section):
            if value is None or wire.split(".")[0] in _EDITORS_OWN:
                continue
            name = f"{SECTION}.{wire}"
            if wire in self.fields:
                self.take(wire, value, name)
            elif wire not in self.groups:
                self.problems.append(_unknown(name, self.fields))
            elif value != []:
                message = f"{name} must be an object; its defaults are used."
                self.problems.append(Problem(name, shown(value), message))

    def drop_unknown_endpoints(self) -> None:
        """Leave out names of endpoints that there are not, and say so."""
        known = self.given.get("endpoints", ())
        named = self.given.get("failover", ())
        if missing := unknown(named, known):
            self.given["failover"] = tuple(each for each in named if each not in missing)
            self._unknown_endpoint("failover", missing, "they are left out")
        begins_at = self.given.get("endpoint")
        if begins_at is not None and unknown((begins_at,), known):
            del self.given["endpoint"]
            self._unknown_endpoint("endpoint", (begins_at,), "new sessions begin at the first one")

    def _unknown_endpoint(self, wire: str, missing: Sequence[str], instead: str) -> None:
        full = f"{SECTION}.{wire}"
        message = f"{full} names what {SECTION}.endpoints has not; {instead}."
        self.problems.append(Problem(full, shown(", ".join(missing)), message))

    def path(
        self,
        environ: Mapping[str, str],
        name: str,
        read: Callable[[str], Path],
        default: Callable[[], Path],
    ) -> Path:
        """Read a path that the environment may name. An empty variable is none."""
        value = environ.get(name, "").strip()
        if not value:
            return default()
        try:
            return read(value)
        except WrongValue as wrong:
            instead = default()
            message = f"{name} {wrong}; {instead} is used."
            self.problems.append(Problem(name, shown(wrong.value), message))
            return instead

    def consistent(self, fields: Fields) -> dict[str, Any]:
        """Return the values taken for `fields`, by attribute.

        Two that contradict each other are both left out, so that their defaults are used.
        """
        wires = {field.name: wire for wire, field in fields.items()}
        values = {f.name: self.given[wire] for wire, f in fields.items() if wire in self.given}
        for wire, field in fields.items():
            below = field.metadata["above"]
            high = values.get(field.name, field.default)
            if not below or high is None:
                continue
            low = values.get(below, fields[wires[below]].default)
            if low < high:
                continue
            message = (
                f"{SECTION}.{wires[below]} ({low}) must be less than {SECTION}.{wire} ({high}); "
                "the defaults of both are used."
            )
            name, value = (wires[below], low) if below in values else (wire, high)
            self.problems.append(Problem(f"{SECTION}.{name}", shown(value), message))
            values.pop(below, None)
            values.pop(field.name, None)
        return values

    def _flat(
        self, section: Mapping[Any, object], prefix: str = ""
    ) -> Iterator[tuple[str, object]]:
        """Yield dotted names and values; only the known groups are opened."""
        for part, value in section.items():
            name = f"{prefix}{part}".removeprefix(f"{SECTION}.")
            if name in self.groups and isinstance(value, Mapping):
                yield from self._flat(value, f"{name}.")
            else:
                yield name, value


def _unknown(name: str, fields: Fields) -> Problem:
    """Name a setting that does not exist. Its value is never shown: it may be a pasted key."""
    if re.search("key|token|secret|password", name, re.IGNORECASE):
        advice = (
            "Keys are no settings: set ANTHROPIC_API_KEY in the environment, or let the client "
            "hand the key over with holdfast.credentials.set."
        )
    else:
        advice = f"It is ignored. The settings are {', '.join(fields)}."
    full = clipped(name)
    return Problem(full, HIDDEN, f"There is no setting {full}. {advice}")
