"""Flaws: what one block breaks by itself, wherever it stands.

Law: a flaw depends on the block, its role and the profile only, never on its neighbours, so a
message that is in order by itself stays so. A position turns a flaw into a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

import attrs

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import Profile

Scope: TypeAlias = Literal["block", "message", "history"]


@attrs.frozen
class Flaw:
    """A broken rule of one block. `text` follows the position that `scope` asks for."""

    rule: str
    text: str
    scope: Scope = "block"
    ids: tuple[str, ...] = ()

    def at(self, message: int, block: int) -> Finding:
        """Return the finding for a block at a position, in the API's words."""
        prefix = {
            "block": f"messages.{message}.content.{block}",
            "message": f"messages.{message}",
            "history": "messages",
        }[self.scope]
        return Finding(self.rule, message, block, prefix + self.text, self.ids)


Inspect: TypeAlias = Callable[[Block, Role, Profile], tuple[Flaw, ...]]


def findings(history: History, profile: Profile, inspect: Inspect) -> Iterator[Finding]:
    """Yield what `inspect` says about every block of a history, in order."""
    for number, message in enumerate(history):
        for position, block in enumerate(message.blocks):
            for flaw in inspect(block, message.role, profile):
                yield flaw.at(number, position)


def quoted(names: Iterable[str]) -> str:
    """Return names as the API lists them: quoted, sorted, separated by commas."""
    return ", ".join(f"'{name}'" for name in sorted(names))
