/**
 * One session that is shown, in however many views. Law: all views get the same changes in the same
 * order, and after a lost connection they are brought up to date from the last sequence number.
 */

import * as vscode from "vscode";
import { applyChanges, trimmed } from "../../webview/changes";
import { isBusy } from "../../webview/words";
import type { Item, ItemsParams, OpenedSession, Session, Status } from "../protocol";
import type { Server } from "../server";
import { except, NotConnected, noteTo, Owner, Refused } from "../ui";
import type { Draft, ToView } from "./messages";
import { emptyDraft, isEmpty, Outbox, OUTBOX, remembered, sendArgument, unsentItem, type Waiting } from "./outbox";

const HISTORY = "holdfast.history";
const DRAFT = "holdfast.draft.";

export class Conversation extends Owner {
  session: Session | undefined;
  items: readonly Item[] = [];
  private more = false;
  private seq: number | undefined;
  /** Notifications that overtook the answer to `open`. */
  private early: ItemsParams[] | undefined;
  private opening: Promise<void> = Promise.resolve();
  private readonly outbox: Outbox;
  private readonly messages = this.own(new vscode.EventEmitter<ToView>());
  readonly onMessage = this.messages.event;

  constructor(readonly sessionId: string, private readonly server: Server, private readonly memory: vscode.Memento) {
    super();
    this.outbox = new Outbox(memory, OUTBOX + sessionId, (prompt) => this.deliver(prompt));
    this.own(server.on("holdfast/items", (params) => params.sessionId === sessionId && this.take(params)));
    this.own(server.on("holdfast/status", (status) => status.sessionId === sessionId && this.show(status)));
    this.own(server.onConnected(() => this.open().catch(noteTo(server.log, `session ${sessionId}`))));
  }

  /** Open the session or catch up with it, then send what waits. Two at once would be told the same twice. */
  readonly open = (): Promise<void> =>
    (this.opening = this.opening.catch(() => {}).then(() => this.attach()));

  /** What a view that shows nothing yet must be told. */
  whole(): ToView | undefined {
    const { session, more } = this;
    const items = [...this.items, ...this.outbox.list().map((prompt) => unsentItem(prompt, this.seq ?? 0))];
    return session && { type: "session", session, items, more, draft: this.draft(), history: this.history() };
  }

  /** Keep what is typed and not sent. */
  readonly keep = async (draft?: Draft): Promise<void> => this.memory.update(DRAFT + this.sessionId, draft);

  /** Leave nothing behind of a session that is deleted: neither what was typed for it nor what waited. */
  async forget(): Promise<void> {
    this.dispose();
    for (const key of [DRAFT, OUTBOX]) await this.memory.update(key + this.sessionId, undefined);
  }

  /** Keep a prompt and send it as soon as there is a server. */
  async send(prompt: Waiting): Promise<void> {
    await this.outbox.add(prompt);
    await this.keep();
    await this.memory.update(HISTORY, remembered(this.history(), prompt.draft.text));
    if (this.server.connection.state === "connected") await this.outbox.flush();
  }

  private readonly draft = () => this.memory.get<Draft>(DRAFT + this.sessionId, emptyDraft);
  private readonly history = () => this.memory.get<string[]>(HISTORY, []);

  private async attach(): Promise<void> {
    const { sessionId, seq } = this;
    const early: ItemsParams[] = (this.early = []);
    const opened = await this.server.request("holdfast.session.open", { sessionId, view: "items", sinceSeq: seq });
    this.opened(opened);
    this.early = undefined;
    for (const params of early) if (params.seq > opened.seq) this.take(params);
    void this.outbox.flush().catch(noteTo(this.server.log, `unsent prompts of ${sessionId}`));
  }

  private opened({ session, items = [], more = false, changes, seq }: OpenedSession): void {
    if (changes) return this.change({ changes, session, seq });
    Object.assign(this, { session, seq, items, more });
    const whole = this.whole();
    if (whole) this.messages.fire(whole);
  }

  private take(params: ItemsParams): void {
    if (this.early) this.early.push(params);
    else if (this.session) this.change(params);
  }

  private change({ seq, changes, session = this.session }: Omit<ItemsParams, "sessionId">): void {
    const told = session === this.session ? {} : { session };
    const items = applyChanges(this.items, changes);
    Object.assign(this, { seq, session, items, ...trimmed(items) });
    this.messages.fire({ type: "changes", changes, ...told });
  }

  private show(status: Status): void {
    if (this.session) this.session = { ...this.session, status, phase: status.phase };
    this.messages.fire({ type: "status", status });
  }

  private async deliver(prompt: Waiting): Promise<(() => void) | undefined> {
    const { promptId, draft, replaces } = prompt;
    try {
      if (replaces !== undefined) await this.rewind(replaces);
      await this.server.request("holdfast.turn.send", sendArgument(this.sessionId, prompt));
      return () => {};
    } catch (error) {
      if (error instanceof NotConnected) return undefined;
      if (!(error instanceof Refused)) throw error;
      const { message, action } = error;
      if (isEmpty(this.draft())) void this.keep(draft);
      return () => this.messages.fire({ type: "refused", promptId, draft, message, action });
    }
  }

  private async rewind(promptId: string): Promise<void> {
    const { sessionId, server } = this;
    if (isBusy(this.session?.phase)) await server.request("holdfast.turn.stop", { sessionId });
    // It may have been rewound before the connection broke.
    await server.request("holdfast.session.rewind", { sessionId, promptId }).catch(except("UnknownPrompt"));
  }
}
