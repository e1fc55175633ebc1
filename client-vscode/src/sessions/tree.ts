/**
 * Where the states of sessions are shown. The tree: this folder's sessions, then other folders';
 * archived ones are hidden. The status bar: the session that needs a person most, or the server.
 */

import * as vscode from "vscode";
import { isBusy } from "../../webview/words";
import type { SessionEntry } from "../protocol";
import type { Connection } from "../server";
import { run } from "../ui";
import { ago, folderName, look, mostUrgent, opening, statusOf, titleOf } from "./look";
import type { Sessions } from "./model";

type Node = SessionEntry | { here: boolean };

const AT_REST = "comment-discussion";
const TITLE_CHARS_MAX = 28;
const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;

export function showTree(sessions: Sessions): vscode.TreeView<Node> {
  const view = vscode.window.createTreeView<Node>("holdfast.sessions", {
    showCollapseAll: true,
    treeDataProvider: {
      onDidChangeTreeData: sessions.onChange,
      getChildren: (group) => (group ? sessions.listed("here" in group && group.here) : top(sessions)),
      getTreeItem: (node) => ("here" in node ? groupItem(sessions, node.here) : sessionItem(sessions, node)),
    },
  });
  sessions.onChange(() => {
    const entries = sessions.all();
    const asking = entries.filter((entry) => entry.phase === "asking").length;
    const fresh = entries.filter((entry) => !entry.archived && sessions.isUnread(entry)).length;
    const tooltip = [asking && `${asking} asking`, fresh && `${fresh} unread`].filter(Boolean).join(", ");
    view.badge = tooltip ? { value: asking + fresh, tooltip } : undefined;
  });
  return view;
}

/** This folder's sessions by themselves while there are no others. */
function top(sessions: Sessions): Node[] {
  const here = sessions.listed(true);
  if (sessions.listed(false).length === 0) return here;
  return [...(here.length > 0 ? [{ here: true }] : []), { here: false }];
}

function groupItem(sessions: Sessions, here: boolean): vscode.TreeItem {
  const open = here || sessions.listed(true).length === 0;
  const item = new vscode.TreeItem(here ? "This folder" : "Other folders", open ? Expanded : Collapsed);
  return Object.assign(item, { id: here ? "here" : "elsewhere", contextValue: "group" });
}

function sessionItem(sessions: Sessions, entry: SessionEntry): vscode.TreeItem {
  const [now, status, title] = [Date.now(), statusOf(entry), titleOf(entry)];
  const { icon, color, text } = look(status, now);
  const unread = sessions.isUnread(entry);
  const folder = sessions.isHere(entry) ? "" : folderName(entry);
  // The state is what a narrow view must still show.
  const short = text && title.length > TITLE_CHARS_MAX;
  const label = short ? `${title.slice(0, TITLE_CHARS_MAX - 1).trimEnd()}…` : title;
  const mark = unread && status.phase === "idle" ? { icon: "circle-filled", color: "charts.blue" } : { icon, color };
  const said = [status.message, status.advice, folder && `Folder: ${folder}`];
  const changed = `Changed ${new Date(entry.updatedAt).toLocaleString()}`;
  return {
    label: unread ? { label, highlights: [[0, label.length]] } : label,
    id: entry.sessionId,
    contextValue: "session",
    description: [text || (unread ? "new" : ago(entry.updatedAt, now)), folder].filter(Boolean).join(" · "),
    iconPath: new vscode.ThemeIcon(mark.icon, mark.color ? new vscode.ThemeColor(mark.color) : undefined),
    tooltip: [title, text && `State: ${text}`, ...said, changed].filter(Boolean).join("\n"),
    accessibilityInformation: { label: [title, unread && "unread", text, folder].filter(Boolean).join(", ") },
    command: opening(entry),
  };
}

export function showStatus(sessions: Sessions): vscode.Disposable {
  const { server } = sessions;
  const item = vscode.window.createStatusBarItem("holdfast.status", 1, 50);
  item.name = "Holdfast";
  const draw = () => {
    const { connection } = server;
    const entry = connection.state === "connected" ? mostUrgent(sessions.listed(true), Date.now()) : undefined;
    void run("setContext", "holdfast.working", isBusy(entry?.phase));
    const { icon, text, warn, ...more } = entry ? ofSession(entry) : ofServer(connection);
    const label = text ? `Holdfast: ${text}` : "Holdfast";
    const backgroundColor = warn ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
    const accessibilityInformation = { label, role: "button" };
    Object.assign(item, { ...more, text: `$(${icon}) ${label}`, accessibilityInformation, backgroundColor });
  };
  draw();
  item.show();
  return vscode.Disposable.from(item, server.onConnection(draw), sessions.onChange(draw));
}

function ofSession(entry: SessionEntry) {
  const status = statusOf(entry);
  const { icon, text } = look(status, Date.now());
  const tooltip = [titleOf(entry), text, status.message, status.advice].filter(Boolean).join("\n");
  const warn = status.phase === "paused" || status.phase === "asking";
  return { icon: text ? icon : AT_REST, text, tooltip, warn, command: opening(entry) };
}

function ofServer({ state, message: tooltip = "Holdfast: open the chat" }: Connection) {
  const [warn, resting] = [state === "stopped", state === "idle" || state === "connected"];
  const icon = resting ? AT_REST : warn ? "error" : "loading~spin";
  return { icon, text: resting ? "" : state, tooltip, warn, command: `holdfast.ui.${warn ? "showLog" : "focusChat"}` };
}
