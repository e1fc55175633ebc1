/**
 * Going through earlier prompts with Up and Down. Law: pure; what was being typed is put aside and
 * comes back, and Up and Down mean history only at the edges of the text.
 */

export interface Recall {
  /** Which earlier prompt is shown, 0 the newest; -1: none. */
  at: number;
  kept: string;
}

export const notRecalling: Recall = { at: -1, kept: "" };

/** Return where Up leads, or nothing at the oldest prompt. */
export function recallOlder(recall: Recall, history: readonly string[], typed: string): [Recall, string] | undefined {
  const at = recall.at + 1;
  const text = history[at];
  if (text === undefined) return undefined;
  return [{ at, kept: recall.at < 0 ? typed : recall.kept }, text];
}

/** Return where Down leads, or nothing when no earlier prompt is shown. */
export function recallNewer(recall: Recall, history: readonly string[]): [Recall, string] | undefined {
  if (recall.at < 0) return undefined;
  const at = recall.at - 1;
  return [{ at, kept: recall.kept }, at < 0 ? recall.kept : (history[at] ?? recall.kept)];
}

/** The caret stands on the first line: Up cannot move it further. */
export const onFirstLine = (text: string, caret: number): boolean => !text.slice(0, caret).includes("\n");

/** The caret stands on the last line. */
export const onLastLine = (text: string, caret: number): boolean => !text.slice(caret).includes("\n");

/** The `@word` that ends at the caret: where it starts and what was typed of it. */
export function mentionAt(text: string, caret: number): { start: number; query: string } | undefined {
  const found = /(?:^|[\s(])@([^\s@]{0,200})$/.exec(text.slice(0, caret));
  if (!found) return undefined;
  const query = found[1] ?? "";
  return { start: caret - query.length - 1, query };
}
