/**
 * The palette: each command of the server that makes sense for a person, with what it needs asked
 * for. Law: a command is a picker and a request; what it means is the server's.
 */

import { randomUUID } from "node:crypto";
import { homedir } from "node:os";
import * as vscode from "vscode";
import { emptyDraft } from "../chat/outbox";
import type { Chats, Services } from "../chat/view";
import { compareCompacted, selectionMention, showCompacted, showPage } from "../editor";
import type { Argument, CommandName, Compacted, ExportFormat, Result } from "../protocol";
import { ANSWERS } from "../questions";
import { diagnosis, issue } from "../report";
import { transcriptCommands } from "../transcripts";
import { ask, confirm, folders, inform, pick, showText, tell, type Choice } from "../ui";
import wording from "../wording.json";
import { ago, folderName, look, statusOf, titleOf } from "./look";
import type { Sessions } from "./model";

type Command = (given?: { sessionId?: string }) => unknown;
type On<K extends CommandName> = Omit<Argument<K>, "sessionId">;

const { Separator } = vscode.QuickPickItemKind;
const FORMATS = wording.formats as Choice<ExportFormat>[];
const LOSS = "The session and all it holds are deleted from the disk. This cannot be undone.";

export function registerCommands(services: Services, chats: Chats): vscode.Disposable {
  const parts = [sessionCommands, otherCommands, transcriptCommands].map((part) => part(services, chats));
  const told = (error: unknown) => tell(error, services.server.log);
  const guarded = (command: Command): Command => (given) => Promise.resolve(given).then(command).catch(told);
  const register = ([name, command]: [string, Command]) =>
    vscode.commands.registerCommand(`holdfast.ui.${name}`, guarded(command));
  return vscode.Disposable.from(...parts.flatMap(Object.entries).map(register));
}

function sessionCommands({ server, sessions }: Services, chats: Chats): Record<string, Command> {
  /** Runs with the session that is meant: clicked on, looked at, or picked. */
  const on = (title: string, work: (sessionId: string) => unknown): Command => async (given) => {
    const sessionId = given?.sessionId ?? chats.active ?? (await pickSession(sessions, title));
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
    const argument = { sessionId, ...needed } as unknown as Argument<K>;
    if (needed) await done(await server.request(command, argument), sessionId);
  });
  const compaction = async (sessionId: string, show: (of: Compacted) => unknown) => {
    const { compactions } = await server.request("holdfast.session.compactions", { sessionId });
    if (compactions.length === 0) return inform("nothing was compacted yet.");
    const picked = await pick("which compaction?", compactions.reverse().map((it) => {
      const description = `${it.sizes} · ${ago(it.startedAt, Date.now())}`;
      return { value: it.compactionId, label: it.label, description, detail: it.reasons };
    }));
    return picked && show({ sessionId, compactionId: picked });
  };
  const name = (sessionId: string) => titleOf(sessions.all().find((it) => it.sessionId === sessionId) ?? { title: "" });

  return {
    openInTab: on("open in a tab", (id) => chats.openInTab(id)),
    stop: call("stop", "holdfast.turn.stop"),
    resume: call("continue", "holdfast.turn.resume"),
    retry: call("retry now", "holdfast.turn.retry"),
    answer: on("answer a question", async (sessionId) => {
      const { questions } = await server.request("holdfast.session.state", { sessionId });
      if (questions.length === 0) return inform("nothing is asked.");
      const offers = Object.entries(ANSWERS);
      const answers = questions.flatMap(({ questionId, title, detail }) => offers.map(([label, value]) => (
        { value: () => sessions.answer(questionId, value), label: `${label}: ${title}`, detail }
      )));
      return (await pick("answer a question", answers))?.();
    }),
    selectModel: call("select a model", "holdfast.model.select", (sessionId) =>
      pick("who answers this session?", server.request("holdfast.model.choices", { sessionId }).then(({ choices }) =>
        choices.flatMap(({ group, model, endpoint, ...words }, at) => [
          ...(group === choices[at - 1]?.group ? [] : [{ label: group, kind: Separator, value: {} }]),
          { ...words, value: { model, endpoint } },
        ])))),
    compact: call("compact", "holdfast.session.compact", async () => {
      const instructions = await ask("compact", "", { prompt: "What must be kept? Enter: nothing in particular." });
      return instructions === undefined ? undefined : { instructions: instructions.trim() || undefined };
    }),
    cancelCompaction: call("cancel compaction", "holdfast.session.cancelCompaction"),
    undoCompaction: call("undo compaction", "holdfast.session.undoCompaction", undefined, ({ compactionId }) =>
      inform(compactionId ? "the compaction is undone." : "there is no compaction to undo.")),
    redoCompaction: call("redo compaction", "holdfast.session.redoCompaction", undefined, ({ compactionId }) =>
      inform(compactionId ? "the compaction is in force again." : "there is no compaction to redo.")),
    showCompaction: on("show what was compacted", (id) => compaction(id, showCompacted)),
    compareCompaction: on("compare a compaction", (id) => compaction(id, compareCompacted)),
    repair: call("check and repair", "holdfast.session.repair", async (sessionId) => {
      const { findings, report } = await server.request("holdfast.session.repair", { sessionId, dryRun: true });
      if (findings.length === 0) return void inform("the history is healthy.");
      await showText(report, "markdown");
      const offer = `the history has ${findings.length} fault(s). The page says what a repair changes; it can be undone.`;
      return (await inform(offer, "Repair")) ? {} : undefined;
    }),
    undoRepair: call("undo a repair", "holdfast.session.repair", async (sessionId) => {
      const conversation = sessions.conversation(sessionId);
      await conversation.open();
      const repairs = (conversation.session?.repairs ?? []).map((undo) => ({ value: { undo }, label: undo }));
      return pick("undo which repair?", repairs.reverse());
    }),
    rewind: call("rewind", "holdfast.session.rewind", async (sessionId) => {
      const { items } = await server.request("holdfast.session.items", { sessionId, limit: 1_000 });
      const prompts = items.filter((item) => item.kind === "prompt").filter(({ state }) => state === "sent").reverse();
      return pick("rewind to before which prompt?", prompts.map(({ promptId, text, atMs }) => {
        const label = text.split("\n")[0]?.slice(0, 100) || "(image)";
        return { value: { promptId }, label, description: ago(atMs, Date.now()) };
      }));
    }),
    fork: call("fork", "holdfast.session.fork", (id) => ({ title: `${name(id)} (fork)` }), ({ sessionId }) =>
      chats.open(sessionId)),
    rename: call("rename", "holdfast.session.rename", async (id) => {
      const title = (await ask("rename", name(id)))?.trim();
      return title ? { title } : undefined;
    }),
    archive: call("archive", "holdfast.session.archive", () => ({ archived: true }), (_, id) => chats.close(id)),
    delete: call("delete", "holdfast.session.delete", async (id) =>
      (await confirm(`Delete “${name(id)}”?`, LOSS, "Delete")) ? {} : undefined),
    export: on("export", async (sessionId) => {
      const format = await pick("export as", FORMATS);
      if (!format) return;
      const { content } = await server.request("holdfast.session.export", { sessionId, format });
      const stem = name(sessionId).replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60);
      const file = `${stem}.${format === "markdown" ? "md" : "jsonl"}`;
      const defaultUri = vscode.Uri.joinPath(folders()[0]?.uri ?? vscode.Uri.file(homedir()), file);
      const uri = await vscode.window.showSaveDialog({ defaultUri, title: "Export Session" });
      if (!uri) return;
      await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(content));
      await vscode.window.showTextDocument(uri);
    }),
  };
}

