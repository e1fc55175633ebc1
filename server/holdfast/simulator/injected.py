"""Rules that a test injects: a refusal that no client has seen before.

Law: an injected rule speaks of the messages alone, holds for messages and `count_tokens` alike
until it is withdrawn, and is looked at after all rules of the API, so that what it refuses would
have been accepted without it. A rule is data: what it finds, and what it says.

In a script file: `{"steps": [...], "rules": [{"text": "x-ray", "message": "not today"}]}`. On a
running simulator: `Simulator.inject`, or `POST /_simulator/rules` with one rule or a list,
`GET` for those in force and `DELETE /_simulator/rules` (`?name=...` for one) to withdraw them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from holdfast.simulator.refusals import Refusal
from holdfast.simulator.rules.request import JsonObject, Located, located_blocks

Position: TypeAlias = Literal["none", "message", "block"]


class InjectedRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule: a block that fulfils all given conditions is refused.

    What it finds: `text` in any string of the block, keys included, whatever block it is in;
    `block_type` and `role` by name; `message_index` counts from zero, or from the end when it is
    negative; `messages_over` only in requests of more messages than that. Without a condition on
    blocks, `messages_over` speaks of the whole request.

    What it says: `message`, in which `{i}` and `{j}` stand for the position, with the path of the
    message or of the block in front when `position` asks for it. `name` is its id in the log (as
    `rule`) and for withdrawing it. With `counting` false, `count_tokens` does not know it.
    """

    name: str = "injected"
    text: str | None = None
    block_type: str | None = None
    role: str | None = None
    message_index: int | None = None
    messages_over: int | None = None
    message: str = "Something in the request is wrong"
    status: int = 400
    type: str = "invalid_request_error"
    error_code: str | None = None
    position: Position = "none"
    counting: bool = True

    def refusal(self, messages: Sequence[JsonObject]) -> Refusal | None:
        """Return how this rule refuses these messages, or None."""
        if self.messages_over is not None and len(messages) <= self.messages_over:
            return None
        if self.messages_over is not None and not self._is_about_blocks():
            return self._refused(None)
        place = next(self._found(messages), None)
        return None if place is None else self._refused(place)

    def _is_about_blocks(self) -> bool:
        given = (self.text, self.block_type, self.role, self.message_index)
        return any(condition is not None for condition in given)

    def _found(self, messages: Sequence[JsonObject]) -> Iterator[Located]:
        for i, message in enumerate(messages):
            if self.role not in (None, message["role"]):
                continue
            if self.message_index not in (None, i, i - len(messages)):
                continue
            for place in located_blocks(i, message):
                if self.block_type not in (None, place.type):
                    continue
                if self.text is None or self.text in _strings(place.data):
                    yield place

    def _refused(self, place: Located | None) -> Refusal:
        said = self.message
        if place is not None:
            said = said.replace("{i}", str(place.message)).replace("{j}", str(place.index))
            paths = {
                "none": "",
                "message": f"messages.{place.message}: ",
                "block": f"{place.path}: ",
            }
            said = paths[self.position] + said
        details = {"error_code": self.error_code} if self.error_code else {}
        return Refusal(self.name, self.status, self.type, said, details)


def _strings(block: JsonObject) -> str:
    """Return a block's strings as one text, without the escapes that JSON would need."""
    found: list[str] = []
    waiting: list[Any] = [block]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text)
            case dict() as members:
                waiting += [*members.keys(), *members.values()]
            case list() as items:
                waiting += items
    return "\0".join(found)


class InjectedRules:
    """The rules in force, in the order in which they were injected."""

    def __init__(self, rules: Sequence[InjectedRule] = ()) -> None:
        self._rules = list(rules)

    @property
    def rules(self) -> tuple[InjectedRule, ...]:
        """The rules in force."""
        return tuple(self._rules)

    def inject(self, *rules: InjectedRule) -> None:
        """Add rules behind those that are there."""
        self._rules += rules

    def withdraw(self, name: str | None = None) -> int:
        """Remove the rules of one name, or all; return how many there were."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if name not in (None, rule.name)]
        return before - len(self._rules)

    def check(self, messages: Sequence[JsonObject], *, counting: bool) -> None:
        """Raise the `Refusal` of the first rule that finds something."""
        for rule in self._rules:
            if counting and not rule.counting:
                continue
            refusal = rule.refusal(messages)
            if refusal is not None:
                raise refusal


def parse_rules(data: Any) -> tuple[InjectedRule, ...]:
    """Read one rule or a list of rules from JSON data. Raises `msgspec.ValidationError`."""
    return msgspec.convert(data if isinstance(data, list) else [data], tuple[InjectedRule, ...])
