"""The rungs of the ladder: what can be changed in a request that was refused.

Law: pure. A rung turns what was sent into what would be sent next, and says what it did and what is
kept; it changes no record. The mildest comes first, and what has no effect is no rung. No words of
a person are taken away: of the prompt that is being answered only structure is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import attrs

from holdfast.conversation import casting
from holdfast.conversation.findings import RepairStep
from holdfast.conversation.history import Block, History, Message, text
from holdfast.conversation.profile import Profile
from holdfast.conversation.quarantine import as_plain_text, quarantine
from holdfast.conversation.repair import Repaired, repair
from holdfast.session.refusals import Family, Refusal


class RepairRung(StrEnum):
    """A step of the ladder, by what it does."""

    DROP_MISMATCHED = "dropMismatchedThinking"
    STRIP_THINKING = "stripThinking"
    STUB_MEDIA = "stubMedia"
    LEAVE_OUT_TOOL = "leaveOutTool"
    STRICTER_ROLES = "stricterRoles"
    QUARANTINE = "quarantine"
    WITHHOLD = "withhold"
    PLAIN_TEXT = "plainText"
    SHRINK = "shrink"


WITHHELD: Final = (
    "[A part of the conversation that stood here is withheld: the API refuses to read it. It is "
    "kept in the session's journal; ask the person for it if it is needed.]"
)

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_MEDIA: Final = frozenset({"image", "document"})
_ROLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "R22": {"prefill_allowed": False},
    "R28": {"system_role_allowed": False},
}
"""What an endpoint wants that says such a thing (R22, R28)."""


@attrs.frozen
class Sent:
    """What a repair can change of a request. `left_out` are names of tools that are not offered."""

    history: History
    dropping: bool = False
    left_out: frozenset[str] = frozenset()


@attrs.frozen
class Change:
    """One rung, carried out. `place` names record and block, or the tool."""

    rung: RepairRung
    place: str
    before: Sent
    after: Sent
    steps: tuple[RepairStep, ...]


@attrs.frozen
class Scene:
    """What the rungs must know besides the request. `tools` are those that were sent, in order.

    `prompt_origin` is the record of the prompt that is being answered. `turns_joined`: where a
    request is made of a history, its turns are joined (R20).
    """

    profile: Profile
    tools: tuple[str, ...] = ()
    prompt_origin: str = ""
    turns_joined: bool = False


Candidates: TypeAlias = Iterator[Change]
Rewrite: TypeAlias = Callable[[int, int, Block], Iterable[Block] | None]
"""Gets message, position and block; None leaves the block be."""


def candidates(sent: Sent, refusal: Refusal, scene: Scene) -> Candidates:
    """Yield what may help against a refusal, the mildest first; nothing yielded has no effect."""
    for change in _all(sent, refusal, scene):
        if change.after != sent:
            yield change


def _all(sent: Sent, refusal: Refusal, scene: Scene) -> Candidates:
    match refusal.family:
        case Family.BINDING:
            if scene.profile.bound_thinking and scene.profile.betas_allowed and not sent.dropping:
                yield _drop_mismatched(sent, dropping=True)
            yield _without_thinking(sent, refusal.rule)
        case Family.HEADER:
            if sent.dropping:
                yield _without_thinking(attrs.evolve(sent, dropping=False), refusal.rule, sent)
        case Family.THINKING:
            yield _without_thinking(sent, refusal.rule)
        case Family.ROLES:
            yield _stricter(sent, refusal.rule, scene.profile)
        case _:
            pass
    if refusal.tool is not None:
        yield from _without_tool(sent, refusal, scene)
    at = place_of(sent.history, refusal)
    if at is None:
        return
    message, block = at
    if refusal.family is Family.MEDIA:
        yield _without_media(sent, scene.profile, refusal.rule, message, block)
    for number in _by_ids(sent.history[message], refusal.ids) if block is None else ():
        yield _quarantined(sent, scene.profile, message, number)
    yield _quarantined(sent, scene.profile, message, block)
    yield from _withheld(sent, scene, message, block)


def place_of(history: History, refusal: Refusal) -> tuple[int, int | None] | None:
    """Return message and block that a refusal names, as far as the history has them."""
    if refusal.message is None or refusal.message >= len(history):
        return None
    blocks = len(history[refusal.message].blocks)
    if refusal.block is not None and refusal.block < blocks:
        return refusal.message, refusal.block
    return (refusal.message, 0 if blocks == 1 else None) if blocks else None


def plain(sent: Sent, profile: Profile) -> Change:
    """The whole history as text; thinking goes with the structure it belongs to."""
    repaired = as_plain_text(sent.history, profile)
    return _change(RepairRung.PLAIN_TEXT, "all", sent, repaired)


def withhold(sent: Sent, scene: Scene, message: int, block: int | None) -> Change | None:
    """Take a part out of sight, or None when it is what the person has just said."""
    return next(_withheld(sent, scene, message, block), None)


def without_all_media(sent: Sent, profile: Profile, rule: str) -> Change:
    """Only name all images and documents, for want of a place."""
    return _without_media(sent, profile, rule, None, None)


# -- the rungs -------------------------------------------------------------------------------------


def _drop_mismatched(sent: Sent, *, dropping: bool) -> Change:
    step = RepairStep(
        "R72", "", "asked the API to pass over thinking that belongs to another history", "all"
    )
    after = attrs.evolve(sent, dropping=dropping)
    return Change(RepairRung.DROP_MISMATCHED, "all", sent, after, (step,))


def _without_thinking(sent: Sent, rule: str, before: Sent | None = None) -> Change:
    """Leave out all thinking: a whole chain is legal to remove, a hole in it is not (R74)."""
    step = RepairStep(rule or "R71", "", "left out the thinking of earlier answers", "all words")
    kept = (
        attrs.evolve(m, blocks=tuple(b for b in m.blocks if b.type not in _THINKING))
        if any(b.type in _THINKING for b in m.blocks)
        else m
        for m in sent.history
    )
    history = tuple(message for message in kept if message.blocks)
    after = attrs.evolve(sent, history=history)
    return Change(RepairRung.STRIP_THINKING, "all", before or sent, after, (step,))


def _stricter(sent: Sent, rule: str, profile: Profile) -> Change:
    repaired = repair(sent.history, profile=attrs.evolve(profile, **_ROLES.get(rule, {})))
    return _change(RepairRung.STRICTER_ROLES, "all", sent, repaired)


def _without_tool(sent: Sent, refusal: Refusal, scene: Scene) -> Candidates:
    index = refusal.tool
    if index is None or index >= len(scene.tools):
        return
    name = scene.tools[index]
    step = RepairStep(
        refusal.rule or "tools", "", f"left the tool {name} out: the API refuses it", "its calls"
    )
    after = attrs.evolve(sent, left_out=sent.left_out | {name})
    yield Change(RepairRung.LEAVE_OUT_TOOL, name, sent, after, (step,))


def _without_media(
    sent: Sent, profile: Profile, rule: str, message: int | None, block: int | None
) -> Change:
    def stub(index: int, number: int, found: Block) -> Iterable[Block] | None:
        here = message in {None, index} and block in {None, number}
        return (named_media(found),) if here else None

    step = RepairStep(rule or "R59", "", "only named images and documents", "their names and sizes")
    changed = _rewritten(sent.history, stub)
    mended = repair(changed, profile=profile)
    repaired = attrs.evolve(mended, steps=(step, *mended.steps))
    place = "all" if message is None else _place(sent.history, message, block)
    return _change(RepairRung.STUB_MEDIA, place, sent, repaired)


def named_media(block: Block) -> Block:
    """Return a block with its images and documents only named; the same one if it has none."""
    if block.type in _MEDIA:
        return text(casting.media_stub(block.data))
    content = block.get("content")
    if block.type != "tool_result" or not isinstance(content, list):
        return block
    items = [
        {"type": "text", "text": casting.media_stub(item)}
        if isinstance(item, dict) and item.get("type") in _MEDIA
        else item
        for item in content
    ]
    return block if items == content else Block.of({**block.data, "content": items})


def _quarantined(sent: Sent, profile: Profile, message: int, block: int | None) -> Change:
    repaired = quarantine(sent.history, message, block, profile)
    return _change(RepairRung.QUARANTINE, _place(sent.history, message, block), sent, repaired)


def _withheld(sent: Sent, scene: Scene, message: int, block: int | None) -> Candidates:
    if sent.history[message].origin == scene.prompt_origin:
        return  # A person's question is not taken away: they are asked instead.

    def hide(index: int, number: int, found: Block) -> Iterable[Block] | None:
        return _hidden(found) if index == message and block in {None, number} else None

    origin = sent.history[message].origin
    step = RepairStep("withheld", origin, "withheld a part that the API refuses", "in the record")
    mended = repair(_rewritten(sent.history, hide), profile=scene.profile)
    repaired = attrs.evolve(mended, steps=(step, *mended.steps))
    yield _change(RepairRung.WITHHOLD, _place(sent.history, message, block), sent, repaired)


def _hidden(block: Block) -> Iterable[Block]:
    if block.type in _THINKING:
        return ()
    if block.type == "tool_result":  # The call keeps its result, so that nobody calls it unknown.
        return (Block.of({**block.data, "content": WITHHELD}),)
    return (text(WITHHELD),)


# -- helpers ---------------------------------------------------------------------------------------


def _by_ids(message: Message, ids: tuple[str, ...]) -> list[int]:
    """Return the blocks of a message that a refusal names by the id of their call."""
    return [
        number
        for number, block in enumerate(message.blocks)
        if block.text_of("id") in ids or block.text_of("tool_use_id") in ids
    ]


def _rewritten(history: History, rewrite: Rewrite) -> History:
    return tuple(
        attrs.evolve(message, blocks=tuple(_blocks(message, index, rewrite)))
        for index, message in enumerate(history)
    )


def _blocks(message: Message, index: int, rewrite: Rewrite) -> Iterator[Block]:
    for number, block in enumerate(message.blocks):
        found = rewrite(index, number, block)
        yield from (block,) if found is None else found


def _place(history: History, message: int, block: int | None) -> str:
    origin = history[message].origin
    return origin if block is None else f"{origin}/{block}"


def _change(rung: RepairRung, place: str, sent: Sent, repaired: Repaired) -> Change:
    after = attrs.evolve(sent, history=repaired.history)
    return Change(rung, place, sent, after, repaired.steps)
