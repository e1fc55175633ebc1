/**
 * What the server's changes do to the items that are shown. Law: pure; an item that is not shown
 * (because it is older than what was loaded) is left alone, and nothing is shown twice.
 */

import type { Change, Item } from "../src/protocol";

/** Return `items` after `changes`; the same array when nothing changed. */
export function applyChanges(items: readonly Item[], changes: readonly Change[]): readonly Item[] {
  const next = [...items];
  let changed = false;
  for (const change of changes) changed = applyOne(next, change) || changed;
  return changed ? next : items;
}

function applyOne(items: Item[], change: Change): boolean {
  switch (change.op) {
    case "put":
      return put(items, change.item, change.after);
    case "append": {
      const at = indexOf(items, change.id);
      const item = items[at];
      if (item === undefined || (item.kind !== "text" && item.kind !== "thinking")) return false;
      items[at] = { ...item, text: item.text + change.text };
      return true;
    }
    case "remove": {
      const at = indexOf(items, change.id);
      if (at >= 0) items.splice(at, 1);
      return at >= 0;
    }
  }
}

function put(items: Item[], item: Item, after: string | undefined): boolean {
  const at = indexOf(items, item.id);
  if (at >= 0) {
    items[at] = item;
    return true;
  }
  if (after === undefined) {
    items.push(item);
    return true;
  }
  if (after === item.id) return false; // not new: it is on a page that is not loaded
  items.splice(indexOf(items, after) + 1, 0, item); // at the beginning when `after` is not held
  return true;
}

/** From the end, because what changes is nearly always what is newest. */
function indexOf(items: readonly Item[], id: string): number {
  return items.findLastIndex((item) => item.id === id);
}
