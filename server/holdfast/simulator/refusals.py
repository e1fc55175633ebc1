"""What the simulator says when it refuses a request.

Law: a refusal is one rule id, one status, one type and one text. The texts are data (`wordings`),
kept apart from the code that finds the fault, so that a test can compare them word for word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.simulator.wordings import WORDINGS


@dataclass(eq=False)
class Refusal(Exception):
    """A request that the API does not accept, by rule `rule` of the specification."""

    rule: str
    status: int
    type: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"

    def body(self, request_id: str | None) -> dict[str, Any]:
        """Return the JSON body of the answer, in the API's error shape."""
        return error_body(self.type, self.message, request_id, self.details)


def error_body(
    error_type: str, message: str, request_id: str | None, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the API's error object (§0). `details` is left out when there is nothing in it."""
    error: dict[str, Any] = {"type": error_type, "message": message}
    if details:
        error["details"] = dict(details)
    return {"type": "error", "error": error, "request_id": request_id}


def refuse(rule: str, *, details: Mapping[str, Any] | None = None, **filling: object) -> Refusal:
    """Return the refusal of rule `rule` with its placeholders filled.

    Raises `KeyError` for an unknown rule or a placeholder without a value: both are our mistakes.
    """
    wording = WORDINGS[rule]
    text = wording.text
    for name, value in filling.items():
        # Not `str.format`: the canonical texts hold literal braces and quotes of their own.
        if f"{{{name}}}" not in text:
            raise KeyError(f"{rule} has no placeholder {name}")
        text = text.replace(f"{{{name}}}", str(value))
    merged = dict(details or {})
    if wording.error_code is not None:
        merged = {"error_code": wording.error_code, **merged}
    return Refusal(rule, wording.status, wording.type, text, merged)
