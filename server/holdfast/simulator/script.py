"""Scripts: what the simulator answers, as data.

Law: a script is an ordered list of steps; the first step that matches a request and has times
left answers it; when none does, the default responder answers. A script is JSON or these same
structures in Python, and nothing in it is code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from holdfast.simulator.injected import InjectedRule, parse_rules

RequestKind: TypeAlias = Literal["messages", "count_tokens", "models", "any"]


class ScriptError(ValueError):
    """A script that cannot be read; the text says where and why."""


class TextItem(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    """A text block, streamed in pieces of `chunk` characters.

    `{last_user}` in the text stands for the last user text of the request.
    """

    text: str
    chunk: int = 24


class ThinkingItem(msgspec.Struct, frozen=True, tag="thinking", forbid_unknown_fields=True):
    """A signed thinking block. Without text it is an omitted one: the signature alone."""

    text: str = ""
    chunk: int = 24


class RedactedThinkingItem(
    msgspec.Struct, frozen=True, tag="redacted_thinking", forbid_unknown_fields=True
):
    """A redacted thinking block, whole in its start event."""


class ToolUseItem(msgspec.Struct, frozen=True, tag="tool_use", forbid_unknown_fields=True):
    """A call of a client tool. `id` is made up when it is empty.

    `raw_input` is sent as the input's JSON text whatever it holds, instead of `input`.
    """

    name: str
    input: dict[str, Any] = {}
    id: str = ""
    raw_input: str | None = None
    chunk: int = 16


class ServerToolUseItem(
    msgspec.Struct, frozen=True, tag="server_tool_use", forbid_unknown_fields=True
):
    """A call of a server tool, left pending unless a `block` item brings its result."""

    name: str = "web_search"
    input: dict[str, Any] = {}
    id: str = ""


class BlockItem(msgspec.Struct, frozen=True, tag="block", forbid_unknown_fields=True):
    """Any block, sent as it is, whole in its start event."""

    block: dict[str, Any]


Item: TypeAlias = (
    TextItem | ThinkingItem | RedactedThinkingItem | ToolUseItem | ServerToolUseItem | BlockItem
)


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a step answers: all conditions that are given must hold.

    The `contains` conditions look at text: `last_user` at the texts of the last user turn,
    `last_result` at its tool results, `body` at the whole body as it was sent. `body_bytes_over`
    is what a gateway or a tier of an account may go by: how large the body is.
    """

    kind: RequestKind = "messages"
    last_user_contains: str | None = None
    last_result_contains: str | None = None
    body_contains: str | None = None
    body_bytes_over: int | None = None
    system_contains: str | None = None
    model: str | None = None
    has_tools: bool | None = None
    has_tool_results: bool | None = None
    has_compaction: bool | None = None
    stream: bool | None = None


class Respond(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer. Times in milliseconds: `delay_ms` before the headers, `per_delta_ms` per delta.

    `stop_reason` is inferred when it is not given; `usage` overrides single numbers.
    `input_tokens` answers `count_tokens`.
    """

    content: tuple[Item, ...] = ()
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None
    stop_sequence: str | None = None
    delay_ms: float = 0
    per_delta_ms: float = 0
    usage: dict[str, Any] = {}
    headers: dict[str, str] = {}
    input_tokens: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault by its name (see `faults.FAULTS`), with its parameters.

    Which parameters count depends on the fault: `after_events` says how many stream events come
    before it, `hold_ms` how long a silence is held, `interval_ms` the pause between pings or
    dripped bytes. The others replace parts of an error answer.
    """

    name: str
    after_events: int | None = None
    hold_ms: float | None = None
    interval_ms: float | None = None
    status: int | None = None
    type: str | None = None
    message: str | None = None
    error_code: str | None = None
    html: bool | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None
    headers: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: who is meant, how often (None: for ever), and what is answered.

    With `respond` and `fault` both, the fault happens to that answer. With neither, the default
    responder answers.
    """

    label: str = ""
    match: Match = Match()
    times: int | None = 1
    respond: Respond | None = None
    fault: Fault | None = None


class Script(msgspec.Struct, frozen=True):
    """An ordered list of steps, and the rules that hold with them (see `injected`).

    `rules` None leaves those alone that are in force when the script is taken.
    """

    steps: tuple[Step, ...] = ()
    rules: tuple[InjectedRule, ...] | None = None

    @classmethod
    def of(cls, *steps: Step) -> Script:
        """Make a script from steps."""
        return cls(tuple(steps))

    @classmethod
    def parse(cls, data: Any) -> Script:
        """Read JSON data: a list of steps or `{"steps": [...], "rules": [...]}`.

        Raises `ScriptError`.
        """
        given = data if isinstance(data, dict) else {"steps": data}
        rules = given.get("rules")
        try:
            steps = msgspec.convert(given.get("steps", [] if rules else None), tuple[Step, ...])
            return cls(steps, None if rules is None else parse_rules(rules))
        except msgspec.ValidationError as error:
            raise ScriptError(f"the script cannot be read: {error}") from error

    @classmethod
    def parse_json(cls, text: str | bytes) -> Script:
        """Read JSON text. Raises `ScriptError`."""
        try:
            data = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ScriptError(f"the script is not JSON: {error}") from error
        return cls.parse(data)

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a script file. Raises `ScriptError`, or `OSError` when it cannot be opened."""
        return cls.parse_json(path.read_bytes())


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `Match` looks at in a request."""

    kind: RequestKind
    last_user: str = ""
    last_result: str = ""
    body: str = ""
    body_bytes: int = 0
    system: str = ""
    model: str = ""
    has_tools: bool = False
    has_tool_results: bool = False
    has_compaction: bool = False
    stream: bool = False


def matches(match: Match, facts: Facts) -> bool:
    """Tell whether a request with these facts is meant by `match`."""
    contained = (
        (match.last_user_contains, facts.last_user),
        (match.last_result_contains, facts.last_result),
        (match.body_contains, facts.body),
        (match.system_contains, facts.system),
    )
    equal: tuple[tuple[object, object], ...] = (
        (match.model, facts.model),
        (match.has_tools, facts.has_tools),
        (match.has_tool_results, facts.has_tool_results),
        (match.has_compaction, facts.has_compaction),
        (match.stream, facts.stream),
    )
    small = match.body_bytes_over is not None and facts.body_bytes <= match.body_bytes_over
    return (
        match.kind in (facts.kind, "any")
        and not small
        and all(wanted is None or wanted in text for wanted, text in contained)
        and all(wanted is None or wanted == value for wanted, value in equal)
    )


class Player:
    """A script being played: it remembers how often each step was taken."""

    def __init__(self, script: Script) -> None:
        self._steps: list[tuple[Step, int]] = []
        self.append(script.steps)

    def append(self, steps: Sequence[Step]) -> None:
        """Add steps behind those that are there."""
        self._steps.extend((step, 0) for step in steps)

    def replace(self, steps: Sequence[Step]) -> None:
        """Forget all steps and take these."""
        self._steps.clear()
        self.append(steps)

    def take(self, facts: Facts) -> Step | None:
        """Return the first step that matches and has times left, and use it up once."""
        for index, (step, taken) in enumerate(self._steps):
            left = step.times is None or taken < step.times
            if left and matches(step.match, facts):
                self._steps[index] = (step, taken + 1)
                return step
        return None

    @property
    def unused(self) -> list[Step]:
        """The steps that were never taken."""
        return [step for step, taken in self._steps if taken == 0]
