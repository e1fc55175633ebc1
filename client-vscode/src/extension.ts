/** Wires the parts together. */

import * as vscode from "vscode";
import { Chats } from "./chat/view";
import { Credentials } from "./credentials";
import { provideTexts } from "./editor";
import { PrivateEnvironment } from "./launch/environment";
import { onSelectionChanged } from "./launch/interpreter";
import { registerBridges } from "./participant";
import { notifyOfQuestions } from "./questions";
import { Server } from "./server";
import { LAUNCH_SETTINGS } from "./settings";
import { registerCommands } from "./sessions/commands";
import { Sessions } from "./sessions/model";
import { showStatus, showTree } from "./sessions/tree";

const USED = "holdfast.used";
const HEAD = new vscode.Range(0, 0, 20, 0);

/** Of Claude Code; what is wrong with it is said while it is looked at. */
const isTranscript = (document: vscode.TextDocument) =>
  document.fileName.endsWith(".jsonl") && /"(parentUuid|sessionId|leafUuid)"/.test(document.getText(HEAD));

let running: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const { subscriptions, workspaceState: memory, extension } = context;
  const own = <T extends vscode.Disposable>(part: T): T => (subscriptions.push(part), part);
  const log = own(vscode.window.createOutputChannel("Holdfast", { log: true }));
  const environment = new PrivateEnvironment(context.globalStorageUri.fsPath, context.asAbsolutePath("server"), log);
  const server = (running = own(new Server(environment, log)));
  const restart = (why: string) => server.connection.state !== "idle" && void server.restart(why);
  const credentials = own(new Credentials(server, context.secrets));
  const sessions = own(new Sessions(server, memory));
  const services = { context, server, sessions, credentials };
  const view = own(showTree(sessions));
  own(provideTexts(server));
  own(showStatus(sessions));
  own(notifyOfQuestions(sessions));
  own(registerBridges(sessions));
  own(registerCommands(services, own(new Chats(services))));
  own(view.onDidChangeVisibility(({ visible }) => visible && server.start()));
  own(server.onConnected(() => memory.update(USED, true)));
  own(vscode.workspace.onDidGrantWorkspaceTrust(() => restart("the folder is trusted now")));
  own(vscode.workspace.onDidChangeConfiguration((change) =>
    LAUNCH_SETTINGS.some((it) => change.affectsConfiguration(`holdfast.${it}`)) && restart("its launch changed")));
  log.info(`Holdfast ${extension.packageJSON.version}, trusted folder: ${vscode.workspace.isTrusted}`);
  own(vscode.workspace.onDidOpenTextDocument((document) => isTranscript(document) && server.start()));
  // Where it was used before, unfinished turns go on by themselves; elsewhere nothing is started.
  if (memory.get(USED) || view.visible || vscode.workspace.textDocuments.some(isTranscript)) void server.start();
  const select = () => server.connection.state === "stopped" && restart("another interpreter was selected");
  own((await onSelectionChanged(select)) ?? { dispose: () => {} });
}

export const deactivate = (): Promise<void> | undefined => running?.stop();
