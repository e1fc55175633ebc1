/**
 * The palette: each command of the server that makes sense for a person, with what it needs asked
 * for. Law: a command is a picker and a request; what it means is the server's.
 */

import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import { emptyDraft } from "../chat/outbox";
import { answer, createSession, type Chats, type Services } from "../chat/view";
import { selectionMention } from "../editor";
import { diagnosis, issue } from "../report";
import type { Answer, Argument, CommandName, ExportFormat, Result } from "../protocol";
import { ask, confirm, folders, inform, pick, showText, tell, type Choice } from "../ui";
import { titleOf } from "./look";
import { pickModel, pickPrompt, pickSession } from "./pickers";
import type { Node } from "./tree";

type Command = (given?: Node) => unknown;
type On<K extends CommandName> = Omit<Argument<K>, "sessionId">;

const ANSWERS: Choice<Answer>[] = [
  { value: "allow", label: "Allow" },
  { value: "allowAlways", label: "Always allow" },
  { value: "deny", label: "Deny" },
];
const FORMATS: Choice<ExportFormat>[] = [
  { value: "markdown", label: "Markdown", description: "to read" },
  { value: "jsonl", label: "JSON lines", description: "the whole journal" },
  { value: "claude-code", label: "Claude Code", description: "a transcript that it can resume" },
];
const KEEP = { prompt: "What must be kept? Enter: nothing in particular." };
const TRANSCRIPTS = { Transcripts: ["jsonl", "json"], "All files": ["*"] };

export function registerCommands(services: Services, chats: Chats): vscode.Disposable {
  const { log } = services.server;
  const table = { ...sessionCommands(services, chats), ...otherCommands(services, chats) };
  const guarded = (command: Command) => async (given?: Node) => {
    try {
      return await command(given);
    } catch (error) {
      return tell(error, log);
    }
  };
  const register = vscode.commands.registerCommand;
  const registrations = Object.entries(table).map(([name, it]) => register(`holdfast.ui.${name}`, guarded(it)));
  return vscode.Disposable.from(...registrations);
}

