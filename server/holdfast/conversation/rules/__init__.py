"""The rules of a Messages API history, one function for each family, and `validate`.

Law: `validate` finds nothing in a history if and only if the API's grammar accepts it, as far as
the history alone decides. The same findings are the pre-flight check, the diagnostics in the
editor and the oracle of the property tests. Rules are tried in the order in which the API
answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import attrs

from holdfast.conversation.findings import Finding
from holdfast.conversation.history import History, Message
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.rules import (
    blanks,
    cache_marks,
    ends,
    matrix,
    pairing,
    roles,
    schema,
    server_tools,
    thinking,
    unicode,
)
from holdfast.conversation.rules.flaws import Inspect

Rule: TypeAlias = Callable[[History, Profile], Iterable[Finding]]

CLEAN_MESSAGES_MAX: Final = 8192
"""Messages that are known to be in order by themselves: a few long sessions' worth."""

BLOCK_RULES: Final[Mapping[Rule, Inspect]] = {
    unicode.lone_surrogates: unicode.surrogate_flaws,
    schema.block_shapes: schema.shape_flaws,
    blanks.blank_texts: blanks.blank_flaws,
    matrix.block_roles: matrix.role_flaws,
    pairing.error_results: pairing.error_flaws,
    thinking.signatures: thinking.signature_flaws,
}
"""The rules that speak of single blocks only, and what they ask of each."""

STAGES: Final[tuple[tuple[Rule, ...], ...]] = (
    (unicode.lone_surrogates,),
    (schema.message_count, schema.block_shapes),
    (roles.first_message, roles.system_messages),
    (blanks.empty_messages, blanks.blank_texts, matrix.block_roles),
    (
        pairing.call_ids,
        pairing.call_pairs,
        server_tools.server_tool_pairs,
        pairing.error_results,
        pairing.callers,
    ),
    (ends.compactions,),
    (ends.final_message,),
    (cache_marks.cache_marks,),
    (thinking.signatures,),
)
"""The rules in the API's order. Within a stage findings come by message."""


def validate(
    history: History, profile: Profile = DEFAULT, *, open_ids: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Return every broken rule of a history, the one the API would name first in front.

    `open_ids` are calls that are still running: their missing results, and the assistant turn that
    waits for them at the end, are no findings.
    """
    skipped = BLOCK_RULES.keys() if all(is_clean(m, profile) for m in history) else set()
    stages = ([rule for rule in stage if rule not in skipped] for stage in STAGES)
    found = tuple(finding for stage in stages for finding in _of_stage(stage, history, profile))
    return tuple(_without_open(found, open_ids)) if open_ids else found


@lru_cache(maxsize=CLEAN_MESSAGES_MAX)
def is_clean(message: Message, profile: Profile) -> bool:
    """Say whether every block of a message is in order by itself; remembered for long histories."""
    return not any(
        inspect(block, message.role, profile)
        for block in message.blocks
        for inspect in BLOCK_RULES.values()
    )


def _of_stage(stage: Sequence[Rule], history: History, profile: Profile) -> list[Finding]:
    found = [finding for rule in stage for finding in rule(history, profile)]
    return sorted(found, key=lambda finding: -1 if finding.message is None else finding.message)


def _without_open(found: tuple[Finding, ...], open_ids: frozenset[str]) -> Iterator[Finding]:
    waits = any(f.rule == "R40" and not open_ids.isdisjoint(f.ids) for f in found)
    for finding in found:
        if finding.rule == "R22" and waits:
            continue
        if finding.rule != "R40" or open_ids.isdisjoint(finding.ids):
            yield finding
            continue
        missing = tuple(tool_id for tool_id in finding.ids if tool_id not in open_ids)
        if missing:
            detail = pairing.unanswered_text(finding.message or 0, missing)
            yield attrs.evolve(finding, ids=missing, detail=detail)
