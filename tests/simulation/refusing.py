"""An API that refuses: what it dislikes, how it says so, and whether counting shows it.

Law: drawn from a chance of its own, so that the other parts play as they would without it. What is
disliked stays disliked, also in the kind world; only a refusal of everything passes. No person's
words are disliked: those are not mended but told.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

import attrs

from holdfast.conversation.history import ASSISTANT, Block, Message
from holdfast.model import port
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.rungs import WITHHELD

WORDS = ("An unheard-of rule was broken", "No", "the gateway says: that is not how it is done")
RATE = 0.07
"""How often a request makes the API dislike something new."""
FOR_EVER = 0.15
"""How often it then dislikes everything of that session, until the world turns kind."""
COUNTS = (True, True, True, False)


class Stage(Protocol):
    """What an API may ask of the simulation."""

    kind: bool

    def note(self, kind: str, what: str) -> None: ...


@attrs.frozen
class Dislike:
    """A rule of the API: a block with these bytes, or with these words in it, is refused."""

    raw: str
    words: str
    says: str
    says_where: bool
    is_counted: bool

    def finds(self, block: Block) -> bool:
        return self.words in block.raw if self.words else block.raw == self.raw


class RefusingApi:
    """What one world's API refuses, by session. Without `counts` it has no `count_tokens`."""

    def __init__(self, seed: int, stage: Stage) -> None:
        self._chance = Random(f"{seed} refusals")
        self._stage = stage
        self.counts = self._chance.choice(COUNTS)
        self._dislikes: dict[str, list[Dislike]] = {}
        self._for_ever: set[str] = set()

    def sent(self, session_id: str, request: port.ModelRequest) -> Failure | None:
        """Return how a request is refused; perhaps it is the first to be."""
        if not self._stage.kind and self._chance.random() < RATE:
            self._take_against(session_id, request.messages)
        return self._refusal(session_id, request, counting=False)

    def counted(self, session_id: str, request: port.ModelRequest) -> Failure | None:
        """Return how the free count of a request is refused."""
        if not self.counts:
            return Failure(kind=FailureKind.INVALID_REQUEST, message="Not found", status=404)
        return self._refusal(session_id, request, counting=True)

    def _refusal(
        self, session_id: str, request: port.ModelRequest, *, counting: bool
    ) -> Failure | None:
        said: str | None = None
        if session_id in self._for_ever and not self._stage.kind:
            said = WORDS[0]
        for i, message in enumerate(request.messages):
            for j, block in enumerate(message.blocks):
                for dislike in self._dislikes.get(session_id, ()):
                    if said is None and dislike.finds(block):
                        where = f"messages.{i}.content.{j}: " if dislike.says_where else ""
                        said = where + dislike.says if dislike.is_counted or not counting else None
        if said is None:
            return None
        self._stage.note("refusal", f"{session_id} {'count' if counting else 'request'}: {said}")
        return Failure(kind=FailureKind.INVALID_REQUEST, message=said, status=400)

    def _take_against(self, session_id: str, messages: tuple[Message, ...]) -> None:
        chance = self._chance
        if chance.random() < FOR_EVER:
            self._for_ever.add(session_id)
            return
        tools = [b for m in messages for b in m.blocks if b.type in {"tool_use", "tool_result"}]
        said = [
            block
            for message in messages
            for block in message.blocks
            if message.role == ASSISTANT and block.type == "text" and block.raw.find(WITHHELD) < 0
        ]
        if not tools and not said:
            return
        # What only a look at every place can find is disliked only where counting shows it.
        blind = not self.counts or chance.random() < 0.2
        block = chance.choice(tools if blind and tools else (tools or said))
        if blind and block not in tools:
            return
        result = block.text_of("tool_use_id") and _words_of_result(block)
        words = result if result and not blind and chance.random() < 0.5 else ""
        dislike = Dislike(
            block.raw, words, chance.choice(WORDS), chance.random() < 0.5, is_counted=not blind
        )
        self._dislikes.setdefault(session_id, []).append(dislike)


def _words_of_result(block: Block) -> str:
    """Return the words of a result that no other block has."""
    content = block.get("content")
    first = content[0] if isinstance(content, list) and content else {}
    words = first.get("text", "") if isinstance(first, dict) else ""
    return words if words.startswith("result ") else ""
