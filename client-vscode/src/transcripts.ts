/**
 * Transcripts of other agents, above all Claude Code's sessions: to look at, check, repair and go on
 * with. Law: the server reads and mends; here a person chooses, and sees what came of it.
 */

import * as vscode from "vscode";
import { bytes } from "../webview/words";
import type { Chats, Services } from "./chat/view";
import type { Transcript } from "./protocol";
import { ago } from "./sessions/look";
import { inform, pick, run, type Choice } from "./ui";
import wording from "./wording.json";

const FILES = { Transcripts: ["jsonl", "json"], "All files": ["*"] };

export function transcriptCommands({ server }: Services, chats: Chats) {
  /** Runs with the file that is meant: clicked on, looked at, or picked. */
  const on = (work: (uri: string, path: string) => unknown) => async (given?: object) => {
    // Of the tab: a file that is too large for the editor has one, too.
    const { uri: shown } = (vscode.window.tabGroups.activeTabGroup.activeTab?.input ?? {}) as Partial<vscode.TabInputText>;
    const meant = given instanceof vscode.Uri ? given : shown?.path.endsWith(".jsonl") ? shown : undefined;
    const file = meant ?? (await vscode.window.showOpenDialog({ title: "Transcript", filters: FILES }))?.[0];
    if (file) await work(file.toString(), vscode.workspace.asRelativePath(file));
  };
  const repair = (inPlace: boolean) => on(async (uri) => {
    const done = await server.request("holdfast.transcript.repair", { uri: await saved(uri), inPlace });
    await run("vscode.open", vscode.Uri.parse(done.outputUri ?? uri));
    const where = inPlace ? `in place, the old file is ${done.backup?.split(/[\\/]/).at(-1) ?? "this one"}` : "in this copy";
    const left = done.unrepaired.length > 0 ? `; ${counted(done.unrepaired.length, "part")} could not be saved` : "";
    void inform(`${counted(done.repairs.length, "repair")} ${where}${left}.`);
  });

  return {
    transcripts: async () => {
      const { sessions } = await server.request("holdfast.transcript.list", {});
      if (sessions.length === 0) return inform("Claude Code has no sessions here.");
      const picked = await pick("Claude Code's sessions", sessions.map((it) => row(it, Date.now())));
      const command = picked && (await pick(picked.title, wording.transcripts));
      return command && run(command, vscode.Uri.file(picked.path));
    },
    checkTranscript: on(async (uri, path) => {
      const { findings } = await server.request("holdfast.transcript.check", { uri });
      if (findings.length === 0) return inform(`${path} is healthy.`);
      await run("vscode.open", vscode.Uri.parse(uri));
      await run("workbench.actions.view.problems");
    }),
    repairTranscript: repair(false),
    repairTranscriptInPlace: repair(true),
    import: on(async (uri) => {
      const { sessionId } = await server.request("holdfast.transcript.import", { uri: await saved(uri) });
      await chats.open(sessionId);
    }),
  };
}

/** What was typed into the file counts, too. */
const saved = async (uri: string): Promise<string> =>
  (await vscode.workspace.textDocuments.find((it) => it.isDirty && it.uri.toString() === uri)?.save(), uri);

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** One of Claude Code's sessions, which it deletes when they were not used for some time. */
function row(it: Transcript, now: number): Choice<Transcript> {
  const { icon, words } = wording.health[it.health as keyof typeof wording.health] ?? wording.health.unreadable;
  const left = it.deletedInDays < 1 ? "may be deleted today" : `kept for ${counted(Math.floor(it.deletedInDays), "more day")}`;
  const description = `${ago(it.usedAtMs, now)} · ${bytes(it.size)} · ${left}`;
  return { value: it, label: `$(${icon}) ${it.title || it.sessionId}`, description, detail: `${words} · ${it.cwd}` };
}
