/**
 * How a session's state looks in the tree and the status bar. Law: pure; the words are the server's,
 * only what the clock changes is added here.
 */

import { duration } from "../../webview/words";
import type { Phase, SessionEntry, Status } from "../protocol";
import wording from "../wording.json";

/** Urgency (what needs a person most is the highest), ThemeIcon, theme colour. */
const LOOKS: Record<Phase, { urgency: number; icon: string; color?: string }> = wording.phases;

/** The newest status; of a session that is not open in this server only the phase is known. */
export const statusOf = (entry: SessionEntry): Status => entry.status ?? entry;

/** `text` is empty when there is nothing to say. */
export function look(status: Status, now: number) {
  const own = LOOKS[status.phase] ?? LOOKS.idle;
  const { urgency, icon, color } = status.progress && own.urgency < LOOKS.compacting.urgency ? LOOKS.compacting : own;
  const said = status.label ?? (own === LOOKS.idle ? "" : status.phase.replace(/[A-Z]/g, " $&").toLowerCase());
  const left = ticks(status) ? ` ${duration(Math.ceil(((status.retryAt ?? now) - now) / 1000) * 1000)}` : "";
  return { urgency, icon: status.readOnly ? "lock" : icon, color, text: said.replace("waiting", `waiting${left}`) };
}

/** Whether what `look` says changes by the clock alone. */
export const ticks = ({ phase, retryAt }: Status): boolean => phase === "waiting" && retryAt !== undefined;

/** The one of several sessions that needs a person most; the newest of equals. */
export function mostUrgent(entries: readonly SessionEntry[], now: number): SessionEntry | undefined {
  const urgency = (entry: SessionEntry) => look(statusOf(entry), now).urgency;
  return [...entries].sort((a, b) => urgency(b) - urgency(a) || b.updatedAt - a.updatedAt)[0];
}

/** How long ago: "now", "5 min", "3 h", "12 d". */
export function ago(then: number, now: number): string {
  const minutes = Math.floor((now - then) / 60_000);
  if (minutes < 60) return minutes < 1 ? "now" : `${minutes} min`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} d`;
}

export const titleOf = (session: Pick<SessionEntry, "title">): string => session.title.trim() || "New session";

export const folderName = ({ workspaceUri = "" }: SessionEntry): string =>
  decodeURIComponent(workspaceUri.replace(/\/+$/, "").split("/").at(-1) ?? "");

/** The command that shows a session. */
export const opening = ({ sessionId }: { sessionId: string }, title = "Open") =>
  ({ command: "holdfast.ui.openSession", title, arguments: [{ sessionId }] });
