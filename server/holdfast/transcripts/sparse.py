"""A history of which only those messages are whole that a repair looks into.

Law: what the rules find in it, and what a repair makes of it, is what they would find in and make
of the whole one. Every message that a repair names or changes is whole, so no shortened string
comes into what is written. Memory follows the damage, not the words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

import attrs

from holdfast.conversation.findings import Finding, RepairStep
from holdfast.conversation.history import Block, History, Message, user
from holdfast.conversation.media import media_of
from holdfast.conversation.profile import ANY_TOOLS
from holdfast.conversation.repair import Repaired, repair
from holdfast.conversation.rules import validate
from holdfast.conversation.rules.media import totals
from holdfast.media import fitting
from holdfast.transcripts.index import gc_paused
from holdfast.transcripts.opened import Opened
from holdfast.transcripts.skeleton import Skeleton

NEXT: Final = user("The next prompt.", origin="the next prompt")
"""A session goes on with a prompt, so how a history ends is judged with one behind it."""
PROFILE: Final = attrs.evolve(ANY_TOOLS, image_bytes_max=5 * 1024 * 1024)
"""Claude Code sends no image with more base64 than this, though the API takes more (R61)."""
UNBOUNDED: Final = attrs.evolve(PROFILE, body_bytes_max=sys.maxsize)
"""The same without a limit for the body, whose size is counted apart (R7)."""
MEDIA_RULES: Final = ("R59", "R60", "R61")
"""What a picture breaks that could be made such that the API takes it."""
BESIDE: Final = (-1, 0, 1, 2)
"""A message is mostly mended where it stands, or beside: these are read at once."""


@attrs.define(eq=False, slots=False)
class Sparse:
    """The active branch of a transcript, to be judged and mended.

    `wholes` are the messages that were read, by their number; `fitted` those of them whose pictures
    were made such that the API takes them.
    """

    opened: Opened
    wholes: dict[int, Message] = attrs.field(factory=dict)
    fitted: dict[int, Message] = attrs.field(factory=dict)
    _mended: dict[frozenset[str], Repaired] = attrs.field(factory=dict)
    _hidden: tuple[int, ...] = attrs.field(init=False)
    _numbers: dict[str, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read what the rules about bytes need: messages with media that are too large."""
        said = self.opened.said
        self._hidden = tuple(sum(map(_hidden, each.message.blocks)) for each in said)
        self._numbers = {each.message.origin: number for number, each in enumerate(said)}
        self.load(
            number
            for number, each in enumerate(said)
            if any(size > PROFILE.image_bytes_max for size in _media(each.message))
        )

    def load(self, numbers: Iterable[int]) -> None:
        """Read some messages. Raises `OSError`."""
        for number in numbers:
            if number not in self.wholes and number < len(self.opened.said):
                self.wholes[number] = self.opened.whole(self.opened.said[number])

    def message(self, number: int) -> Message:
        """Return a message as it stands in the file; whole when it was read."""
        return self.wholes.get(number) or self.opened.said[number].message

    def number(self, origin: str) -> int | None:
        """Return the number of the message that has an origin."""
        return self._numbers.get(origin)

    @property
    def history(self) -> History:
        """The messages, with the next prompt behind them."""
        numbers = range(len(self.opened.said))
        return (*(self.fitted.get(number) or self.message(number) for number in numbers), NEXT)

    @cached_property
    def broken(self) -> tuple[Finding, ...]:
        """What the rules find in the messages as they stand in the file."""
        history = (*map(self.message, range(len(self.opened.said))), NEXT)
        with gc_paused():
            found = validate(history, UNBOUNDED)
        return (*self._body_size(), *found)

    def _body_size(self) -> Iterator[Finding]:
        """Yield R7, which is counted by the sizes that the skeletons have noted."""
        in_memory = totals(tuple(each.message for each in self.opened.said)).bytes
        if in_memory + sum(self._hidden) > PROFILE.body_bytes_max:
            yield Finding("R7", None, None, "Request exceeds the maximum size")

    def mended(self, open_ids: frozenset[str] = frozenset()) -> Repaired:
        """Return the history repaired; `open_ids` are calls that stay as they are.

        Raises `OSError`.
        """
        if open_ids not in self._mended:
            with gc_paused():
                self._mended[open_ids] = self._repaired(open_ids)
        return self._mended[open_ids]

    def _repaired(self, open_ids: frozenset[str]) -> Repaired:
        steps = tuple(self._fit_media())
        profile = UNBOUNDED
        if self.has_too_large_media:
            profile = PROFILE
            self.load(range(len(self.opened.said)))
        self.load(
            max(f.message + step, 0)
            for f in self.broken
            if f.message is not None
            for step in BESIDE
        )
        while True:
            history = self.history
            done = repair(history, profile=profile, open_ids=open_ids)
            missing = self._touched(history, done) - self.wholes.keys()
            if not missing:
                return attrs.evolve(done, steps=(*steps, *done.steps))
            self.load(missing)

    @cached_property
    def has_too_large_media(self) -> bool:
        """Say whether media have to be left out for the body's size (R7), which looks at them all.

        A body that is too large by its words alone is left: it is longer than any window long
        before, and for that it is compacted, not cut.
        """
        too_large = any(found.rule == "R7" for found in self.broken)
        return too_large and any(any(_media(each.message)) for each in self.opened.said)

    def _fit_media(self) -> Iterator[RepairStep]:
        """Make pictures small that the API would refuse, rather than lose them."""
        broken = {found.message for found in self.broken if found.rule.startswith(MEDIA_RULES)}
        numbers = sorted(n for n in broken if n is not None and n < len(self.opened.said))
        self.load(numbers)
        for number in numbers:
            message = self.message(number)
            blocks = tuple(made for block in message.blocks for made in _fitted(block))
            self.fitted[number] = attrs.evolve(message, blocks=blocks)
            action = "made the pictures such that the API takes them"
            yield RepairStep("R61", message.origin, action, "the pictures")

    def _touched(self, history: History, done: Repaired) -> set[int]:
        """Return the numbers of the messages that a repair names or changes."""
        after = {message.origin: message for message in done.history}
        named = {self._numbers[s.origin] for s in done.steps if s.origin in self._numbers}
        for number in range(len(self.opened.said)):
            mended = after.get(history[number].origin)
            if mended is None or mended.blocks != history[number].blocks:
                named.add(number)
        return named


def _hidden(block: Block) -> int:
    """Return the bytes that a skeleton left out."""
    if not isinstance(block, Skeleton):
        return 0
    return block.size - len(block.raw.encode(errors="surrogatepass"))


def _media(message: Message) -> Iterator[int]:
    for block in message.blocks:
        if isinstance(block, Skeleton):
            yield from block.media


def _fitted(block: Block) -> tuple[Block, ...]:
    return fitting.fit(block) if next(media_of(block), None) is not None else (block,)
