/**
 * The server's process and the connection to it. Law: one start, stop or restart at a time, in the
 * order in which they were asked for; a server that dies is started again until that has become a
 * loop; nobody waits for a connection without an end.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { homedir } from "node:os";
import { createInterface } from "node:readline";
import * as vscode from "vscode";
import * as lsp from "vscode-languageclient/node";
import { saving } from "./editor";
import { CrashWindow } from "./launch/crashes";
import { InstallationFailed, PrivateEnvironment } from "./launch/environment";
import { exists, probe, probePath, probeSelected } from "./launch/interpreter";
import { choose, type Choice, type Facts } from "./launch/ladder";
import { ProgressBridge } from "./progress";
import type { Argument, CommandName, ErrorData, Notifications, Result } from "./protocol";
import { launchEnvironment, serverSettings } from "./settings";
import { folders, messageOf, NotConnected, Owner, Refused, run, setting } from "./ui";

export type Connection = { state: "idle" | "starting" | "connected" | "restarting" | "stopped"; message?: string };
type Told = { [M in keyof Notifications]: { method: M; params: Notifications[M] } }[keyof Notifications];

const TOLD: readonly (keyof Notifications)[] = ["holdfast/items", "holdfast/sessions", "holdfast/status"];
const CONNECT_TIMEOUT_MS = 120_000;
/** Said when no server runs: what a person can do about it. */
const REMEDIES = {
  "Try Again": ["holdfast.ui.restartServer"],
  Repair: ["holdfast.ui.repairInstallation"],
  "Open Settings": ["workbench.action.openSettings", "holdfast.python"],
  "Show Log": ["holdfast.ui.showLog"],
  Report: ["holdfast.ui.report"],
} as const;

export class Server extends Owner {
  connection: Connection = { state: "idle" };
  choice: Choice | undefined;
  private client: lsp.LanguageClient | undefined;
  private process: ChildProcess | undefined;
  private queue: Promise<void> = Promise.resolve();
  private readonly crashes = new CrashWindow();
  private readonly connectionChanged = this.own(new vscode.EventEmitter<Connection>());
  private readonly told = this.own(new vscode.EventEmitter<Told>());
  readonly onConnection = this.connectionChanged.event;
  readonly environment: PrivateEnvironment;

  constructor(context: vscode.ExtensionContext, readonly log: vscode.LogOutputChannel) {
    super();
    this.environment = new PrivateEnvironment(context, log);
  }

  /** Hear what the server tells by itself, over all its lives. */
  on<M extends keyof Notifications>(method: M, listener: (params: Notifications[M]) => unknown): vscode.Disposable {
    return this.told.event((told) => told.method === method && listener(told.params as Notifications[M]));
  }

  onConnected(listener: () => unknown): vscode.Disposable {
    return this.onConnection(({ state }) => state === "connected" && listener());
  }

  /** Start the server unless it was started before. */
  start(): Promise<void> {
    if (this.connection.state === "idle") this.become({ state: "starting" });
    return this.serially(async () => {
      if (!this.client && this.connection.state !== "stopped") await this.launch();
    });
  }

  restart(why: string): Promise<void> {
    this.log.info(`restart: ${why}`);
    this.crashes.reset();
    return this.serially(async () => {
      this.become({ state: this.client ? "restarting" : "starting" });
      await this.end();
      await this.launch();
    });
  }

  stop(): Promise<void> {
    return this.serially(() => this.end());
  }

  /** Call a command of the server. Throws Refused, or NotConnected when there is no server. */
  async request<K extends CommandName>(command: K, argument: Argument<K>): Promise<Result<K>> {
    const client = await this.connected();
    try {
      return await client.sendRequest<Result<K>>("workspace/executeCommand", { command, arguments: [argument] });
    } catch (error) {
      const data = error instanceof lsp.ResponseError ? (error.data as ErrorData | undefined) : undefined;
      if (data?.kind !== undefined) throw new Refused(messageOf(error), data.kind, data.action);
      throw new NotConnected(messageOf(error));
    }
  }

  /** Let the server read the settings again. */
  async reconfigure(): Promise<void> {
    if (this.connection.state !== "connected") return;
    await this.client?.sendNotification("workspace/didChangeConfiguration", { settings: null });
  }

  private async connected(): Promise<lsp.LanguageClient> {
    if (this.connection.state === "idle") void this.start();
    if (!["connected", "stopped"].includes(this.connection.state)) await this.settled();
    if (this.connection.state === "connected" && this.client) return this.client;
    throw new NotConnected(this.connection.message ?? "The server is not running.");
  }

