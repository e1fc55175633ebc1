/**
 * One session that is shown, in however many views. Law: all views get the same changes in the same
 * order, and after a lost connection they are brought up to date from the last sequence number.
 */

import * as vscode from "vscode";
import { applyChanges } from "../../webview/changes";
import { isBusy } from "../../webview/words";
import type { Item, ItemsParams, OpenedSession, Session } from "../protocol";
import type { Server } from "../server";
import { NotConnected, noteTo, Owner, Refused } from "../ui";
import type { Draft, ToView } from "./messages";
import { emptyDraft, isEmpty, Outbox, OUTBOX, remembered, sendArgument, unsentItem } from "./outbox";
import type { Outcome, Waiting } from "./outbox";

const KEPT_MAX = 3_000;
const KEPT_AFTER_TRIM = 2_000;
const HISTORY = "holdfast.history";

/** What is typed and not sent, per session; "new" is for the one that is yet to be created. */
export class Drafts {
  constructor(private readonly memory: vscode.Memento) {}

  of(sessionId = "new"): Draft {
    return this.memory.get<Draft>(`holdfast.draft.${sessionId}`) ?? emptyDraft;
  }

  async keep(sessionId = "new", draft?: Draft): Promise<void> {
    await this.memory.update(`holdfast.draft.${sessionId}`, draft);
  }
}

export class Conversation extends Owner {
  session: Session | undefined;
  items: readonly Item[] = [];
  private more = false;
  private seq: number | undefined;
  /** Notifications that overtook the answer to `open`. */
  private early: ItemsParams[] | undefined;
  private opening: Promise<void> | undefined;
  private readonly outbox: Outbox;
  private readonly drafts: Drafts;
  private readonly messages = this.own(new vscode.EventEmitter<ToView>());
  readonly onMessage = this.messages.event;

  constructor(readonly sessionId: string, private readonly server: Server, private readonly memory: vscode.Memento) {
    super();
    this.outbox = new Outbox(memory, OUTBOX + sessionId);
    this.drafts = new Drafts(memory);
    this.own(server.on("holdfast/items", (params) => params.sessionId === sessionId && this.take(params)));
    this.own(server.on("holdfast/status", (status) => {
      if (status.sessionId !== sessionId) return;
      if (this.session) this.session = { ...this.session, status, phase: status.phase };
      this.messages.fire({ type: "status", status });
    }));
    this.own(server.onConnected(() => this.open(true).catch(noteTo(server.log, `session ${sessionId}`))));
  }

  /** Open the session, or catch up when the connection is a new one; then send what waits. */
  open(anew = false): Promise<void> {
    if (this.opening && !anew) return this.opening;
    // One after the other: two at once would be told the same changes twice.
    const opening = (this.opening ?? Promise.resolve()).catch(() => {}).then(() => this.reopen());
    this.opening = opening;
    opening.catch(() => {
      if (this.opening === opening) this.opening = undefined;
    });
    return opening;
  }

  /** What a view that shows nothing yet must be told. */
  whole(): ToView | undefined {
    const { session, more } = this;
    if (!session) return undefined;
    const items = [...this.items, ...this.outbox.list().map((prompt) => unsentItem(prompt, this.seq ?? 0))];
    return { type: "session", session, items, more, draft: this.drafts.of(this.sessionId), history: this.history };
  }

  async older(before: string): Promise<ToView> {
    const { sessionId } = this;
    return { type: "older", ...(await this.server.request("holdfast.session.items", { sessionId, before, limit: 200 })) };
  }

  /** Keep a prompt and send it as soon as there is a server. */
  async send(promptId: string, draft: Draft, replaces?: string): Promise<void> {
    await this.outbox.add({ promptId, draft, ...(replaces ? { replaces } : {}) });
    await this.drafts.keep(this.sessionId);
    await this.memory.update(HISTORY, remembered(this.history, draft.text));
    await this.flush();
  }

  /** Send what waits. */
  async flush(): Promise<void> {
    if (this.server.connection.state !== "connected") return;
    await this.outbox.flush((prompt) => this.deliver(prompt), (prompt, outcome) => this.delivered(prompt, outcome));
  }

  private get history(): string[] {
    return this.memory.get<string[]>(HISTORY) ?? [];
  }

  private async reopen(): Promise<void> {
    const { sessionId, seq } = this;
    const early: ItemsParams[] = (this.early = []);
    try {
      const since = this.session && seq !== undefined ? { sinceSeq: seq } : {};
      const opened = await this.server.request("holdfast.session.open", { sessionId, view: "items", ...since });
      this.opened(opened);
      this.early = undefined;
      for (const params of early) if (params.seq > opened.seq) this.take(params);
    } finally {
      this.early = undefined;
    }
    void this.flush();
  }

