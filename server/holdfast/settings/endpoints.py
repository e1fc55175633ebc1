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
_MEMBERS: Final = frozenset({"name", "kind", "baseUrl", "keyVariable", "models"})
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Kind(StrEnum):
    """What answers at an endpoint: the API itself, a proxy in front of Claude, another server."""

    ANTHROPIC = "anthropic"
    GATEWAY = "gateway"
    COMPATIBLE = "compatible"


@attrs.frozen
class EndpointSetting:
    """One more endpoint.

    `base_url` of None is the first-party API. `key_variable` names the environment variable with
    its key, None for the first endpoint's key where Anthropic answers, and for none elsewhere: a
    key is never sent to an address that it was not meant for. `models` are pairs of the name that a
    session wants and the name that the endpoint has for it.
    """

    name: str
    kind: Kind
    base_url: str | None = None
    key_variable: str | None = None
    models: tuple[tuple[str, str], ...] = ()

    def there(self, model: str) -> str:
        """Return what `model` is called at this endpoint."""
        return dict(self.models).get(model, model)


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
        raise WrongValue("an object with name, kind, baseUrl, keyVariable and models", item, at)
    kind = _at(_kind, item.get("kind"), f"{at}.kind")
    address = item.get("baseUrl")
    if address is None and kind is not Kind.ANTHROPIC:
        raise WrongValue("an http(s) address, which this kind needs", None, f"{at}.baseUrl")
    variable = item.get("keyVariable")
    return EndpointSetting(
        _at(name, item.get("name"), f"{at}.name"),
        kind,
        None if address is None else _at(base_url, address, f"{at}.baseUrl"),
        None if variable is None else _at(_variable, variable, f"{at}.keyVariable"),
        _at(_models, item.get("models") or {}, f"{at}.models"),
    )


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
