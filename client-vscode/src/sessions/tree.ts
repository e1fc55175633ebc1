/** The view of sessions: this folder's, then other folders'; archived ones are hidden. */

import * as vscode from "vscode";
import type { SessionEntry } from "../protocol";
import { Owner } from "../ui";
import { ago, look, statusOf, ticks, titleOf } from "./look";
import type { Sessions } from "./model";

export type Node = { kind: "group"; here: boolean } | { kind: "session"; sessionId: string };

const REDRAW_MS = 250;
const TICK_MS = 1_000;
const TITLE_CHARS_MAX = 28;
const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;

export class SessionTree extends Owner implements vscode.TreeDataProvider<Node> {
  private readonly changes = this.own(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.changes.event;
  readonly view: vscode.TreeView<Node>;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly sessions: Sessions) {
    super();
    const options = { treeDataProvider: this, showCollapseAll: true };
    this.view = this.own(vscode.window.createTreeView<Node>("holdfast.sessions", options));
    this.own(sessions.onChange(() => this.redraw(REDRAW_MS)));
    this.own({ dispose: () => clearTimeout(this.timer) });
  }

  getChildren(group?: Node): Node[] {
    const [here, elsewhere] = [this.listed(true), this.listed(false)];
    if (group === undefined && elsewhere.length > 0) {
      return [...(here.length > 0 ? [{ kind: "group" as const, here: true }] : []), { kind: "group", here: false }];
    }
    return (group?.kind === "group" && !group.here ? elsewhere : here).map(node);
  }

  getTreeItem(given: Node): vscode.TreeItem {
    if (given.kind === "group") {
      const open = given.here || this.listed(true).length === 0;
      const item = new vscode.TreeItem(given.here ? "This folder" : "Other folders", open ? Expanded : Collapsed);
      return Object.assign(item, { id: given.here ? "here" : "elsewhere", contextValue: "group" });
    }
    const entry = this.sessions.get(given.sessionId);
    return entry ? this.item(entry) : new vscode.TreeItem("");
  }

  private listed(here: boolean): SessionEntry[] {
    return this.sessions.all().filter((entry) => !entry.archived && this.sessions.isHere(entry) === here);
  }

  private item(entry: SessionEntry): vscode.TreeItem {
    const [now, status, title] = [Date.now(), statusOf(entry), titleOf(entry)];
    const { icon, color, text } = look(status, now);
    const unread = this.sessions.isUnread(entry);
    const folder = this.sessions.isHere(entry) ? "" : folderName(entry);
    // The state is what a narrow view must still show.
    const short = text && title.length > TITLE_CHARS_MAX;
    const label = short ? `${title.slice(0, TITLE_CHARS_MAX - 1).trimEnd()}…` : title;
    const mark = unread && status.phase === "idle" ? { icon: "circle-filled", color: "charts.blue" } : { icon, color };
    const changed = `Changed ${new Date(entry.updatedAt).toLocaleString()}`;
    const lines = [title, text && `State: ${text}`, status.message, status.advice, folder && `Folder: ${folder}`, changed];
    return {
      label: unread ? { label, highlights: [[0, label.length]] } : label,
      id: entry.sessionId,
      contextValue: "session",
      description: [text || (unread ? "new" : ago(entry.updatedAt, now)), folder].filter(Boolean).join(" · "),
      iconPath: new vscode.ThemeIcon(mark.icon, mark.color ? new vscode.ThemeColor(mark.color) : undefined),
      tooltip: lines.filter(Boolean).join("\n"),
      accessibilityInformation: { label: [title, unread && "unread", text, folder].filter(Boolean).join(", ") },
      command: opening(entry),
    };
  }

  private redraw(delay: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.changes.fire();
      const entries = this.sessions.all();
      const asking = entries.filter((entry) => entry.phase === "asking").length;
      const fresh = entries.filter((entry) => !entry.archived && this.sessions.isUnread(entry)).length;
      const tooltip = [asking && `${asking} asking`, fresh && `${fresh} unread`].filter(Boolean).join(", ");
      this.view.badge = tooltip ? { value: asking + fresh, tooltip } : undefined;
      if (this.view.visible && entries.some((entry) => ticks(statusOf(entry)))) this.redraw(TICK_MS);
    }, delay);
  }
}

export const node = ({ sessionId }: { sessionId: string }): Node => ({ kind: "session", sessionId });

/** The command that shows a session. */
export const opening = (entry: { sessionId: string }, title = "Open"): vscode.Command =>
  ({ command: "holdfast.ui.openSession", title, arguments: [node(entry)] });

export const folderName = ({ workspaceUri = "" }: SessionEntry): string =>
  decodeURIComponent(workspaceUri.replace(/\/+$/, "").split("/").at(-1) ?? "");
