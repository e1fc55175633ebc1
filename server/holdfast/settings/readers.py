"""Readers: what each kind of setting takes, as functions from any JSON to a value.

Law: a reader returns a value within its range or raises `WrongValue`, which says in plain words
what it takes; it raises nothing else, whatever it is given, and shows nothing that may be a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import attrs

from holdfast.conversation import encoding

T = TypeVar("T")
Reader: TypeAlias = Callable[[object], T]

HIDDEN: Final = "(hidden)"
SHOWN_CHARS_MAX: Final = 60
_MAY_HOLD_A_SECRET: Final = re.compile(r"[@?]|\bsk-")


class WrongValue(ValueError):
    """A value that a setting does not take.

    `expected` says in plain words what it takes; `at` is the place inside the setting, such as
    `[1].answer`, and `value` what stands there.
    """

    def __init__(self, expected: str, value: object, at: str = "") -> None:
        super().__init__(f"must be {expected}, not {shown(value)}")
        self.expected, self.value, self.at = expected, value, at


class Answer(StrEnum):
    """What becomes of a tool call that a rule matches."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


def number(low: float, high: float) -> Reader[float]:
    """Read a number from `low` to `high`. Truth values, infinity and NaN are none."""

    def read(value: object) -> float:
        match value:
            case bool():
                pass
            case int() | float() if low <= value <= high:
                return float(value)
        raise WrongValue(f"a number from {low:g} to {high:g}", value)

    return read


def whole_number(low: int, high: int) -> Reader[int]:
    """Read a whole number from `low` to `high`, also when an editor wrote it as `8000.0`."""

    def read(value: object) -> int:
        match value:
            case bool():
                pass
            case int() if low <= value <= high:
                return value
            case float() if value.is_integer() and low <= value <= high:
                return int(value)
        raise WrongValue(f"a whole number from {low} to {high}", value)

    return read


def optional(read: Reader[T]) -> Reader[T | None]:
    """Read what `read` takes, or None for "not set"."""
    return lambda value: None if value is None else read(value)


def name(value: object) -> str:
    """Read a name, as of a model or a tool: printable, without spaces, at most 200 characters."""
    if isinstance(value, str):
        text = value.strip()
        if 0 < len(text) <= 200 and text.isprintable() and " " not in text:
            return text
    raise WrongValue("a name of 1 to 200 characters without spaces", value)


def pattern(value: object) -> str:
    """Read a permission's pattern: one printable line, taken as it stands."""
    if isinstance(value, str) and 0 < len(value) <= 2_000 and value.isprintable():
        return value
    raise WrongValue("one line of 1 to 2000 characters", value)


def base_url(value: object) -> str:
    """Read the API's address. User names and queries are refused: they end up in logs (P11)."""
    wrong = WrongValue("an http(s) address without user name, query or fragment", value)
    if not isinstance(value, str):
        raise wrong
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:  # a port that is no number, an unclosed [
        raise wrong from error
    plain = re.fullmatch(r"[!-~]+", address) and not re.search(r"[?#\\@]", address)
    if parts.scheme not in ("http", "https") or not usable or not plain:
        raise wrong
    return address


@attrs.frozen
class PermissionRule:
    """One rule: a call of `tool` (`*` is any) whose target matches `pattern` gets `answer`."""

    tool: str = attrs.field(converter=name)
    pattern: str = attrs.field(converter=pattern)
    answer: Answer = attrs.field(converter=Answer)


def permissions(value: object) -> tuple[PermissionRule, ...]:
    """Read the list of rules, all of it or nothing.

    Dropping one bad rule could leave a broad `allow` without the `deny` that was to bound it;
    with no rules at all a person is asked, which is always safe.
    """
    if value == {}:
        return ()
    if not isinstance(value, list | tuple):
        raise WrongValue("a list of {tool, pattern, answer}", value)
    return tuple(_permission(item, f"[{index}]") for index, item in enumerate(value))


def _permission(item: object, at: str) -> PermissionRule:
    if isinstance(item, PermissionRule):
        return item
    if not isinstance(item, Mapping) or not set(item) <= {"tool", "pattern", "answer"}:
        raise WrongValue("an object with tool, pattern and answer", item, at)
    return PermissionRule(
        _read_at(name, item.get("tool"), f"{at}.tool"),
        _read_at(pattern, item.get("pattern"), f"{at}.pattern"),
        _read_at(_answer, item.get("answer"), f"{at}.answer"),
    )


def _answer(value: object) -> Answer:
    if isinstance(value, str) and value in list(Answer):
        return Answer(value)
    raise WrongValue("allow, ask or deny", value)


