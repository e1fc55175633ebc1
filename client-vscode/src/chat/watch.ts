/**
 * One turn, followed from outside a chat view. Law: what is passed on is what came after the prompt,
 * each piece once; it ends when the session rests, because a person must act or nothing is left to do.
 */

import type { Change, Item, Phase, Session } from "../protocol";
import type { ToView } from "./messages";

export interface Sink {
  text(piece: string): void;
  step(title: string): void;
}

/** What is needed of a Conversation. */
export interface Followed {
  readonly items: readonly Item[];
  readonly session: Pick<Session, "phase"> | undefined;
  onMessage(listener: (message: ToView) => void): { dispose(): void };
}

const RESTING: readonly Phase[] = ["idle", "paused", "asking"];

/** Send a prompt by `send` and return the phase in which the session rests afterwards. */
export function followTurn(conversation: Followed, promptId: string, send: () => Promise<void>, sink: Sink): Promise<Phase> {
  const before = new Set(conversation.items.map(({ id }) => id));
  const passedOn = new Map<string, number>();
  let moved = false;
  const pass = (item: Item) => {
    if (before.has(item.id)) return;
    if (item.kind === "tool" && !passedOn.has(item.id)) sink.step(item.title);
    if (item.kind === "text") sink.text((passedOn.has(item.id) || passedOn.size === 0 ? "" : "\n\n") + item.text.slice(passedOn.get(item.id) ?? 0));
    if (item.kind === "text" || item.kind === "tool") passedOn.set(item.id, item.kind === "text" ? item.text.length : 0);
  };
  return new Promise((resolve, reject) => {
    const end = (work: () => void) => (listening.dispose(), work());
    const listening = conversation.onMessage((message) => {
      if (message.type === "changes") {
        const touched = new Set(message.changes.map(idOf));
        conversation.items.filter(({ id }) => touched.has(id)).forEach(pass);
      }
      if (message.type === "session") conversation.items.forEach(pass);
      if (message.type === "refused" && message.promptId === promptId) return end(() => reject(new Error(`${message.message} ${message.action}`)));
      const phase = conversation.session?.phase ?? "queued";
      const resting = RESTING.includes(phase);
      // What it did before this prompt is no answer to it.
      moved ||= message.type === "status" && !resting;
      moved ||= conversation.items.some((item) => passedOn.has(item.id) && item.kind === "text" && item.state !== "streaming");
      if (moved && resting) end(() => resolve(phase));
    });
    send().catch((error: Error) => end(() => reject(error)));
  });
}

const idOf = (change: Change): string => (change.op === "put" ? change.item.id : change.id);
