/**
 * Prompts that were sent and are not yet taken. Law: kept on disk before anything is sent, sent in
 * order and under the same id again until the server has taken or refused them, so that nothing
 * typed is lost and nothing is sent twice.
 */

import type { PromptItem, SendArgument } from "../protocol";
import type { Draft } from "./messages";

/** As VS Code's Memento. */
export interface Memory {
  get<T>(key: string): T | undefined;
  update(key: string, value: unknown): PromiseLike<void>;
}

export interface Waiting {
  promptId: string;
  draft: Draft;
  /** The prompt that this one takes the place of. */
  replaces?: string;
}

type Send = (prompt: Waiting) => Promise<Outcome>;
type Done = (prompt: Waiting, outcome: Outcome) => void;
export type Outcome = { is: "taken" } | { is: "refused"; message: string; action: string } | { is: "later" };

/** Where they are kept, followed by the session's id. */
export const OUTBOX = "holdfast.outbox.";

export class Outbox {
  private flushing: Promise<void> | undefined;
  private again = false;

  constructor(private readonly memory: Memory, private readonly key: string) {}

  list(): readonly Waiting[] {
    return this.memory.get<Waiting[]>(this.key) ?? [];
  }

  /** Keep a prompt; when this has returned it is on disk. One id is one prompt. */
  async add(prompt: Waiting): Promise<void> {
    if (this.list().some(({ promptId }) => promptId === prompt.promptId)) return;
    await this.memory.update(this.key, [...this.list(), prompt]);
  }

  /** Send what waits, oldest first, until `send` says "later". Runs once at a time. */
  flush(send: Send, done: Done): Promise<void> {
    this.again = true;
    this.flushing ??= this.run(send, done).finally(() => (this.flushing = undefined));
    return this.flushing;
  }

  private async run(send: Send, done: Done): Promise<void> {
    while (this.again) {
      this.again = false;
      for (let next = this.list()[0]; next !== undefined; next = this.list()[0]) {
        const prompt = next;
        const outcome = await send(prompt);
        if (outcome.is === "later") break;
        const rest = this.list().filter(({ promptId }) => promptId !== prompt.promptId);
        await this.memory.update(this.key, rest.length > 0 ? rest : undefined);
        done(prompt, outcome);
      }
    }
  }
}

export const emptyDraft: Draft = { text: "", mentions: [], images: [] };

export const isEmpty = ({ text, mentions, images }: Draft): boolean =>
  !text.trim() && mentions.length === 0 && images.length === 0;

export function sendArgument(sessionId: string, { promptId, draft: { text, mentions, images } }: Waiting): SendArgument {
  const words = text.trim() ? [{ type: "text" as const, text }] : [];
  const pictures = images.map(({ mediaType, data }) => {
    return { type: "image" as const, source: { type: "base64" as const, media_type: mediaType, data } };
  });
  const said = pictures.length > 0 ? { content: [...words, ...pictures] } : { text };
  return { sessionId, promptId, ...said, ...(mentions.length > 0 ? { mentions } : {}) };
}

/** How a prompt that waits is shown. */
export function unsentItem({ promptId, draft: { text, images, mentions } }: Waiting, seq: number): PromptItem {
  const shown = { text, images: images.map(({ mediaType }) => ({ mediaType })), mentions: mentions.map(({ path }) => path) };
  return { id: `unsent:${promptId}`, kind: "prompt", seq, atMs: Date.now(), promptId, ...shown, state: "queued" };
}

/** Earlier prompts, newest first, each once. */
export function remembered(history: readonly string[], text: string, limit = 100): string[] {
  return text.trim() ? [text, ...history.filter((other) => other !== text)].slice(0, limit) : [...history];
}
