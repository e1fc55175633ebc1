"""What the fold of items remembers besides the list: what is open, and who it belongs to.

Law: data only. Everything here is found from the journal alone; a copy shares nothing that changes.
"""

from __future__ import annotations

import attrs
import msgspec

from holdfast.session import events as ev
from holdfast.session.failures import Failure
from holdfast.session.items.listing import ItemList
from holdfast.session.items.shapes import Item


@attrs.define
class OpenBlock:
    """A block that is arriving. `shown`: it has an item, which began with the record `seq`.

    `blank` is text that shows nothing yet.
    """

    kind: str
    began_ms: int
    name: str = ""
    shown: bool = False
    seq: int = 0
    blank: str = ""


@attrs.define
class OpenResponse:
    """A response that is arriving. `key` is the record that began it, `model` who answers."""

    key: str
    model: str
    blocks: dict[int, OpenBlock] = attrs.Factory(dict)
    anything: bool = False

    def copy(self) -> OpenResponse:
        """Return an independent copy."""
        blocks = {index: attrs.evolve(block) for index, block in self.blocks.items()}
        return attrs.evolve(self, blocks=blocks)


@attrs.frozen
class Trouble:
    """A request that fails: its notice, the newest failure, and how often it failed."""

    item_id: str
    failure: Failure
    attempts: int


@attrs.frozen
class Compaction:
    """A compaction: what it started from, its result, and what went wrong on the way."""

    started: ev.CompactionStarted
    prepared: ev.CompactionPrepared | None = None
    failures: tuple[str, ...] = ()


@attrs.define
class ItemsState:
    """A session as items. Owned and changed by `Items`; everyone else reads.

    `in_force` and `undone` are compactions with their notices, the newest last.
    """

    session_id: str
    items: ItemList = attrs.Factory(ItemList)
    seq: int = 0
    folder: str = ""
    turn_id: str | None = None
    prompt_id: str | None = None
    response: OpenResponse | None = None
    prompts: dict[str, str] = attrs.Factory(dict)
    calls: dict[str, str] = attrs.Factory(dict)
    questions: dict[str, str] = attrs.Factory(dict)
    trouble: Trouble | None = None
    pause: str | None = None
    refused: str | None = None
    cap: str | None = None
    compactions: dict[str, Compaction] = attrs.Factory(dict)
    in_force: list[tuple[str, str]] = attrs.Factory(list)
    undone: list[tuple[str, str]] = attrs.Factory(list)
    repairs: dict[str, str] = attrs.Factory(dict)

    def copy(self) -> ItemsState:
        """Return an independent copy without changes."""
        return attrs.evolve(
            self,
            items=self.items.copy(),
            response=None if self.response is None else self.response.copy(),
            prompts=dict(self.prompts),
            calls=dict(self.calls),
            questions=dict(self.questions),
            compactions=dict(self.compactions),
            in_force=list(self.in_force),
            undone=list(self.undone),
            repairs=dict(self.repairs),
        )

    def change(self, item: Item, **members: object) -> None:
        """Put an item again with other members."""
        self.items.put(msgspec.structs.replace(item, **members))
