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

/** `replaces`: the prompt that this one takes the place of. */
export type Waiting = { promptId: string; draft: Draft; replaces?: string };

/** Returns what to say of the prompt once it is off the disk, or nothing when it has to wait. */
type Deliver = (prompt: Waiting) => Promise<(() => void) | undefined>;

/** Where they are kept, followed by the session's id. */
export const OUTBOX = "holdfast.outbox.";

export class Outbox {
  private flushing: Promise<void> = Promise.resolve();

  constructor(private readonly memory: Memory, private readonly key: string, private readonly deliver: Deliver) {}

  readonly list = (): readonly Waiting[] => this.memory.get<Waiting[]>(this.key) ?? [];

  /** Keep a prompt; when this has returned it is on disk. One id is one prompt. */
  async add(prompt: Waiting): Promise<void> {
    if (this.list().some(({ promptId }) => promptId === prompt.promptId)) return;
    await this.memory.update(this.key, [...this.list(), prompt]);
  }

  /** Send what waits, oldest first, until one has to wait. Runs once at a time. */
  readonly flush = (): Promise<void> =>
    (this.flushing = this.flushing.catch(() => {}).then(() => this.run()));

  private async run(): Promise<void> {
    for (let prompt = this.list()[0]; prompt !== undefined; prompt = this.list()[0]) {
      const done = await this.deliver(prompt);
      if (!done) return;
      const rest = this.list().slice(1);
      await this.memory.update(this.key, rest.length > 0 ? rest : undefined);
      done();
    }
  }
}

export const emptyDraft: Draft = { text: "", mentions: [], images: [] };

export const isEmpty = ({ text, mentions, images }: Draft): boolean =>
  !text.trim() && mentions.length === 0 && images.length === 0;

export function sendArgument(sessionId: string, { promptId, draft }: Waiting): SendArgument {
  const { text, mentions, images } = draft;
  const words = text.trim() ? [{ type: "text" as const, text }] : [];
  const pictures = images.map(({ mediaType, data }) => (
    { type: "image" as const, source: { type: "base64" as const, media_type: mediaType, data } }
  ));
  const said = pictures.length > 0 ? { content: [...words, ...pictures] } : { text };
  return { sessionId, promptId, ...said, ...(mentions.length > 0 ? { mentions } : {}) };
}

/** How a prompt that waits is shown, until the server's own item takes its place. */
export function unsentItem({ promptId, draft: { text, images, mentions } }: Waiting, seq: number): PromptItem {
  const types = images.map(({ mediaType }) => ({ mediaType }));
  const shown = { text, images: types, mentions: mentions.map(({ path }) => path) };
  return { id: unsentId(promptId), kind: "prompt", seq, atMs: Date.now(), promptId, ...shown, state: "unsent" };
}

export const unsentId = (promptId: string): string => `unsent:${promptId}`;

/** Earlier prompts, newest first, each once. */
export const remembered = (history: readonly string[], text: string, limit = 100): string[] =>
  text.trim() ? [text, ...history.filter((other) => other !== text)].slice(0, limit) : [...history];
