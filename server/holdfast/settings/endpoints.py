"""Endpoints besides the first: who else may answer a session, and under which names.

Law: an endpoint is taken whole or not at all, and no key stands in it, only the name of the
variable that holds one (P11). The first endpoint, that of `baseUrl`, is always there and is called
`default`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeVar

import attrs

from holdfast.settings.readers import Reader, WrongValue, base_url, name

T = TypeVar("T")

DEFAULT_ENDPOINT: Final = "default"
"""The name of the endpoint of the setting `baseUrl`."""

ENDPOINTS_MAX: Final = 20
_MODELS_MAX: Final = 100
_MEMBERS: Final = frozenset(
    {"name", "kind", "baseUrl", "keyVariable", "models", "region", "project", "resource"}
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# These become parts of host names and paths: what leads to another host is refused here, for a
# request is signed with the cloud's own credentials (P11).
_HOST_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}", re.IGNORECASE)
_DATE: Final = re.compile(r"-(\d{8})$")


class Kind(StrEnum):
    """What answers at an endpoint: the API itself, a proxy in front of Claude, another server, or a
    cloud that sells Claude under its own accounts.
    """

    ANTHROPIC = "anthropic"
    GATEWAY = "gateway"
    COMPATIBLE = "compatible"
    BEDROCK = "bedrock"
    VERTEX = "vertex"
    FOUNDRY = "foundry"

    @property
    def is_cloud(self) -> bool:
        """Whether a cloud answers: by its own addresses, with its own credentials."""
        return self in {Kind.BEDROCK, Kind.VERTEX, Kind.FOUNDRY}


PLACES: Final[Mapping[str, frozenset[Kind]]] = {
    "region": frozenset({Kind.BEDROCK, Kind.VERTEX}),
    "project": frozenset({Kind.VERTEX}),
    "resource": frozenset({Kind.FOUNDRY}),
}
"""The members that say where in a cloud an endpoint is, and the kinds that have them."""


@attrs.frozen
class EndpointSetting:
    """One more endpoint.

    `base_url` of None is the first-party API, and in a cloud the region's own. `key_variable` names
    the environment variable with its key, None for the first endpoint's key where Anthropic
    answers, for the cloud's own credentials in a cloud, and for none elsewhere: a key is never sent
    to an address that it was not meant for. `models` are pairs of the name that a session wants and
    the name that the endpoint has for it. `region`, `project` and `resource` say where in a cloud
    it is; None leaves that to the cloud's own environment variables.
    """

    name: str
    kind: Kind
    base_url: str | None = None
    key_variable: str | None = None
    models: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    project: str | None = None
    resource: str | None = None

    def there(self, model: str) -> str:
        """Return what `model` is called at this endpoint: as set, else as its kind spells ids."""
        return dict(self.models).get(model) or _spelled(self.kind, model)


def endpoints(value: object) -> tuple[EndpointSetting, ...]:
    """Read the list of endpoints, all of it or nothing; two of one name are refused."""
    if value == {}:
        return ()
    if not isinstance(value, list | tuple) or len(value) > ENDPOINTS_MAX:
        raise WrongValue(f"a list of at most {ENDPOINTS_MAX} endpoints", value)
    found = tuple(_endpoint(item, f"[{index}]") for index, item in enumerate(value))
    seen = {DEFAULT_ENDPOINT}
    for index, each in enumerate(found):
        if each.name in seen:
            expected = f"a name that no other endpoint has ({DEFAULT_ENDPOINT} is the first one's)"
            raise WrongValue(expected, each.name, f"[{index}].name")
        seen.add(each.name)
    return found


def failover(value: object) -> tuple[str, ...]:
    """Read the names of endpoints in the order in which they stand in for each other."""
    if value == {}:
        return ()
    if not isinstance(value, list | tuple) or len(value) > ENDPOINTS_MAX:
        raise WrongValue("a list of names of endpoints", value)
    names = tuple(_at(name, item, f"[{index}]") for index, item in enumerate(value))
    if len(set(names)) < len(names):
        raise WrongValue("a list that names each endpoint once", value)
    return names


def unknown(names: Sequence[str], known: Sequence[EndpointSetting]) -> tuple[str, ...]:
    """Return those of `names` that no endpoint has."""
    there = {DEFAULT_ENDPOINT, *(each.name for each in known)}
    return tuple(each for each in names if each not in there)


def _endpoint(item: object, at: str) -> EndpointSetting:
    if isinstance(item, EndpointSetting):
        return item
    if not isinstance(item, Mapping) or not set(item) <= _MEMBERS:
        expected = "an object with name, kind, baseUrl, keyVariable, models, region, project or "
        raise WrongValue(f"{expected}resource", item, at)
    kind = _at(_kind, item.get("kind"), f"{at}.kind")
    address = item.get("baseUrl")
    if address is None and kind in {Kind.GATEWAY, Kind.COMPATIBLE}:
        raise WrongValue("an http(s) address, which this kind needs", None, f"{at}.baseUrl")
    variable = item.get("keyVariable")
    return EndpointSetting(
        _at(name, item.get("name"), f"{at}.name"),
        kind,
        None if address is None else _at(base_url, address, f"{at}.baseUrl"),
        None if variable is None else _at(_variable, variable, f"{at}.keyVariable"),
        _at(_models, item.get("models") or {}, f"{at}.models"),
        **{part: _place(part, kind, item.get(part), f"{at}.{part}") for part in PLACES},
    )


def _place(part: str, kind: Kind, value: object, at: str) -> str | None:
    """Read where in a cloud an endpoint is."""
    if value is None:
        return None
    if kind not in PLACES[part]:
        kinds = " and ".join(sorted(PLACES[part]))
        raise WrongValue(f"left out: only the kinds {kinds} have it", value, at)
    pattern = _PROJECT if part == "project" else _HOST_PART
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise WrongValue(f"the name of a {part}, as in the cloud's console", value, at)


def _spelled(kind: Kind, model: str) -> str:
    """Return how a cloud spells the id of a Claude model that is given as the API spells it."""
    if not model.startswith("claude-"):
        return model
    match kind:
        case Kind.BEDROCK:
            return f"anthropic.{_DATE.sub('', model)}"
        case Kind.VERTEX:
            return _DATE.sub(r"@\1", model)
        case _:
            return model


def _kind(value: object) -> Kind:
    if isinstance(value, str) and value in list(Kind):
        return Kind(value)
    raise WrongValue(", ".join(list(Kind)[:-1]) + f" or {list(Kind)[-1]}", value)


def _variable(value: object) -> str:
    """Read the name of a variable; what looks like a key itself is refused and never shown."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise WrongValue("the name of an environment variable", value)


def _models(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or len(value) > _MODELS_MAX:
        raise WrongValue("an object of names: the wanted model and what it is called there", value)
    return tuple((_at(name, k, ""), _at(name, v, f".{name(k)}")) for k, v in value.items())


def _at(read: Reader[T], value: object, at: str) -> T:
    try:
        return read(value)
    except WrongValue as wrong:
        raise WrongValue(wrong.expected, wrong.value, f"{at}{wrong.at}") from wrong
