"""What a rule says about a history: findings as values, never exceptions.

Law: one finding names one rule of the API (its id in the specification, R18 ...), one position
and the API's own sentence for it. The pre-flight check, the repair passes, the editor's
diagnostics and the property tests all speak of the same findings.
"""

from __future__ import annotations

from enum import StrEnum

import attrs


class Severity(StrEnum):
    """How bad a finding is: `ERROR` is refused by the API, `WARNING` is accepted but harmful."""

    ERROR = "error"
    WARNING = "warning"


@attrs.frozen
class Finding:
    """A broken rule at a position of a history.

    `message` and `block` are zero-based indices, `None` when the rule speaks of the whole history
    or the whole message. `ids` are the tool use ids concerned. `detail` is the API's sentence.
    """

    rule: str
    message: int | None
    block: int | None
    detail: str
    ids: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR


@attrs.frozen
class RepairStep:
    """One change that a repair made: where, by which rule, what was done and what was kept."""

    rule: str
    origin: str
    action: str
    kept: str
