/** What all parts say and ask with: messages, pickers, and how a failure is told to a person. */

import * as vscode from "vscode";

/** The server's own refusal of a request, with the next step in plain words. */
export class Refused extends Error {
  constructor(message: string, readonly kind: string, readonly action: string) {
    super(message);
  }
}

/** There is no server to ask. */
export class NotConnected extends Error {}

/** Something that ends together with its parts. */
export class Owner implements vscode.Disposable {
  private readonly parts: vscode.Disposable[] = [];

  protected readonly own = <T extends vscode.Disposable>(part: T): T => (this.parts.push(part), part);

  readonly dispose = (): void => vscode.Disposable.from(...this.parts).dispose();
}

export const run = vscode.commands.executeCommand;
export const folders = (): readonly vscode.WorkspaceFolder[] => vscode.workspace.workspaceFolders ?? [];
export const setting = <T>(name: string): T | undefined => vscode.workspace.getConfiguration("holdfast").get<T>(name);
export const lastLine = (error: unknown): string => messageOf(error).trim().split("\n").at(-1) ?? "";
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Say what happened and what helps, with the log behind a click. */
export function tell(error: unknown, log: vscode.LogOutputChannel): void {
  const { showErrorMessage } = vscode.window;
  if (error instanceof Refused && error.kind === "Cancelled") return; // by this person
  if (error instanceof Refused) return void showErrorMessage(`Holdfast: ${error.message} ${error.action}`);
  log.error(error instanceof Error && !(error instanceof NotConnected) ? error : messageOf(error));
  void showErrorMessage(`Holdfast: ${messageOf(error)}`, "Show Log").then((button) => button && log.show());
}

/** A note for what fails in the background; without a connection the next one does it again. */
export const noteTo = (log: vscode.LogOutputChannel, what: string) => (error: unknown): void => {
  if (!(error instanceof NotConnected)) log.error(`${what}: ${String(error)}`);
};

/** Passes over a refusal of one kind. */
export const except = (kind: string) => (error: unknown): void => {
  if (!(error instanceof Refused && error.kind === kind)) throw error;
};

export const inform = (message: string, ...buttons: string[]) =>
  vscode.window.showInformationMessage(`Holdfast: ${message}`, ...buttons);

export type Choice<T> = vscode.QuickPickItem & { value: T };

export async function pick<T>(title: string, choices: Choice<T>[] | Promise<Choice<T>[]>): Promise<T | undefined> {
  const options = { title: `Holdfast: ${title}`, matchOnDescription: true, matchOnDetail: true };
  return (await vscode.window.showQuickPick(choices, options))?.value;
}

export const ask = (title: string, value = "", more: vscode.InputBoxOptions = {}) =>
  vscode.window.showInputBox({ title: `Holdfast: ${title}`, value, ...more });

export const confirm = async (message: string, detail: string, action: string): Promise<boolean> =>
  (await vscode.window.showWarningMessage(message, { modal: true, detail }, action)) === action;

/** Show a text that belongs to no file yet. */
export async function showText(content: string, language: string): Promise<void> {
  const known = (await vscode.languages.getLanguages()).includes(language);
  const document = await vscode.workspace.openTextDocument({ content, ...(known ? { language } : {}) });
  await vscode.window.showTextDocument(document);
}
