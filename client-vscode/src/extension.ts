/** Wires the parts together. */

import * as vscode from "vscode";
import { Conversations } from "./chat/controller";
import { Chats, type Services } from "./chat/view";
import { Credentials } from "./credentials";
import { Diffs } from "./diff";
import { onSelectionChanged } from "./launch/interpreter";
import { Bridge } from "./participant";
import { Questions } from "./questions";
import { Server } from "./server";
import { registerCommands } from "./sessions/commands";
import { Sessions } from "./sessions/model";
import { SessionTree } from "./sessions/tree";
import { StatusItem } from "./status";

const USED = "holdfast.used";
const LAUNCH_SETTINGS = ["holdfast.server.path", "holdfast.python", "holdfast.environment"];

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const { subscriptions, workspaceState: memory } = context;
  const own = <T extends vscode.Disposable>(part: T): T => (subscriptions.push(part), part);
  const log = own(vscode.window.createOutputChannel("Holdfast", { log: true }));
  const running = (server = own(new Server(context, log)));
  const stopped = () => running.connection.state === "stopped";
  const credentials = own(new Credentials(running, context.secrets));
  const sessions = own(new Sessions(running, memory));
  const conversations = own(new Conversations(running, memory));
  const services: Services = { context, server: running, sessions, conversations, credentials, diffs: own(new Diffs(running)) };
  const { view } = own(new SessionTree(sessions));
  own(new StatusItem(running, sessions));
  own(new Questions(running, sessions));
  own(new Bridge(running, conversations));
  own(registerCommands(services, own(new Chats(services))));
  own(view.onDidChangeVisibility(({ visible }) => visible && running.start()));
  own(running.onConnected(() => memory.update(USED, true)));
  own(vscode.workspace.onDidGrantWorkspaceTrust(() =>
    stopped() ? running.restart("the folder is trusted now") : running.reconfigure()));
  own(vscode.workspace.onDidChangeConfiguration((change) => {
    const launch = LAUNCH_SETTINGS.some((name) => change.affectsConfiguration(name));
    if (launch && running.connection.state !== "idle") void running.restart("a setting of the launch changed");
  }));
  const trust = vscode.workspace.isTrusted ? "trusted" : "restricted: sessions can only read";
  log.info(`Holdfast ${context.extension.packageJSON.version}, VS Code ${vscode.version}, ${trust}`);
  // Where it was used before, unfinished turns go on by themselves; elsewhere nothing is started.
  if (memory.get(USED) || view.visible) void running.start();
  const restart = () => stopped() && void running.restart("another interpreter was selected");
  own((await onSelectionChanged(restart)) ?? { dispose: () => {} });
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
