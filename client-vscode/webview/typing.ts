/**
 * What keys and the clipboard mean while a prompt is typed. Law: pure; what was being typed is put
 * aside and comes back, Up and Down mean history only at the edges of the text, and no picture is
 * decoded before its size is known.
 */

import { bytes } from "./words";

/** `at`: which earlier prompt is shown, 0 the newest, -1 none; `kept`: what was being typed. */
export type Recall = { at: number; kept: string };
export const notRecalling: Recall = { at: -1, kept: "" };

/** Where Up (1) or Down (-1) leads, or nothing at the oldest prompt and when none is shown. */
export function recalled(recall: Recall, history: readonly string[], typed: string, step: number) {
  const at = recall.at + step;
  const kept = recall.at < 0 ? typed : recall.kept;
  const text = at === -1 ? kept : history[at];
  return text === undefined ? undefined : { recall: { at, kept }, text };
}

/** The caret stands on the first line (for Up, 1) or the last (for Down, -1), and cannot move further. */
export const atEdge = (text: string, caret: number, step: number): boolean =>
  !(step > 0 ? text.slice(0, caret) : text.slice(caret)).includes("\n");

/** The `@word` that ends at the caret: where it starts and what was typed of it. */
export function mentionAt(text: string, caret: number): { start: number; query: string } | undefined {
  const query = /(?:^|[\s(])@([^\s@]{0,200})$/.exec(text.slice(0, caret))?.[1];
  return query === undefined ? undefined : { start: caret - query.length - 1, query };
}

const PICTURE_BYTES_MAX = 20_000_000;
const MEDIA_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** Say why this picture cannot be taken, or nothing when it can. */
export function refusalOf({ type, size }: { type: string; size: number }): string | undefined {
  if (!MEDIA_TYPES.includes(type)) return `Pictures of the type ${type} cannot be sent. Use PNG, JPEG, GIF or WebP.`;
  if (size <= PICTURE_BYTES_MAX) return undefined;
  const most = bytes(PICTURE_BYTES_MAX);
  return `This picture has ${bytes(size)}; at most ${most} can be sent. Make it smaller and paste it again.`;
}