@attrs.frozen
class Price:
    """What the models whose name matches `model` (a pattern with `*`) cost, in US dollars per
    million tokens of each kind.
    """

    model: str = attrs.field(converter=name)
    input: float
    output: float
    cache_read: float
    cache_write: float


def prices(value: object) -> tuple[Price, ...]:
    """Read the list of prices, all of it or nothing: the first that matches a model counts, so
    leaving one out would give its models another's price.
    """
    if value == {}:
        return ()
    if not isinstance(value, list | tuple):
        raise WrongValue("a list of {model, input, output, cacheRead, cacheWrite}", value)
    return tuple(_price(item, f"[{index}]") for index, item in enumerate(value))


def _price(item: object, at: str) -> Price:
    if isinstance(item, Price):
        return item
    members = {"model", "input", "output", "cacheRead", "cacheWrite"}
    if not isinstance(item, Mapping) or set(item) != members:
        raise WrongValue("an object with model, input, output, cacheRead and cacheWrite", item, at)
    dollars = number(0, 1_000_000)
    return Price(
        _read_at(name, item["model"], f"{at}.model"),
        input=_read_at(dollars, item["input"], f"{at}.input"),
        output=_read_at(dollars, item["output"], f"{at}.output"),
        cache_read=_read_at(dollars, item["cacheRead"], f"{at}.cacheRead"),
        cache_write=_read_at(dollars, item["cacheWrite"], f"{at}.cacheWrite"),
    )


class Method(StrEnum):
    """The first step that a compaction tries; the others follow when it does not hold.

    The API's own compaction, where the model has it; a summary that a model writes; a digest made
    without a model.
    """

    API = "api"
    SUMMARY = "summary"
    LOCAL = "local"


def method(value: object) -> Method:
    """Read the name of a method of compaction."""
    if isinstance(value, str) and value in list(Method):
        return Method(value)
    raise WrongValue("api, summary or local", value)


class Continue(StrEnum):
    """What becomes of a turn that a restart interrupted: it goes on, or waits for a person."""

    ALWAYS = "always"
    ASK = "ask"


def continue_interrupted(value: object) -> Continue:
    """Read what becomes of an interrupted turn."""
    if isinstance(value, str) and value in list(Continue):
        return Continue(value)
    raise WrongValue("always or ask", value)


def _read_at(read: Reader[T], value: object, at: str) -> T:
    try:
        return read(value)
    except WrongValue as wrong:
        raise WrongValue(wrong.expected, wrong.value, at) from wrong


def absolute_path(value: str) -> Path:
    """Return an absolute path; `~` is the home directory. Touches no file."""
    try:
        if value.isprintable():
            return Path(value).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # a working directory that is gone, no such user
        raise WrongValue("a path that can be resolved", value) from error
    raise WrongValue("a path without line ends or control characters", value)


def sqlite_path(url: str) -> Path:
    """Read a store's address: `sqlite:///a/b.db` is the file `/a/b.db`; none are relative.

    An address of another kind may hold a password, so no part of it but its scheme is shown.
    """
    scheme, _, rest = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        raise WrongValue(
            "sqlite:///PATH, as PostgreSQL is not supported yet (unset it, or name a file)",
            f"{scheme}://…",
        )
    path = "/" + unquote(rest).lstrip("/")
    if scheme != "sqlite" or not rest.startswith("/") or path.endswith("/"):
        raise WrongValue("sqlite:///PATH with the absolute path of a file", HIDDEN)
    # On Windows the first slash belongs to the address, not to the drive: sqlite:///C:/a.db.
    return absolute_path(path[1:] if re.match(r"/[A-Za-z]:/", path) else path)


def shown(value: object) -> str:
    """Return a value as a person may see it: short, and never what may be a key or password."""
    match value:
        case str() if value == HIDDEN or _MAY_HOLD_A_SECRET.search(value):
            return HIDDEN
        case str():
            return f'"{clipped(value)}"'
        case bool() | None:
            return encoding.encode(value)
        case int() if abs(value) >= 10**18:
            return "a huge number"
        case int() | float():
            return str(value)
        case list() | tuple():
            return "a list"
        case _:
            return "an object"


def clipped(text: str) -> str:
    """Return text fit for one line of a message: printable, at most `SHOWN_CHARS_MAX` long."""
    start = text[:SHOWN_CHARS_MAX]
    line = "".join(c if c.isprintable() else encoding.REPLACEMENT for c in start)
    return line if len(text) <= SHOWN_CHARS_MAX else f"{line}…"
