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
    media,
    pairing,
    roles,
    schema,
    server_tools,
    thinking,
    tool_changes,
    unicode,
)
from holdfast.conversation.rules.flaws import Inspect
from holdfast.conversation.rules.growth import extends_valid, remember
from holdfast.conversation.rules.traits import Trait, is_paired, is_plain, traits

Rule: TypeAlias = Callable[[History, Profile], Iterable[Finding]]

CLEAN_MESSAGES_MAX: Final = 8192
"""Messages that are known to be in order by themselves: a few long sessions' worth."""

BLOCK_RULES: Final[Mapping[Rule, Inspect]] = {
    unicode.lone_surrogates: unicode.surrogate_flaws,
    schema.block_shapes: schema.shape_flaws,
    blanks.blank_texts: blanks.blank_flaws,
    matrix.system_blocks: matrix.system_flaws,
    matrix.block_roles: matrix.conversation_flaws,
    cache_marks.mark_shapes: cache_marks.mark_flaws,
    media.media_shapes: media.media_flaws,
    pairing.error_results: pairing.error_flaws,
    thinking.signatures: thinking.signature_flaws,
}
"""The rules that speak of single blocks only, and what they ask of each."""

STAGES: Final[tuple[tuple[Rule, ...], ...]] = (
    (media.body_size,),
    (unicode.lone_surrogates,),
    (schema.message_count, schema.block_shapes, cache_marks.mark_shapes),
    (roles.first_message, roles.alternation),
    (roles.system_after,),
    (roles.system_before,),
    (roles.system_contents, matrix.system_blocks),
    (roles.system_role,),
    (tool_changes.tool_changes,),
    (blanks.empty_messages, blanks.blank_texts, matrix.block_roles),
    (media.media_shapes, media.many_images, media.media_counts),
    (
        pairing.call_ids,
        pairing.call_pairs,
        server_tools.server_tool_pairs,
        pairing.error_results,
        pairing.callers,
        pairing.toolset_results,
        pairing.code_calls,
    ),
    (ends.compactions,),
    (ends.final_message, thinking.leading_thinking),
    (cache_marks.cache_marks,),
    (thinking.signatures,),
)
"""The rules in the API's order. Within a stage findings come by message."""


NEEDS: Final[Mapping[Rule, Trait]] = {
    roles.system_after: Trait.SYSTEM,
    roles.system_before: Trait.SYSTEM,
    roles.system_contents: Trait.SYSTEM,
    roles.system_role: Trait.SYSTEM,
    tool_changes.tool_changes: Trait.TOOL_CHANGE,
    media.many_images: Trait.MEDIA,
    media.media_counts: Trait.MEDIA,
    server_tools.server_tool_pairs: Trait.SERVER_TOOL,
    pairing.callers: Trait.CALLER,
    pairing.code_calls: Trait.CALLER,
    pairing.toolset_results: Trait.TOOLSET,
    ends.compactions: Trait.COMPACTION,
    cache_marks.cache_marks: Trait.MARK,
}
"""The rules that have nothing to say where no message has a trait."""

PAIR_ORDER: Final[Mapping[str, int]] = {
    rule: place
    for place, rule in enumerate(("R44", "R40", "R51", "R52", "R55", "R42", "R43", "R48"))
}
"""How the API answers within one turn. What is not named comes last."""


def validate(
    history: History, profile: Profile = DEFAULT, *, open_ids: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Return every broken rule of a history, the one the API would name first in front.

    `open_ids` are calls that are still running: their missing results, and the assistant turn that
    waits for them at the end, are no findings.
    """
    if not open_ids and extends_valid(history, profile, lambda tail: not _found(tail, profile)):
        return ()
    found = _found(history, profile)
    if not found:
        remember(history, profile)
    return tuple(_without_open(found, open_ids)) if open_ids else found


def _found(history: History, profile: Profile) -> tuple[Finding, ...]:
    skipped: set[Rule] = set()
    if all(is_clean(message, profile) for message in history):
        skipped.update(BLOCK_RULES)
    present = frozenset[Trait]().union(*(traits(message).found for message in history))
    skipped.update(rule for rule, trait in NEEDS.items() if trait not in present)
    if Trait.SERVER_TOOL not in present and is_paired(history):
        skipped.update((pairing.call_ids, pairing.call_pairs))
    stages = ([rule for rule in stage if rule not in skipped] for stage in STAGES)
    return tuple(finding for stage in stages for finding in _of_stage(stage, history, profile))


@lru_cache(maxsize=CLEAN_MESSAGES_MAX)
def is_clean(message: Message, profile: Profile) -> bool:
    """Say whether every block of a message is in order by itself; remembered for long histories."""
    return not any(
        inspect(block, message.role, profile)
        for block in message.blocks
        if not is_plain(block, message.role, profile)
        for inspect in BLOCK_RULES.values()
    )


def _of_stage(stage: Sequence[Rule], history: History, profile: Profile) -> list[Finding]:
    found = [finding for rule in stage for finding in rule(history, profile)]
    if stage and stage[0] is pairing.call_ids:
        return sorted(found, key=_by_turn(history))
    return sorted(found, key=lambda finding: -1 if finding.message is None else finding.message)


def _by_turn(history: History) -> Callable[[Finding], tuple[int, int]]:
    """Order findings about pairs as the API does: turn by turn, and in each by `PAIR_ORDER`."""
    starts: list[int] = []
    for number, message in enumerate(history):
        same = number > 0 and history[number - 1].role == message.role
        starts.append(starts[-1] if same else number)
    return lambda found: (starts[found.message or 0], PAIR_ORDER.get(found.rule, len(PAIR_ORDER)))


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
