/**
 * Cuts growing Markdown into blocks that can be rendered one by one. Law: a closed block never
 * changes, so only the last one is rendered again; a finished line is looked at once.
 */

/** Beyond this an open block is cut at the next line, lest rendering it takes longer than a frame. */
const BLOCK_CHARS_MAX = 12_000;
const FENCE = /^\s*(?:(?:[-*+]|\d+[.)])\s+)?(`{3,}|~{3,})/;

export class BlockSplitter {
  readonly closed: string[] = [];
  /** The block that may still grow. Never a slice of the whole text, which it would keep alive. */
  open = "";
  /** Where in `open` the first line starts that was not looked at. */
  private line = 0;
  private length = 0;
  private ending = "";
  private fence = "";
  private blankBefore = false;

  /** Take the whole text as it is now; return false when it is not a longer version of the last. */
  update(text: string): boolean {
    if (text.length < this.length || !text.startsWith(this.ending, this.length - this.ending.length)) return false;
    this.open += text.slice(this.length);
    this.length = text.length;
    this.ending = text.slice(-64); // the end is compared, not all of it: appending must stay cheap
    for (let end = this.open.indexOf("\n", this.line); end >= 0; end = this.open.indexOf("\n", this.line)) {
      const before = this.line;
      this.line = end + 1;
      this.look(this.open.slice(before, end), before);
      if (!this.fence && this.line > BLOCK_CHARS_MAX) this.cut(this.line);
    }
    // The unfinished line opens a new block as soon as it is known not to be a continuation.
    if (this.blankBefore && !this.fence && /^\S/.test(this.open.slice(this.line))) this.cut(this.line);
    return true;
  }

  private look(line: string, at: number): void {
    const fence = FENCE.exec(line)?.[1];
    if (this.fence) {
      if (!fence?.startsWith(this.fence) || line.trim() !== fence) return;
      this.fence = "";
      this.blankBefore = true; // what follows a closed fence at the margin starts anew
    } else if (line.trim() === "") {
      this.blankBefore = true;
    } else {
      if ((this.blankBefore || fence !== undefined) && /^\S/.test(line)) this.cut(at);
      this.blankBefore = false;
      this.fence = fence ?? "";
    }
  }

  private cut(at: number): void {
    if (this.open.slice(0, at).trim() !== "") this.closed.push(this.open.slice(0, at));
    this.open = this.open.slice(at);
    this.line -= at;
    this.blankBefore = false;
  }
}
