"""A client that knows only the three operations on items, as docs/protocol.md describes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class DumbClient:
    """Takes items and changes as values or as the JSON that they are on the wire."""

    def __init__(self, page: Iterable[Any], seq: int = 0) -> None:
        self.items: list[dict[str, Any]] = _json(page)
        self.seq = seq  # What it says when it attaches again.

    def apply(self, changes: Iterable[Any], seq: int = 0) -> None:
        for change in _json(changes):
            match change["op"]:
                case "put":
                    self._put(change["item"], change.get("after"))
                case "append":
                    place = self._place(change["id"])
                    if place is not None:
                        self.items[place]["text"] += change["text"]
                case "remove":
                    self.items = [item for item in self.items if item["id"] != change["id"]]
        self.seq = seq

    def _put(self, item: dict[str, Any], after: str | None) -> None:
        place, before = self._place(item["id"]), self._place(after)
        if place is not None:
            self.items[place] = item
        elif after is None:
            self.items.append(item)
        elif after != item["id"]:  # Else it is of a page that was not loaded.
            self.items.insert(0 if before is None else before + 1, item)

    def _place(self, item_id: str | None) -> int | None:
        return next((i for i, item in enumerate(self.items) if item["id"] == item_id), None)


def _json(values: Iterable[Any]) -> list[dict[str, Any]]:
    return list(msgspec.json.decode(msgspec.json.encode(list(values))))
