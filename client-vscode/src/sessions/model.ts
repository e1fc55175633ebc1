/**
 * The list of sessions as the server tells it, and what this person has read of it. Law: a copy,
 * thrown away and fetched anew with each connection; only marks of what was read are kept here.
 */

import * as vscode from "vscode";
import type { Notifications, SessionEntry } from "../protocol";
import type { Server } from "../server";
import { folders, noteTo, Owner } from "../ui";

const READ = "holdfast.read";
const CURRENT = "holdfast.current";

export class Sessions extends Owner {
  private readonly known = new Map<string, SessionEntry>();
  private readonly read: Record<string, number>;
  private readonly changes = this.own(new vscode.EventEmitter<void>());
  private readonly gone = this.own(new vscode.EventEmitter<string>());
  readonly onChange = this.changes.event;
  /** Sessions that were deleted. */
  readonly onGone = this.gone.event;
  /** Says whether a person sees the session now. */
  shown: (sessionId: string) => boolean = () => false;

  constructor(private readonly server: Server, private readonly memory: vscode.Memento) {
    super();
    this.read = { ...memory.get<Record<string, number>>(READ) };
    this.own(server.onConnection(({ state }) => (state === "connected" ? this.refresh() : this.changes.fire())));
    this.own(server.on("holdfast/sessions", (params) => this.take(params)));
    this.own(server.on("holdfast/status", (status) => {
      const entry = this.known.get(status.sessionId);
      if (!entry) return;
      this.known.set(status.sessionId, { ...entry, phase: status.phase, status });
      this.changes.fire();
    }));
  }

  /** Newest first. */
  all(): SessionEntry[] {
    return [...this.known.values()].sort((a, b) => b.updatedAt - a.updatedAt);
  }

  get(sessionId: string): SessionEntry | undefined {
    return this.known.get(sessionId);
  }

  /** The session that the chat view shows. */
  get current(): string | undefined {
    return this.memory.get<string>(CURRENT);
  }

  async choose(sessionId: string | undefined): Promise<void> {
    await this.memory.update(CURRENT, sessionId);
    if (sessionId) this.markRead(sessionId);
    this.changes.fire();
  }

  isHere({ workspaceUri }: SessionEntry): boolean {
    const plain = (uri: string) => decodeURIComponent(uri).replace(/\/+$/, "");
    return folders().some(({ uri }) => workspaceUri !== undefined && plain(uri.toString()) === plain(workspaceUri));
  }

  isUnread({ sessionId, headSeq }: SessionEntry): boolean {
    return headSeq > (this.read[sessionId] ?? Number.POSITIVE_INFINITY);
  }

  markRead(...sessionIds: string[]): void {
    for (const id of sessionIds) this.read[id] = this.known.get(id)?.headSeq ?? this.read[id] ?? 0;
    this.changed();
  }

  /** Fetch the list and follow it. */
  private async refresh(): Promise<void> {
    try {
      const { sessions } = await this.server.request("holdfast.session.list", { follow: true });
      this.known.clear();
      this.take({ sessions, removed: [] });
    } catch (error) {
      noteTo(this.server.log, "the list of sessions")(error);
    }
  }

  private take({ sessions, removed }: Notifications["holdfast/sessions"]): void {
    for (const id of removed) {
      this.known.delete(id);
      delete this.read[id];
      this.gone.fire(id);
    }
    for (const entry of sessions) {
      const { sessionId, headSeq } = entry;
      this.known.set(sessionId, entry);
      // What was there before this person came counts as read, and so does what is on the screen.
      if (this.read[sessionId] === undefined || this.shown(sessionId)) this.read[sessionId] = headSeq;
    }
    this.changed();
  }

  private changed(): void {
    void this.memory.update(READ, this.read);
    this.changes.fire();
  }
}
