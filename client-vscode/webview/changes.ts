/**
 * What the server's changes do to the items that are shown. Law: pure; an item that is not shown
 * (because it is older than what was loaded) is left alone, and nothing is shown twice.
 */

import { unsentId } from "../src/chat/outbox";
import type { Change, Item } from "../src/protocol";

/** Return `items` after `changes`; the same array when nothing changed. */
export function applyChanges(items: readonly Item[], changes: readonly Change[]): readonly Item[] {
  const next = [...items];
  let changed = false;
  for (const change of changes) changed = applyOne(next, change) || changed;
  return changed ? next : items;
}

/** Return whether it changed anything. */
function applyOne(items: Item[], change: Change): boolean {
  const { item } = change.op === "put" ? change : {};
  if (item?.kind === "prompt" && item.state !== "unsent") applyOne(items, { op: "remove", id: unsentId(item.promptId) });
  // From the end, because what changes is nearly always what is newest.
  const indexOf = (id: string) => items.findLastIndex((item) => item.id === id);
  const at = indexOf(change.op === "put" ? change.item.id : change.id);
  const held = items[at];
  switch (change.op) {
    case "put":
      if (held) items[at] = change.item;
      else if (change.after === undefined) items.push(change.item);
      // Behind itself: it is not new, but on a page that is not loaded.
      else if (change.after === change.item.id) return false;
      else items.splice(indexOf(change.after) + 1, 0, change.item); // at the beginning when `after` is not held
      return true;
    case "append":
      if (held?.kind !== "text" && held?.kind !== "thinking") return false;
      items[at] = { ...held, text: held.text + change.text };
      return true;
    case "remove":
      if (held) items.splice(at, 1);
      return held !== undefined;
  }
}

/** While the end is followed, at most this many items are kept. */
export const KEPT_MAX = 3000;
const KEPT_AFTER_TRIM = 2000;

/** Give back what is far above the end: by the view to its host, by the host to the server. */
export const trimmed = (items: readonly Item[]): { items: Item[]; more: true } | undefined =>
  items.length > KEPT_MAX ? { items: items.slice(-KEPT_AFTER_TRIM), more: true } : undefined;
