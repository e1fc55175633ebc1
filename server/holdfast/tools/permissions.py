"""May this call run? Pure: rules in, answer out.

Law: the last matching rule wins, except that a "deny" of the settings is never overruled by what a
person allowed during a session: an answer given in haste must not undo a considered rule. Without
a rule, tools that only read are allowed and tools that change something ask (P11).

`tool` and `pattern` are globs (`*`, `?`, `[…]`) over the tool's name and its target: the path
relative to the workspace, or the command line. `*` also matches `/`; `**/` may match nothing.
Two leanings to the safe side:

- "deny" and "ask" ignore case, as `.ENV` is `.env` on most disks; "allow" does not.
- In an "allow" for `run`, a wildcard never stands for a shell operator: `git *` does not allow
  `git status; rm -rf .`. Only the bare patterns `*` and `**` allow every command.

Denying commands by pattern is a hint to the model, not a fence: a shell has many spellings.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import attrs

RUN: Final = "run"
EVERYTHING: Final = ("*", "**")
SHELL_OPERATORS: Final = ";&|<>()`$\n\r"


class Answer(StrEnum):
    """What becomes of a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@attrs.frozen
class Rule:
    """One permission rule, of the settings or granted by a person ("allow always")."""

    tool: str
    pattern: str
    answer: Answer

    def matches(self, tool: str, target: str) -> bool:
        """Say whether the rule speaks about this call."""
        if self.answer is not Answer.ALLOW:
            return _glob(tool.lower(), self.tool.lower()) and _glob_target(
                tool, target.lower(), self.pattern.lower()
            )
        if tool == RUN and self.pattern not in EVERYTHING and _hides_operator(target, self.pattern):
            return False
        return _glob(tool, self.tool) and _glob_target(tool, target, self.pattern)


def decide(
    tool: str, target: str, rules: Sequence[Rule], mutates: bool, granted: Sequence[Rule] = ()
) -> Answer:
    """Return what becomes of a call of `tool` on `target`.

    `rules` are the settings in their order, `granted` what a person allowed in this session.
    """
    by_settings = _last(rules, tool, target)
    if by_settings is Answer.DENY:
        return Answer.DENY
    default = Answer.ASK if mutates else Answer.ALLOW
    return _last(granted, tool, target) or by_settings or default


def _last(rules: Iterable[Rule], tool: str, target: str) -> Answer | None:
    found = None
    for rule in rules:
        if rule.matches(tool, target):
            found = rule.answer
    return found


def _glob(text: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(text, pattern)


def _glob_target(tool: str, target: str, pattern: str) -> bool:
    if _glob(target, pattern):
        return True
    return tool != RUN and "**/" in pattern and _glob(target, pattern.replace("**/", ""))


def _hides_operator(command: str, pattern: str) -> bool:
    """Say whether a wildcard would have to stand for a shell operator."""
    return any(command.count(sign) != pattern.count(sign) for sign in SHELL_OPERATORS)
