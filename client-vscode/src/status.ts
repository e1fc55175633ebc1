/** The status bar item: the state of the session that needs a person most, or of the server. */

import * as vscode from "vscode";
import { isBusy } from "../webview/words";
import type { SessionEntry } from "./protocol";
import type { Server } from "./server";
import { look, mostUrgent, statusOf, ticks, titleOf } from "./sessions/look";
import type { Sessions } from "./sessions/model";
import { opening } from "./sessions/tree";
import { Owner, run } from "./ui";

const TICK_MS = 1_000;

export class StatusItem extends Owner {
  private readonly item = this.own(vscode.window.createStatusBarItem("holdfast.status", 1, 50));
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly server: Server, private readonly sessions: Sessions) {
    super();
    this.item.name = "Holdfast";
    this.own(server.onConnection(() => this.draw()));
    this.own(sessions.onChange(() => this.draw()));
    this.own({ dispose: () => clearTimeout(this.timer) });
    this.draw();
    this.item.show();
  }

  private draw(): void {
    const { state, message } = this.server.connection;
    const here = this.sessions.all().filter((entry) => !entry.archived && this.sessions.isHere(entry));
    const entry = state === "connected" ? mostUrgent(here, Date.now()) : undefined;
    void run("setContext", "holdfast.working", isBusy(entry?.phase));
    if (entry) return this.drawSession(entry);
    const [stopped, resting] = [state === "stopped", state === "idle" || state === "connected"];
    const icon = resting ? "comment-discussion" : stopped ? "error" : "loading~spin";
    this.show(icon, resting ? "" : state, message ?? "Holdfast: open the chat", stopped);
    this.item.command = stopped ? "holdfast.ui.showLog" : "holdfast.ui.focusChat";
  }

  private drawSession(entry: SessionEntry): void {
    const status = statusOf(entry);
    const { icon, text } = look(status, Date.now());
    const tooltip = [titleOf(entry), text, status.message, status.advice].filter(Boolean).join("\n");
    this.show(text ? icon : "comment-discussion", text, tooltip, ["paused", "asking"].includes(status.phase));
    this.item.command = opening(entry);
    clearTimeout(this.timer);
    if (ticks(status)) this.timer = setTimeout(() => this.draw(), TICK_MS);
  }

  private show(icon: string, text: string, tooltip: string, warn: boolean): void {
    const label = text ? `Holdfast: ${text}` : "Holdfast";
    const backgroundColor = warn ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
    const accessibilityInformation = { label, role: "button" };
    Object.assign(this.item, { text: `$(${icon}) ${label}`, tooltip, accessibilityInformation, backgroundColor });
  }
}