  private opened({ session, items = [], more = false, changes, seq }: OpenedSession): void {
    Object.assign(this, { session, seq });
    if (changes) {
      this.items = applyChanges(this.items, changes);
      return this.messages.fire({ type: "changes", changes, session });
    }
    Object.assign(this, { items, more });
    const whole = this.whole();
    if (whole) this.messages.fire(whole);
  }

  private take(params: ItemsParams): void {
    if (this.early) return void this.early.push(params);
    const { seq, changes, session } = params;
    this.seq = seq;
    this.items = applyChanges(this.items, changes);
    if (this.items.length > KEPT_MAX) {
      this.items = this.items.slice(-KEPT_AFTER_TRIM);
      this.more = true;
    }
    this.session = session ?? this.session;
    this.messages.fire({ type: "changes", changes, ...(session ? { session } : {}) });
  }

  private async deliver(prompt: Waiting): Promise<Outcome> {
    const { sessionId } = this;
    try {
      if (prompt.replaces !== undefined) await this.rewind(prompt.replaces);
      await this.server.request("holdfast.turn.send", sendArgument(sessionId, prompt));
      return { is: "taken" };
    } catch (error) {
      if (error instanceof Refused) return { is: "refused", message: error.message, action: error.action };
      if (!(error instanceof NotConnected)) throw error;
      return { is: "later" };
    }
  }

  private delivered(prompt: Waiting, outcome: Outcome): void {
    const { promptId, draft } = prompt;
    this.messages.fire({ type: "changes", changes: [{ op: "remove", id: unsentItem(prompt, 0).id }] });
    if (outcome.is === "taken") this.messages.fire({ type: "accepted", promptId });
    if (outcome.is !== "refused") return;
    if (isEmpty(this.drafts.of(this.sessionId))) void this.drafts.keep(this.sessionId, draft);
    this.messages.fire({ type: "refused", promptId, draft, message: outcome.message, action: outcome.action });
  }

  private async rewind(promptId: string): Promise<void> {
    const { sessionId, server } = this;
    if (isBusy(this.session?.phase)) await server.request("holdfast.turn.stop", { sessionId });
    await server.request("holdfast.session.rewind", { sessionId, promptId }).catch((error: unknown) => {
      // It was rewound before the connection broke.
      if (!(error instanceof Refused && error.kind === "UnknownPrompt")) throw error;
    });
  }
}

/** All that are open in this window. A conversation lives as long as somebody holds it. */
export class Conversations extends Owner {
  private readonly open = new Map<string, { conversation: Conversation; holders: number }>();

  constructor(private readonly server: Server, private readonly memory: vscode.Memento) {
    super();
    // What an earlier window could not send any more is sent, whether its session is shown or not.
    this.own(server.onConnected(() => {
      for (const key of memory.keys().filter((each) => each.startsWith(OUTBOX))) {
        const sessionId = key.slice(OUTBOX.length);
        const sent = this.using(sessionId, (it) => it.open().then(() => it.flush()));
        void sent.catch(noteTo(server.log, `unsent prompts of ${sessionId}`));
      }
    }));
  }

  /** Do something with a conversation. */
  async using<T>(sessionId: string, work: (conversation: Conversation) => T): Promise<Awaited<T>> {
    const { conversation, release } = this.hold(sessionId);
    try {
      return await work(conversation);
    } finally {
      release.dispose();
    }
  }

  /** Share the conversation; dispose of the second member, once, when it is no longer needed. */
  hold(sessionId: string): { conversation: Conversation; release: vscode.Disposable } {
    const created = () => ({ conversation: new Conversation(sessionId, this.server, this.memory), holders: 0 });
    const entry = this.open.get(sessionId) ?? created();
    this.open.set(sessionId, entry);
    entry.holders += 1;
    const release = new vscode.Disposable(() => {
      entry.holders -= 1;
      if (entry.holders > 0) return;
      this.open.delete(sessionId);
      entry.conversation.dispose();
    });
    return { conversation: entry.conversation, release };
  }

  /** A deleted session leaves nothing behind: neither what was typed for it nor what waited. */
  async forget(sessionId: string): Promise<void> {
    await new Drafts(this.memory).keep(sessionId);
    await this.memory.update(OUTBOX + sessionId, undefined);
  }
}
