/**
 * From items to the rows of the virtual list. Law: a row that did not change keeps its identity, so
 * that it is not rendered again; a long answer is many rows, so that what is drawn stays bounded.
 */

import type { Item, TextItem } from "../src/protocol";
import { BlockSplitter } from "./blocks";
import type { PendingPrompt } from "./state";

export type Row =
  | { kind: "item"; key: string; item: Exclude<Item, TextItem> }
  | { kind: "prose"; key: string; item: TextItem; blocks: readonly string[]; open: string; last: boolean }
  | { kind: "pending"; key: string; prompt: PendingPrompt };

const ROW_CHARS = 2000;

interface Known {
  item: Item;
  rows: Row[];
  prose?: Prose;
}

export class Rows {
  private known = new Map<string, Known>();

  of(items: readonly Item[], pending: readonly PendingPrompt[]): Row[] {
    if (this.known.size > 2 * items.length + 100) this.known.clear();
    const rows: Row[] = [];
    for (const item of items) for (const row of this.rowsOf(item)) rows.push(row);
    for (const prompt of pending) rows.push({ kind: "pending", key: prompt.promptId, prompt });
    return rows;
  }

  private rowsOf(item: Item): Row[] {
    const known = this.known.get(item.id);
    if (known?.item === item) return known.rows;
    if (item.kind !== "text") {
      const key = (item.kind === "prompt" && item.promptId) || item.id; // as the pending row's, which it replaces
      return this.keep({ item, rows: [{ kind: "item", key, item }] });
    }
    const prose = known?.prose?.update(item) ? known.prose : new Prose(item);
    return this.keep({ item, rows: prose.rows, prose });
  }

  private keep(known: Known): Row[] {
    this.known.set(known.item.id, known);
    return known.rows;
  }
}

/** The rows of one answer: closed blocks in rows of about a screen, the open block in the last. */
class Prose {
  rows: Row[] = [];
  private splitter = new BlockSplitter();
  private settled: Row[] = [];
  private taken = 0;

  constructor(item: TextItem) {
    this.update(item);
  }

  /** Return false when the text is not a longer version of the last. */
  update(item: TextItem): boolean {
    if (!this.splitter.update(item.text)) return false;
    const { closed, open } = this.splitter;
    let from = this.taken;
    for (let at = from, chars = 0; at < closed.length; at++) {
      chars += closed[at]?.length ?? 0;
      if (chars < ROW_CHARS) continue;
      this.settled.push(this.row(item, closed.slice(from, at + 1), "", false));
      from = this.taken = at + 1;
      chars = 0;
    }
    this.rows = [...this.settled, this.row(item, closed.slice(from), open, true)];
    return true;
  }

  private row(item: TextItem, blocks: readonly string[], open: string, last: boolean): Row {
    return { kind: "prose", key: `${item.id}/${this.settled.length}`, item, blocks, open, last };
  }
}
