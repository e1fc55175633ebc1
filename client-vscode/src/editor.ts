/** What the chat does in the editor: open files and links, find files, put code into the text. */

import * as vscode from "vscode";
import type { Mention } from "./protocol";
import { folders, showText } from "./ui";

/** A formatter that runs on saving may hang; the server waits for its edit meanwhile. */
const SAVE_TIMEOUT_MS = 5_000;
const FOUND_MAX = 50;
const EXCLUDED = "**/{node_modules,.git,.venv,__pycache__}/**";

/** Open a file of the workspace, or any by its absolute path. */
export async function openFile(path: string, line?: number): Promise<void> {
  const uri = await located(path);
  if (!uri) return void vscode.window.showWarningMessage(`Holdfast: ${path} was not found.`);
  const at = line === undefined ? undefined : new vscode.Range(line - 1, 0, line - 1, 0);
  await vscode.window.showTextDocument(uri, { preview: true, ...(at ? { selection: at } : {}) });
}

async function located(path: string): Promise<vscode.Uri | undefined> {
  const absolute = /^([\\/]|[a-z]:[\\/])/i.test(path);
  const candidates = absolute ? [vscode.Uri.file(path)] : folders().map(({ uri }) => vscode.Uri.joinPath(uri, path));
  const { fs } = vscode.workspace;
  const found = await Promise.all(candidates.map((uri) => fs.stat(uri).then(() => uri, () => undefined)));
  return found.find((uri) => uri !== undefined);
}

/** Follow a link of an answer: the web outside, everything else as a file; commands never. */
export async function openLink(href: string): Promise<void> {
  if (/^(https?|mailto):/i.test(href)) return void (await vscode.env.openExternal(vscode.Uri.parse(href, true)));
  if (/^[a-z][a-z0-9+.-]*:(?!\d)/i.test(href)) return;
  const [, path, line] = /^(.*?)(?:(?:#L|:)(\d+).*)?$/.exec(decodeURI(href)) ?? [];
  if (path) await openFile(path, line ? Number(line) : undefined);
}

/** Paths relative to the workspace whose names have the parts of `query`, the shortest first. */
export async function findFiles(query: string): Promise<string[]> {
  const found = await vscode.workspace.findFiles(pattern(query), EXCLUDED, FOUND_MAX * 4);
  const paths = found.map((uri) => vscode.workspace.asRelativePath(uri));
  return paths.sort((a, b) => a.length - b.length || a.localeCompare(b)).slice(0, FOUND_MAX);
}

function pattern(query: string): string {
  const anyCase = (sign: string) => `[${sign.toLowerCase()}${sign.toUpperCase()}]`;
  const loose = (text: string) => text.replace(/[[\]{}*?!]/g, "?").replace(/[a-z]/gi, anyCase);
  const parts = query.split("/").filter(Boolean).map((part) => `*${loose(part)}*`);
  return parts.length > 0 ? `**/${parts.join("/")}` : "**/*";
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
 * Do `work` on documents and then save those that had nothing unsaved before: what a session changed
 * is then on disk, where the commands that it runs look, and what a person typed is theirs to save.
 */
export async function saving<T>(uris: readonly string[], work: () => Promise<T>): Promise<T> {
  const named = new Set(uris.map((uri) => vscode.Uri.parse(uri).toString()));
  const clean = vscode.workspace.textDocuments.filter(({ uri, isDirty }) => !isDirty && named.has(uri.toString()));
  const result = await work();
  const saved = Promise.all(clean.map((document) => document.isDirty && document.save()));
  await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, SAVE_TIMEOUT_MS))]);
  return result;
}

/** Put code where the cursor is, instead of what is selected. */
export async function insertCode(text: string): Promise<void> {
  const editor = target();
  if (!editor) return showText(text, "plaintext");
  await editor.edit((edit) => edit.replace(editor.selection, text));
  await vscode.window.showTextDocument(editor.document, editor.viewColumn);
}

/** Offer code as the new text of the selection, or of the whole file, in VS Code's own preview. */
export async function applyCode(text: string, language: string): Promise<void> {
  const editor = target();
  if (!editor) return showText(text, language);
  const { document, selection } = editor;
  const all = document.validateRange(new vscode.Range(0, 0, document.lineCount, 0));
  const edit = new vscode.WorkspaceEdit();
  const metadata = { needsConfirmation: true, label: "Holdfast: apply code" };
  edit.replace(document.uri, selection.isEmpty ? all : selection, text, metadata);
  await vscode.workspace.applyEdit(edit);
}

function target(): vscode.TextEditor | undefined {
  const { activeTextEditor, visibleTextEditors } = vscode.window;
  return activeTextEditor ?? visibleTextEditors.find(({ document }) => document.uri.scheme === "file");
}
