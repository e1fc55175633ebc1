/**
 * The list of sessions as the server tells it, and what this person has read of it. Law: a copy,
 * thrown away and fetched anew with each connection; only marks of what was read are kept here.
 */

import * as vscode from "vscode";
import { Conversation } from "../chat/controller";
import { OUTBOX } from "../chat/outbox";
import type { Answer, Notifications, SessionEntry } from "../protocol";
import type { Server } from "../server";
import { except, folders, noteTo, Owner } from "../ui";
import { statusOf, ticks } from "./look";

const READ = "holdfast.read";
const CURRENT = "holdfast.current";
const TOLD_AFTER_MS = 250;
const TICK_MS = 500;

export class Sessions extends Owner {
  private readonly known = new Map<string, SessionEntry>();
  private readonly conversations = new Map<string, Conversation>();
  private readonly read: Record<string, number>;
  private timer: NodeJS.Timeout | undefined;
  private readonly changes = this.own(new vscode.EventEmitter<void>());
  /** Something changed, if only a countdown; said a few times a second at most. */
  readonly onChange = this.changes.event;
  /** Hears of a session that was deleted. */
  gone: (sessionId: string) => void = () => {};
  /** Says whether a person sees the session now. */
  shown: (sessionId: string) => boolean = () => false;

  constructor(readonly server: Server, private readonly memory: vscode.Memento) {
    super();
    this.read = { ...memory.get<Record<string, number>>(READ) };
    this.own({ dispose: () => clearTimeout(this.timer) });
    this.own({ dispose: () => vscode.Disposable.from(...this.conversations.values()).dispose() });
    // What an earlier window could not send any more is sent when it is opened, shown or not.
    for (const key of memory.keys()) if (key.startsWith(OUTBOX)) this.conversation(key.slice(OUTBOX.length));
    this.own(server.onConnected(() => this.refresh().catch(noteTo(server.log, "the list of sessions"))));
    this.own(server.on("holdfast/sessions", (params) => this.take(params)));
    this.own(server.on("holdfast/status", (status) => {
      const entry = this.known.get(status.sessionId);
      if (entry) this.known.set(status.sessionId, { ...entry, phase: status.phase, status });
      this.changed();
    }));
  }

  /** Newest first. */
  readonly all = (): SessionEntry[] => [...this.known.values()].sort((a, b) => b.updatedAt - a.updatedAt);

  /** Those of this window's folders, or all others, without archived ones. */
  readonly listed = (here: boolean): SessionEntry[] =>
    this.all().filter((entry) => !entry.archived && this.isHere(entry) === here);

  /** The session that the chat view shows. */
  get current(): string | undefined {
    return this.memory.get<string>(CURRENT);
  }

  async choose(sessionId: string | undefined): Promise<void> {
    await this.memory.update(CURRENT, sessionId);
    this.markRead(...(sessionId ? [sessionId] : []));
  }

  /** What is said in a session. It stays until the window ends, for the server tells of it anyway. */
  conversation(sessionId: string): Conversation {
    const conversation = this.conversations.get(sessionId) ?? new Conversation(sessionId, this.server, this.memory);
    this.conversations.set(sessionId, conversation);
    return conversation;
  }

  /** A deleted session leaves nothing behind. */
  async forget(sessionId: string): Promise<void> {
    const conversation = this.conversation(sessionId);
    this.conversations.delete(sessionId);
    await conversation.forget();
  }

  /** Begin a session in the folder of the active editor. */
  async create(): Promise<string> {
    const document = vscode.window.activeTextEditor?.document;
    const folder = (document && vscode.workspace.getWorkspaceFolder(document.uri)) ?? folders()[0];
    return (await this.server.request("holdfast.session.create", { workspaceUri: folder?.uri.toString() })).sessionId;
  }

  /** Answer a permission question; somebody else may have been faster, which is fine. */
  readonly answer = async (questionId: string, answer: Answer): Promise<unknown> =>
    this.server.request("holdfast.permission.answer", { questionId, answer }).catch(except("UnknownQuestion"));

  isHere({ workspaceUri }: SessionEntry): boolean {
    const plain = (uri: string) => decodeURIComponent(uri).replace(/\/+$/, "");
    return folders().some(({ uri }) => workspaceUri !== undefined && plain(uri.toString()) === plain(workspaceUri));
  }

  readonly isUnread = ({ sessionId, headSeq }: SessionEntry): boolean =>
    headSeq > (this.read[sessionId] ?? Number.POSITIVE_INFINITY);

  markRead(...sessionIds: string[]): void {
    for (const id of sessionIds) this.read[id] = this.known.get(id)?.headSeq ?? this.read[id] ?? 0;
    void this.memory.update(READ, this.read);
    this.changed();
  }

  /** Fetch the list and follow it. */
  private async refresh(): Promise<void> {
    const { sessions } = await this.server.request("holdfast.session.list", { follow: true });
    this.known.clear();
    this.take({ sessions, removed: [] });
  }

  private take({ sessions, removed }: Notifications["holdfast/sessions"]): void {
    for (const id of removed) {
      this.known.delete(id);
      delete this.read[id];
      this.gone(id);
    }
    for (const entry of sessions) this.known.set(entry.sessionId, entry);
    // What was there before this person came counts as read, and so does what is on the screen.
    const seen = sessions.filter(({ sessionId: id }) => this.read[id] === undefined || this.shown(id));
    this.markRead(...seen.map(({ sessionId }) => sessionId));
  }

  private changed(delay = TOLD_AFTER_MS): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.changes.fire();
      if (this.all().some((entry) => ticks(statusOf(entry)))) this.changed(TICK_MS);
    }, delay);
  }
}