  private settled(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => (clearTimeout(timer), waiting.dispose(), resolve());
      const timer = setTimeout(done, CONNECT_TIMEOUT_MS);
      const waiting = this.onConnection(({ state }) => (state === "connected" || state === "stopped") && done());
    });
  }

  private serially(work: () => Promise<void>): Promise<void> {
    return (this.queue = this.queue.then(work).catch((error: unknown) => this.fail(messageOf(error))));
  }

  private async launch(): Promise<void> {
    let choice = await this.choose();
    if (choice.kind === "install") {
      try {
        await this.environment.install(choice.python);
      } catch (error) {
        if (error instanceof InstallationFailed) return this.fail(error.message, "Try Again");
        throw error;
      }
      choice = await this.choose();
    }
    if (choice.kind !== "run") return this.fail(choice.reason, "Open Settings");
    await this.connect(choice.command, choice.args);
  }

  private async choose(): Promise<Choice> {
    this.choice = choose(await this.facts());
    this.log.info(`launch: ${this.choice.reason}`);
    return this.choice;
  }

  private async facts(): Promise<Facts> {
    const [path = "", python = ""] = ["server.path", "python"].map((name) => expanded(setting<string>(name) ?? ""));
    if (path) return { trusted: true, onPath: [], serverPath: { path, exists: await exists(path) } };
    if (python) return { trusted: true, onPath: [], python: await probe(python, "setting") };
    const trusted = vscode.workspace.isTrusted;
    const { environment, log } = this;
    const [selected, onPath, own, bundled] = await Promise.all([
      trusted ? probeSelected().catch((error: unknown) => void log.warn(`the Python extension: ${error}`)) : undefined,
      probePath(),
      environment.probe(),
      environment.bundled(),
    ]);
    return { trusted, onPath, selected: selected ?? undefined, own, bundled };
  }

  private async connect(command: string, args: string[]): Promise<void> {
    const options = this.options(() => this.ended(client));
    const client = new lsp.LanguageClient("holdfast", "Holdfast", () => this.spawned(command, args), options);
    for (const method of TOLD) {
      client.onNotification(method, (params) => this.told.fire({ method, params }));
    }
    client.registerFeature({
      fillClientCapabilities: (capabilities) => {
        capabilities.experimental = { ...capabilities.experimental, holdfast: { questions: true, status: true } };
      },
      initialize: () => {},
      getState: () => ({ kind: "static" }),
      clear: () => {},
    });
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      this.log.error(`the server did not start: ${String(error)}`);
      return this.ended(client);
    }
    if (this.client !== client) return;
    const version = client.initializeResult?.serverInfo?.version ?? "?";
    this.log.info(`server ready: ${version}, process ${this.process?.pid ?? "?"}`);
    this.become({ state: "connected" });
  }

  private options(closed: () => void): lsp.LanguageClientOptions {
    const settings = () => serverSettings(setting, vscode.workspace.isTrusted);
    const bridge = new ProgressBridge((token) => {
      void this.client?.sendNotification("window/workDoneProgress/cancel", { token });
    });
    return {
      documentSelector: [{ scheme: "file" }],
      outputChannel: this.log,
      initializationOptions: settings,
      initializationFailedHandler: () => false,
      stdioOptions: {
        stdout: () => {},
        stderr: (stream, log) => createInterface({ input: stream }).on("line", (line) => logLine(log, line)),
      },
      errorHandler: {
        error: () => ({ action: lsp.ErrorAction.Continue, handled: true }),
        closed: () => {
          bridge.dispose();
          // After the client has put its own things in order.
          setTimeout(closed);
          return { action: lsp.CloseAction.DoNotRestart, handled: true, message: "the server's connection closed" };
        },
      },
      middleware: {
        handleWorkDoneProgress: bridge.handle,
        workspace: {
          handleApplyEdit: (params, next) => {
            const { changes = {}, documentChanges = [] } = params.edit;
            const uris = documentChanges.flatMap((each) => ("textDocument" in each ? [each.textDocument.uri] : []));
            const apply = async () => next(params, lsp.CancellationToken.None);
            return saving([...uris, ...Object.keys(changes)], apply);
          },
          configuration: ({ items }) => items.map(({ section }) => (section === "holdfast" ? settings() : null)),
        },
      },
    };
  }

  private async spawned(command: string, args: string[]): Promise<ChildProcess> {
    const { env, dropped } = launchEnvironment(setting<Record<string, unknown>>("environment") ?? {});
    const advice = 'is not used: set keys with "Holdfast: Set API Key…".';
    if (dropped.length > 0) this.log.warn(`holdfast.environment: ${dropped.join(", ")} ${advice}`);
    const child = spawn(command, args, { cwd: homedir(), env: { ...process.env, ...env }, windowsHide: true });
    this.process = child;
    child.on("exit", (code, signal) => this.log.info(`server process ${child.pid ?? "?"} ended: ${signal ?? code}`));
    await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    child.stdin.on("error", (error) => this.log.debug(`server's input: ${error.message}`));
    return child;
  }

  /** The connection of `client` closed without being asked to. */
  private ended(client: lsp.LanguageClient): void {
    if (this.client !== client) return;
    this.client = undefined;
    this.process?.kill();
    const delay = this.crashes.record(Date.now());
    if (delay === undefined) {
      const loop = `The server stopped ${this.crashes.count} times within three minutes`;
      return this.fail(`${loop}, so it is not started again by itself. Your sessions are safe on disk.`, "Repair");
    }
    this.become({ state: "restarting" });
    const again = async () => {
      if (!this.client && this.connection.state === "restarting") await this.launch();
    };
    setTimeout(() => void this.serially(again), delay);
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (!client) return;
    await client.dispose().catch((error: unknown) => this.log.warn(`the server did not stop in time: ${error}`));
    this.process?.kill();
  }

  /** No server until a person does something; say what can be done. */
  private fail(message: string, ...more: (keyof typeof REMEDIES)[]): void {
    this.log.error(message);
    this.client = undefined;
    this.become({ state: "stopped", message });
    const buttons = [...more, "Show Log", "Report"] as const;
    void vscode.window.showErrorMessage(`Holdfast: ${message}`, ...buttons).then((button) => {
      const [command, ...given] = button ? REMEDIES[button] : [];
      if (command) void run(command, ...given);
    });
  }

  private become(connection: Connection): void {
    this.connection = connection;
    void run("setContext", "holdfast.server", connection.state);
    this.connectionChanged.fire(connection);
  }
}

function expanded(path: string): string {
  const folder = folders()[0]?.uri.fsPath ?? "";
  return path.trim().replace(/^~(?=[\\/])/, homedir()).replaceAll("${workspaceFolder}", folder);
}

function logLine(log: vscode.LogOutputChannel, line: string): void {
  const level = /\b(ERROR|CRITICAL)\b/.test(line) ? "error" : /\bWARNING\b/.test(line) ? "warn" : "info";
  log[level](line);
}
