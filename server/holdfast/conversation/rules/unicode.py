"""R5: the request body is valid JSON in valid Unicode.

Law: a lone surrogate anywhere in a block, key or value, makes the whole request unreadable for the
API (A23). Intake replaces them; this rule catches the blocks that came another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from holdfast.conversation import encoding
from holdfast.conversation.findings import Finding
from holdfast.conversation.history import Block, History, Role
from holdfast.conversation.profile import Profile
from holdfast.conversation.rules.flaws import Flaw, findings

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNREADABLE: Final = Flaw("R5", ": The request body is not valid JSON: no low surrogate in string")


def has_lone_surrogate(block: Block) -> bool:
    """Say whether a block holds half of a surrogate pair, written out or escaped."""
    if not block.raw.isascii() and _SURROGATE.search(block.raw):
        return True
    if "\\u" not in block.raw or not _SURROGATE_ESCAPE.search(block.raw):
        return False
    return bool(encoding.without_lone_surrogates(block.data) != block.data)


def lone_surrogates(history: History, profile: Profile) -> Iterable[Finding]:
    """R5: no string of the body holds a lone surrogate."""
    return findings(history, profile, surrogate_flaws)


def surrogate_flaws(block: Block, _role: Role, _profile: Profile) -> tuple[Flaw, ...]:
    """Return whether a block holds a lone surrogate."""
    return (_UNREADABLE,) if has_lone_surrogate(block) else ()
