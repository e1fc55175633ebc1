/** What a tool call did to a file, or would do, in VS Code's own diff editor. */

import * as vscode from "vscode";
import type { ToolDiff } from "./protocol";
import type { Server } from "./server";
import { inform, Owner, run } from "./ui";

const SCHEME = "holdfast-diff";
const KEPT_MAX = 20;

const WHAT = { proposed: "proposed change", applied: "change", unknown: "change, outcome unknown" };

export class Diffs extends Owner implements vscode.TextDocumentContentProvider {
  private readonly fetched = new Map<string, ToolDiff>();

  constructor(private readonly server: Server) {
    super();
    this.own(vscode.workspace.registerTextDocumentContentProvider(SCHEME, this));
  }

  async show(sessionId: string, toolUseId: string): Promise<void> {
    const diff = await this.fetch(sessionId, toolUseId);
    const nothing = diff.before === null && diff.after === null;
    if (nothing) return void inform(`there is nothing to compare. ${diff.reason ?? ""}`);
    const { path } = vscode.Uri.parse(diff.uri);
    const [before, after] = ["before", "after"].map((side) => {
      const query = new URLSearchParams({ sessionId, toolUseId, side }).toString();
      return vscode.Uri.from({ scheme: SCHEME, path, query });
    });
    const title = `${path.split("/").at(-1)} (${WHAT[diff.state]})`;
    await run("vscode.diff", before, after, title, { preview: true });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const query = new URLSearchParams(uri.query);
    const [sessionId, toolUseId] = [query.get("sessionId") ?? "", query.get("toolUseId") ?? ""];
    // A tab that a reload brought back has nothing fetched yet.
    const diff = this.fetched.get(`${sessionId} ${toolUseId}`) ?? (await this.fetch(sessionId, toolUseId));
    return (query.get("side") === "before" ? diff.before : diff.after) ?? "";
  }

  private async fetch(sessionId: string, toolUseId: string): Promise<ToolDiff> {
    const diff = await this.server.request("holdfast.tool.diff", { sessionId, toolUseId });
    this.fetched.set(`${sessionId} ${toolUseId}`, diff);
    const oldest = this.fetched.keys().next().value;
    if (this.fetched.size > KEPT_MAX && oldest !== undefined) this.fetched.delete(oldest);
    return diff;
  }
}
