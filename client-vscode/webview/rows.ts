/**
 * From items to the rows of the virtual list. Law: a row that did not change keeps its identity, so
 * that it is not rendered again; a long answer is many rows, so that what is drawn stays bounded.
 */

import type { Item, TextItem } from "../src/protocol";
import { BlockSplitter } from "./blocks";

export type Row =
  | { kind: "item"; key: string; item: Exclude<Item, TextItem> }
  | { kind: "prose"; key: string; item: TextItem; blocks: readonly string[]; open: string; last: boolean };

const ROW_CHARS = 2000;

export class Rows {
  private readonly made = new WeakMap<Item, Row[]>();
  private readonly growing = new Map<string, Prose>();

  readonly of = (items: readonly Item[]): Row[] => items.flatMap((item) => this.rowsOf(item));

  private rowsOf(item: Item): Row[] {
    let rows = this.made.get(item);
    if (rows) return rows;
    // A prompt has the key of the unsent one, whose place it takes.
    const key = (item.kind === "prompt" && item.promptId) || item.id;
    rows = item.kind === "text" ? this.prose(item) : [{ kind: "item", key, item }];
    this.made.set(item, rows);
    return rows;
  }

  private prose(item: TextItem): Row[] {
    const known = this.growing.get(item.id);
    const prose = known?.update(item) ? known : new Prose(item);
    if (item.state === "streaming") this.growing.set(item.id, prose);
    else this.growing.delete(item.id);
    return prose.rows;
  }
}

/** The rows of one answer: closed blocks in rows of about a screen, the open block in the last. */
class Prose {
  rows: Row[] = [];
  private readonly splitter = new BlockSplitter();
  private readonly settled: Row[] = [];
  private taken = 0;

  constructor(item: TextItem) {
    this.update(item);
  }

  /** Return false when the text is not a longer version of the last. */
  update(item: TextItem): boolean {
    if (!this.splitter.update(item.text)) return false;
    const { closed, open } = this.splitter;
    for (let at = this.taken, chars = 0; at < closed.length; at++) {
      chars += closed[at]?.length ?? 0;
      if (chars < ROW_CHARS) continue;
      this.settled.push(this.row(item, closed.slice(this.taken, at + 1), "", false));
      this.taken = at + 1;
      chars = 0;
    }
    this.rows = [...this.settled, this.row(item, closed.slice(this.taken), open, true)];
    return true;
  }

  private row(item: TextItem, blocks: readonly string[], open: string, last: boolean): Row {
    return { kind: "prose", key: `${item.id}/${this.settled.length}`, item, blocks, open, last };
  }
}
