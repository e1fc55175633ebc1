/**
 * One turn, followed from outside a chat view. Law: what is passed on is what came after the prompt,
 * each piece once; it ends when the session rests, because a person must act or nothing is left to do.
 */

import type { Item, Phase, Session } from "../protocol";
import type { ToView } from "./messages";

export type Sink = Record<"text" | "step", (words: string) => void>;

/** What is needed of a Conversation. */
export interface Followed {
  readonly items: readonly Item[];
  readonly session: Pick<Session, "phase"> | undefined;
  onMessage(listener: (message: ToView) => void): { dispose(): void };
}

const RESTING: readonly Phase[] = ["idle", "paused", "asking"];

/** Send a prompt by `send` and return the phase in which the session rests afterwards. */
export function followTurn(talk: Followed, promptId: string, send: () => Promise<void>, sink: Sink): Promise<Phase> {
  const before = new Set(talk.items.map(({ id }) => id));
  /** How much of each item was passed on. */
  const passed = new Map<string, number>();
  let moved = false;
  const pass = (item: Item) => {
    const known = passed.get(item.id);
    if (before.has(item.id) || (item.kind !== "text" && item.kind !== "tool")) return;
    passed.set(item.id, item.kind === "text" ? item.text.length : 0);
    if (item.kind === "tool") return known === undefined ? sink.step(item.title) : undefined;
    // What the session did before this prompt is no answer to it.
    moved ||= item.state !== "streaming";
    const piece = item.text.slice(known);
    if (piece) sink.text((!known && passed.size > 1 ? "\n\n" : "") + piece);
  };
  return new Promise((resolve, reject) => {
    const end = (work: () => void) => (listening.dispose(), work());
    const listening = talk.onMessage((message) => {
      if (message.type === "refused" && message.promptId === promptId) {
        return end(() => reject(new Error(`${message.message} ${message.action}`)));
      }
      talk.items.forEach(pass);
      const phase = talk.session?.phase ?? "queued";
      moved ||= message.type === "status" && !RESTING.includes(phase);
      if (moved && RESTING.includes(phase)) end(() => resolve(phase));
    });
    send().catch((error: Error) => end(() => reject(error)));
  });
}