function otherCommands(services: Services, chats: Chats): Record<string, Command> {
  const { server, sessions, credentials } = services;
  return {
    newSession: async () => chats.open(await sessions.create()),
    openSession: async (given) => {
      const sessionId = given?.sessionId ?? (await pickSession(sessions, "open a session"));
      if (sessionId) await chats.open(sessionId);
    },
    ask: async () => {
      const text = await ask("ask");
      if (!text?.trim()) return;
      const sessionId = chats.active ?? (await sessions.create());
      await chats.open(sessionId);
      await sessions.conversation(sessionId).send({ promptId: randomUUID(), draft: { ...emptyDraft, text } });
    },
    restore: async () => {
      const sessionId = await pickSession(sessions, "restore an archived session", true);
      if (sessionId) await server.request("holdfast.session.archive", { sessionId, archived: false });
    },
    markAllRead: () => sessions.markRead(...sessions.all().map(({ sessionId }) => sessionId)),
    focusChat: () => chats.focus(),
    mentionSelection: async () => {
      const mention = selectionMention();
      if (mention) (await chats.focus())?.post({ type: "mention", mention });
    },
    setKey: async ({ sessionId: id } = {}) => credentials.ask(id && sessions.conversation(id).session?.endpoint),
    forgetKey: () => credentials.forget(),
    restartServer: () => server.restart("asked for"),
    repairInstallation: () =>
      server.environment.forget().then(() => server.restart("the installation is repaired")),
    showLog: () => server.log.show(),
    diagnose: async (given) => showPage("Diagnosis", await diagnosis(services, given?.sessionId ?? chats.active)),
    report: async () => showText(await issue(services, chats.active), "markdown"),
  };
}

/** A session, those of this folder first. */
function pickSession(sessions: Sessions, title: string, archived = false): Promise<string | undefined> {
  const now = Date.now();
  const open = [...sessions.listed(true), ...sessions.listed(false)];
  const listed = archived ? sessions.all().filter((entry) => entry.archived) : open;
  return pick(title, listed.map((entry) => {
    const { icon, text } = look(statusOf(entry), now);
    const description = [text || ago(entry.updatedAt, now), folderName(entry)].filter(Boolean).join(" · ");
    return { value: entry.sessionId, label: `$(${icon}) ${titleOf(entry)}`, description };
  }));
}
