/** What the chat does in the editor: open files, links and diffs, find files, put code into the text. */

import * as vscode from "vscode";
import type { WorkspaceEdit } from "vscode-languageclient/node";
import type { Call, Compacted, Mention } from "./protocol";
import type { Server } from "./server";
import { folders, inform, run, showText } from "./ui";

/** A formatter that runs on saving may hang; the server waits for its edit meanwhile. */
const SAVE_TIMEOUT_MS = 5_000;
const FOUND_MAX = 50;
const SCHEME = "holdfast-diff";
const WHAT = { proposed: "proposed change", applied: "change", unknown: "change, outcome unknown" };
const PAGES = { covered: "Compacted part", summary: "Summary" };
const READER = "vscode.markdown.preview.editor";
const PREVIEW = { needsConfirmation: true, label: "Holdfast: apply code" };
const EXCLUDED = "**/{node_modules,.git,.venv,__pycache__}/**";

/** Open a file of the workspace, or any by its absolute path. */
export async function openFile(path: string, line?: number): Promise<void> {
  const absolute = /^([\\/]|[a-z]:[\\/])/i.test(path);
  const candidates = absolute ? [vscode.Uri.file(path)] : folders().map(({ uri }) => vscode.Uri.joinPath(uri, path));
  const found = (uri: vscode.Uri) => vscode.workspace.fs.stat(uri).then(() => uri, () => undefined);
  const uri = (await Promise.all(candidates.map(found))).find((each) => each !== undefined);
  if (!uri) return void vscode.window.showWarningMessage(`Holdfast: ${path} was not found.`);
  const selection = line === undefined ? undefined : new vscode.Range(line - 1, 0, line - 1, 0);
  await vscode.window.showTextDocument(uri, { preview: true, selection });
}

/** Follow a link of an answer into the web; links to files come as files, commands never. */
export async function openLink(href: string): Promise<void> {
  if (/^(https?|mailto):/i.test(href)) await vscode.env.openExternal(vscode.Uri.parse(href, true));
}

/** What a tool call did to a file, or would do, in VS Code's own diff editor. */
export async function showDiff(server: Server, call: Call): Promise<void> {
  const { before, after, uri, state, reason = "" } = await server.request("holdfast.tool.diff", call);
  if (before === null && after === null) return void inform(`there is nothing to compare. ${reason}`);
  const { path } = vscode.Uri.parse(uri);
  const [left, right] = ["before", "after"].map((side) =>
    vscode.Uri.from({ scheme: SCHEME, path, query: JSON.stringify({ ...call, side }) }));
  await run("vscode.diff", left, right, `${path.split("/").at(-1)} (${WHAT[state]})`, { preview: true });
}

const markdown = (title: string, of: object) =>
  vscode.Uri.from({ scheme: SCHEME, path: `/${title}.md`, query: JSON.stringify(of) });
const page = (of: Compacted, part: "covered" | "summary") => markdown(PAGES[part], { ...of, part });

/** A text of Markdown as a person would read it. */
export const showPage = (title: string, text: string) => run("vscode.openWith", markdown(title, { text }), READER);

/** What a compaction covers, to be read. */
export const showCompacted = (of: Compacted) => vscode.window.showTextDocument(page(of, "covered"), { preview: true });

/** What a compaction covers beside what stands for it. */
export const compareCompacted = (of: Compacted) =>
  run("vscode.diff", page(of, "covered"), page(of, "summary"), "Compacted part ↔ summary", { preview: true });

/** Give such pages and the diff editor their texts, also those of a tab that a reload brought back. */
export const provideTexts = (server: Server): vscode.Disposable =>
  vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: async ({ query }) => {
      const { side, text, ...of } = JSON.parse(query);
      if (text) return text;
      if (side) return (await server.request("holdfast.tool.diff", of))[side as "before" | "after"] ?? "";
      return (await server.request("holdfast.session.compactionText", of)).text;
    },
  });

/** Paths relative to the workspace whose names have the parts of `query`, the shortest first. */
export async function findFiles(query: string): Promise<string[]> {
  const found = await vscode.workspace.findFiles(pattern(query), EXCLUDED, FOUND_MAX * 4);
  const paths = found.map((uri) => vscode.workspace.asRelativePath(uri));
  return paths.sort((a, b) => a.length - b.length || a.localeCompare(b)).slice(0, FOUND_MAX);
}

function pattern(query: string): string {
  const anyCase = (sign: string) => `[${sign.toLowerCase()}${sign.toUpperCase()}]`;
  const loose = (text: string) => text.replace(/[[\]{}*?!]/g, "?").replace(/[a-z]/gi, anyCase);
  return `**/${query.split("/").filter(Boolean).map((part) => `*${loose(part)}*`).join("/") || "*"}`;
}

/** The selection of the editor, or its whole file when nothing is selected. */
export function selectionMention(): Mention | undefined {
  const editor = target();
  if (!editor) return undefined;
  const { document, selection: { isEmpty, start, end } } = editor;
  const path = vscode.workspace.asRelativePath(document.uri);
  const wholeLines = end.character === 0 && end.line > start.line;
  return isEmpty ? { path } : { path, startLine: start.line + 1, endLine: wholeLines ? end.line : end.line + 1 };
}

/**
 * Let `work` do an edit and then save the documents that had nothing unsaved before: what a session changed
 * is then on disk, where the commands that it runs look, and what a person typed is theirs to save.
 */
export async function saving<T>(edit: WorkspaceEdit, work: () => Promise<T>): Promise<T> {
  const { changes = {}, documentChanges = [] } = edit;
  const uris = documentChanges.flatMap((each) => ("textDocument" in each ? [each.textDocument.uri] : []));
  const named = new Set([...uris, ...Object.keys(changes)].map((uri) => vscode.Uri.parse(uri).toString()));
  const clean = vscode.workspace.textDocuments.filter(({ uri, isDirty }) => !isDirty && named.has(uri.toString()));
  const result = await work();
  const saved = Promise.all(clean.map((document) => document.isDirty && document.save()));
  await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, SAVE_TIMEOUT_MS))]);
  return result;
}

/** Use code of an answer: for the selection, or as the new text of it or of the whole file in VS Code's own preview. */
export async function useCode(action: "copy" | "insert" | "apply", text: string, language: string): Promise<void> {
  if (action === "copy") return vscode.env.clipboard.writeText(text);
  const editor = target();
  if (!editor) return showText(text, language);
  const { document, selection, viewColumn } = editor;
  if (action === "insert") {
    await editor.edit((edit) => edit.replace(selection, text));
    return void (await vscode.window.showTextDocument(document, viewColumn));
  }
  const all = document.validateRange(new vscode.Range(0, 0, document.lineCount, 0));
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, selection.isEmpty ? all : selection, text, PREVIEW);
  await vscode.workspace.applyEdit(edit);
}

const target = (): vscode.TextEditor | undefined =>
  vscode.window.activeTextEditor ??
  vscode.window.visibleTextEditors.find(({ document }) => document.uri.scheme === "file");