function sessionCommands({ server, sessions, conversations }: Services, chats: Chats): Record<string, Command> {
  /** Runs with the session that is meant: clicked on, looked at, or picked. */
  const on = (title: string, work: (sessionId: string) => unknown): Command => async (given) => {
    const meant = given?.kind === "session" ? given.sessionId : chats.active;
    const sessionId = meant ?? (await pickSession(sessions, title));
    return sessionId === undefined ? undefined : work(sessionId);
  };
  /** Asks for what a command of the server needs (undefined: a person has thought better of it), then calls it. */
  const call = <K extends CommandName>(
    title: string,
    command: K,
    need: (sessionId: string) => On<K> | undefined | Promise<On<K> | undefined> = () => ({}) as On<K>,
    done: (result: Result<K>, sessionId: string) => unknown = () => {},
  ): Command => on(title, async (sessionId) => {
    const needed = await need(sessionId);
    if (needed) await done(await server.request(command, { sessionId, ...needed } as unknown as Argument<K>), sessionId);
  });
  const name = (sessionId: string) => titleOf(sessions.get(sessionId) ?? { title: "" });
  const open = ({ sessionId }: { sessionId: string }) => chats.open(sessionId);

  return {
    openInTab: on("open in a tab", (sessionId) => chats.openInTab(sessionId)),
    stop: call("stop", "holdfast.turn.stop"),
    resume: call("continue", "holdfast.turn.resume"),
    retry: call("retry now", "holdfast.turn.retry"),
    answer: on("answer a question", async (sessionId) => {
      const { questions } = await server.request("holdfast.session.state", { sessionId });
      if (questions.length === 0) return inform("nothing is asked.");
      const choices = questions.map((each) => ({ value: each, label: each.title, detail: each.detail }));
      const question = await pick("answer which question?", choices);
      const given = question && (await pick(question.title, ANSWERS));
      return given && answer(server, question.questionId, given);
    }),
    selectModel: call("select a model", "holdfast.model.select", () => pickModel(server)),
    compact: call("compact", "holdfast.session.compact", async () => {
      const instructions = (await ask("compact", "", KEEP))?.trim();
      return instructions === undefined ? undefined : instructions ? { instructions } : {};
    }),
    cancelCompaction: call("cancel compaction", "holdfast.session.cancelCompaction"),
    undoCompaction: call("undo compaction", "holdfast.session.undoCompaction", undefined, ({ compactionId }) =>
      inform(compactionId ? "the compaction is undone." : "there is no compaction to undo.")),
    repair: on("check and repair", async (sessionId) => {
      const { findings } = await server.request("holdfast.session.repair", { sessionId, dryRun: true });
      if (findings.length === 0) return inform("the history is healthy.");
      const found = findings.map(({ rule, detail }) => `${rule}: ${detail}`).slice(0, 10).join("\n");
      const detail = `${found}\n\nThe repair is a record of its own and can be undone.`;
      if (!(await confirm(`The history has ${findings.length} fault(s).`, detail, "Repair"))) return;
      const { repairId } = await server.request("holdfast.session.repair", { sessionId });
      const undo = repairId && (await inform("the history is repaired.", "Undo"));
      return undo && server.request("holdfast.session.repair", { sessionId, undo: repairId });
    }),
    undoRepair: call("undo a repair", "holdfast.session.repair", async (sessionId) => {
      const session = await conversations.using(sessionId, (it) => it.open().then(() => it.session));
      const repairs = [...(session?.repairs ?? [])].reverse();
      const undo = await pick("undo which repair?", repairs.map((value) => ({ value, label: value })));
      return undo ? { undo } : undefined;
    }),
    rewind: call("rewind", "holdfast.session.rewind", (id) => pickPrompt(server, id)),
    fork: call("fork", "holdfast.session.fork", (id) => ({ title: `${name(id)} (fork)` }), open),
    rename: call("rename", "holdfast.session.rename", async (id) => {
      const title = (await ask("rename", name(id)))?.trim();
      return title ? { title } : undefined;
    }),
    archive: call("archive", "holdfast.session.archive", () => ({ archived: true }), (_, id) => chats.close(id)),
    delete: call("delete", "holdfast.session.delete", async (id) => {
      const loss = "The session and all it holds are deleted from the disk. This cannot be undone.";
      return (await confirm(`Delete “${name(id)}”?`, loss, "Delete")) ? {} : undefined;
    }),
    export: on("export", async (sessionId) => {
      const format = await pick("export as", FORMATS);
      if (!format) return;
      const { content } = await server.request("holdfast.session.export", { sessionId, format });
      const stem = name(sessionId).replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60);
      const folder = folders()[0]?.uri;
      const file = `${stem}.${format === "markdown" ? "md" : "jsonl"}`;
      const defaultUri = folder && vscode.Uri.joinPath(folder, file);
      const uri = await vscode.window.showSaveDialog({ defaultUri, title: "Export Session" });
      if (!uri) return;
      await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(content));
      await vscode.window.showTextDocument(uri);
    }),
  };
}

function otherCommands(services: Services, chats: Chats): Record<string, Command> {
  const { server, sessions, conversations, credentials } = services;
  return {
    newSession: async () => chats.open(await createSession(server)),
    openSession: async (given) => {
      const sessionId = given?.kind === "session" ? given.sessionId : await pickSession(sessions, "open a session");
      if (sessionId) await chats.open(sessionId);
    },
    ask: async () => {
      const text = await ask("ask");
      if (!text?.trim()) return;
      const sessionId = chats.active ?? (await createSession(server));
      await chats.open(sessionId);
      await conversations.using(sessionId, (it) => it.send(randomUUID(), { ...emptyDraft, text }));
    },
    restore: async () => {
      const sessionId = await pickSession(sessions, "restore an archived session", ({ archived }) => archived);
      if (sessionId) await server.request("holdfast.session.archive", { sessionId, archived: false });
    },
    import: async () => {
      const files = await vscode.window.showOpenDialog({ title: "Import Transcript", filters: TRANSCRIPTS });
      const workspaceUri = folders()[0]?.uri.toString();
      for (const uri of files ?? []) {
        const argument = { uri: uri.toString(), ...(workspaceUri ? { workspaceUri } : {}) };
        await chats.open((await server.request("holdfast.session.import", argument)).sessionId);
      }
    },
    markAllRead: () => sessions.markRead(...sessions.all().map(({ sessionId }) => sessionId)),
    focusChat: () => chats.focus(),
    mentionSelection: () => {
      const mention = selectionMention();
      return mention && chats.mention(mention);
    },
    setKey: () => credentials.ask(),
    forgetKey: () => credentials.forget(),
    restartServer: () => server.restart("asked for"),
    repairInstallation: async () => {
      await server.environment.forget();
      await server.restart("the installation is repaired");
    },
    showLog: () => server.log.show(),
    diagnose: async () => showText(await diagnosis(services), "markdown"),
    report: async () => showText(await issue(services, chats.active), "markdown"),
  };
}
