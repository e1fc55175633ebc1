"""The list of items, and what has changed in it since it was last asked.

Law: applying `take_changes()` to what a client holds gives what the list holds. A batch has at
most one change for an item, in the order of the list, removals first; text that only grew is one
`append`. Prompts that wait in the queue stay behind everything that is said meanwhile.
"""

from __future__ import annotations

from typing import TypeVar

import attrs
import msgspec

from holdfast.session.items.shapes import (
    Append,
    Change,
    Item,
    PromptItem,
    Put,
    Remove,
    TextItem,
    ThinkingItem,
)

ItemT = TypeVar("ItemT", bound=Item)


@attrs.define
class ItemList:
    """Items in their order. Items are values: a change replaces one, only growing text is kept in
    pieces, because joining it at every delta would cost the square of its length.
    """

    _order: list[str] = attrs.Factory(list)
    _items: dict[str, Item] = attrs.Factory(dict)
    _grown: dict[str, list[str]] = attrs.Factory(dict)
    _queued: set[str] = attrs.Factory(set)
    # Since the last `take_changes`. Dicts without values are sets that keep their order.
    _fresh: set[str] = attrs.Factory(set)
    _replaced: set[str] = attrs.Factory(set)
    _appended: dict[str, list[str]] = attrs.Factory(dict)
    _removed: dict[str, None] = attrs.Factory(dict)

    def copy(self) -> ItemList:
        """Return an independent list with the same items and no changes."""
        grown = {item_id: list(parts) for item_id, parts in self._grown.items()}
        return ItemList(list(self._order), dict(self._items), grown, set(self._queued))

    # -- changing --------------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Replace the item with this id, or insert it: a queued prompt at the end, anything else
        before the prompts that are queued there.
        """
        known = item.id in self._items
        self._items[item.id] = item
        (self._queued.add if is_queued(item) else self._queued.discard)(item.id)
        if known:
            self._grown.pop(item.id, None)
            self._appended.pop(item.id, None)
            if item.id not in self._fresh:
                self._replaced.add(item.id)
            return
        self._fresh.add(item.id)
        self._order.insert(len(self._order) if is_queued(item) else self._end_of_said(), item.id)

    def append(self, item_id: str, text: str) -> None:
        """Add to the text of a text or thinking item; one that is not there has no text."""
        if item_id not in self._items:
            return
        self._grown.setdefault(item_id, []).append(text)
        if item_id not in self._fresh and item_id not in self._replaced:
            self._appended.setdefault(item_id, []).append(text)

    def remove_from(self, item_id: str) -> None:
        """Remove an item and everything behind it but the queue."""
        if item_id not in self._items:
            return
        start = self._position(item_id)
        gone = [i for i in self._order[start:] if i == item_id or i not in self._queued]
        kept = [i for i in self._order[start:] if i != item_id and i in self._queued]
        self._order[start:] = kept
        for removed in gone:
            del self._items[removed]
            self._queued.discard(removed)
            self._grown.pop(removed, None)
            self._appended.pop(removed, None)
            self._replaced.discard(removed)
            if removed in self._fresh:
                self._fresh.remove(removed)
            else:
                self._removed[removed] = None

    # -- reading ---------------------------------------------------------------------------------

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def get(self, item_id: str, kind: type[ItemT]) -> ItemT | None:
        """Return an item, whole, if it is there and of this kind."""
        item = self._whole(item_id) if item_id in self._items else None
        return item if isinstance(item, kind) else None

    def page(self, limit: int, before: str | None = None) -> tuple[list[Item], bool]:
        """Return the newest `limit` items, or those before an item, oldest first, and whether
        there are older ones. The newest page has the whole queue on top, so that a client always
        holds what is to be sent, and the item that new ones go behind.
        """
        newest = before not in self._items
        start = end = len(self._order) if newest else self._position(before)
        queued = len(self._queued) if newest else 0
        while start > 0 and limit + queued > 0:
            start -= 1
            if newest and self._order[start] in self._queued:
                queued -= 1
            else:
                limit = max(limit - 1, 0)
        return [self._whole(item_id) for item_id in self._order[start:end]], start > 0

    def take_changes(self) -> list[Change]:
        """Return what has changed since the last time, and begin anew."""
        changes: list[Change] = [Remove(item_id) for item_id in self._removed]
        touched = {*self._fresh, *self._replaced, *self._appended}
        positions: list[int] = []
        position, last_held = len(self._order), -1
        while len(positions) < len(touched):
            position -= 1
            item_id = self._order[position]
            if item_id in touched:
                positions.append(position)
            if item_id not in self._fresh:
                last_held = max(last_held, position)
        for position in reversed(positions):
            item_id = self._order[position]
            if item_id in self._appended:
                changes.append(Append(item_id, "".join(self._appended[item_id])))
                continue
            after = None if item_id in self._fresh else item_id
            if item_id in self._fresh and 0 < position < last_held:
                after = self._order[position - 1]
            changes.append(Put(self._whole(item_id), after))
        self.forget_changes()
        return changes

    def forget_changes(self) -> None:
        """Begin anew: what the list holds now is known."""
        self._fresh.clear()
        self._replaced.clear()
        self._appended.clear()
        self._removed.clear()

    # -- places ----------------------------------------------------------------------------------

    def _end_of_said(self) -> int:
        """Return the place behind the last item that is no queued prompt; the end without one."""
        for position in range(len(self._order) - 1, -1, -1):
            if self._order[position] not in self._queued:
                return position + 1
        return len(self._order)

    def _position(self, item_id: str | None) -> int:
        """Return where an item stands. Looks from the end, where nearly everything happens."""
        position = len(self._order) - 1
        while self._order[position] != item_id:
            position -= 1
        return position

    def _whole(self, item_id: str) -> Item:
        item = self._items[item_id]
        parts = self._grown.get(item_id)
        if parts and isinstance(item, TextItem | ThinkingItem):
            return msgspec.structs.replace(item, text="".join((item.text, *parts)))
        return item


def is_queued(item: Item) -> bool:
    """Say whether an item is a prompt that waits for its turn."""
    return isinstance(item, PromptItem) and item.state == "queued"
