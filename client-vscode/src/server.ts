/**
 * The server's process and the connection to it. Law: one start, stop or restart at a time, in the
 * order in which they were asked for; a server that dies is started again until that has become a
 * loop; nobody waits for a connection without an end.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as vscode from "vscode";
import * as lsp from "vscode-languageclient/node";
import { saving } from "./editor";
import type { PrivateEnvironment } from "./launch/environment";
import { exists, probe, probePath, probeSelected } from "./launch/interpreter";
import { afterCrash, choose, type Choice, type Facts } from "./launch/ladder";
import type { Argument, CommandName, ErrorData, Notifications, Result } from "./protocol";
import { launchEnvironment, serverSettings } from "./settings";
import { folders, messageOf, NotConnected, Owner, Refused, run, setting } from "./ui";
import wording from "./wording.json";

export type Connection = { state: "idle" | "starting" | "connected" | "restarting" | "stopped"; message?: string };
type Told = { [M in keyof Notifications]: { method: M; params: Notifications[M] } }[keyof Notifications];
type Bar = { progress?: vscode.Progress<{ message?: string; increment: number }>; shown: number; end: () => void };

const TOLD: readonly (keyof Notifications)[] = ["holdfast/items", "holdfast/sessions", "holdfast/status"];
const CONNECT_TIMEOUT_MS = 120_000;
const UNSETTLED: readonly Connection["state"][] = ["starting", "restarting"];
/** More than the restarts that follow each other by themselves. */
const WAITS_MAX = 10;
/** Said when no server runs: what a person can do about it. */
const REMEDIES = wording.remedies;

class Client extends lsp.LanguageClient {
  protected override fillInitializeParams(params: lsp.InitializeParams): void {
    super.fillInitializeParams(params);
    const { capabilities } = params;
    capabilities.experimental = { ...capabilities.experimental, holdfast: { questions: true, status: true } };
  }
}

export class Server extends Owner {
  connection: Connection = { state: "idle" };
  choice: Choice | undefined;
  private client: lsp.LanguageClient | undefined;
  private process: ChildProcess | undefined;
  private queue: Promise<void> = Promise.resolve();
  private crashes: number[] = [];
  private readonly progress = progressBars((token) => {
    void this.client?.sendNotification("window/workDoneProgress/cancel", { token });
  });
  private readonly connectionChanged = this.own(new vscode.EventEmitter<Connection>());
  private readonly told = this.own(new vscode.EventEmitter<Told>());
  readonly onConnection = this.connectionChanged.event;

  constructor(readonly environment: PrivateEnvironment, readonly log: vscode.LogOutputChannel) {
    super();
  }

  /** Hear what the server tells by itself, over all its lives. */
  on<M extends keyof Notifications>(method: M, listener: (params: Notifications[M]) => unknown): vscode.Disposable {
    return this.told.event((told) => told.method === method && listener(told.params as Notifications[M]));
  }

  readonly onConnected = (listener: () => unknown): vscode.Disposable =>
    this.onConnection(({ state }) => state === "connected" && listener());

  readonly stop = (): Promise<void> => this.serially(() => this.end());

  /** Start the server unless it was started before. */
  start(): Promise<void> {
    if (this.connection.state !== "idle") return this.queue;
    this.become({ state: "starting" });
    return this.serially(() => this.launch());
  }

  restart(why: string): Promise<void> {
    this.log.info(`restart: ${why}`);
    this.crashes = [];
    return this.serially(async () => {
      this.become({ state: this.client ? "restarting" : "starting" });
      await this.end();
      await this.launch(true);
    });
  }

  /** Call a command of the server. Throws Refused, or NotConnected when there is no server. */
  async request<K extends CommandName>(command: K, argument: Argument<K>): Promise<Result<K>> {
    void this.start();
    for (let waits = 0; waits < WAITS_MAX && UNSETTLED.includes(this.connection.state); waits += 1) await this.queue;
    const { client, connection: { state, message = "The server is not running." } } = this;
    if (state !== "connected" || !client) throw new NotConnected(message);
    try {
      return await client.sendRequest<Result<K>>("workspace/executeCommand", { command, arguments: [argument] });
    } catch (error) {
      const data = error instanceof lsp.ResponseError ? (error.data as ErrorData | undefined) : undefined;
      if (data?.kind !== undefined) throw new Refused(messageOf(error), data.kind, data.action);
      throw new NotConnected(messageOf(error));
    }
  }

  private readonly serially = (work: () => Promise<void>): Promise<void> =>
    (this.queue = this.queue.then(work).catch((error: unknown) => this.fail(messageOf(error), "Try Again")));

  private async launch(again = false): Promise<void> {
    if (!again && (this.client || this.connection.state === "stopped")) return;
    let choice = await this.choose();
    if (choice.kind === "install") {
      await this.environment.install(choice.python);
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
    const [path, python] = ["server.path", "python"].map((name) => expanded(setting<string>(name) ?? ""));
    if (path) return { trusted: true, onPath: [], serverPath: { path, exists: await exists(path) } };
    if (python) return { trusted: true, onPath: [], python: await probe(python, "setting") };
    const trusted = vscode.workspace.isTrusted;
    const { environment, log } = this;
    const unknown = (error: unknown) => void log.warn(`the Python extension: ${error}`);
    const selected = trusted ? await probeSelected().catch(unknown) : undefined;
    const [onPath, own, bundled] = await Promise.all([probePath(), environment.probe(), environment.bundled()]);
    return { trusted, onPath, selected, own, bundled };
  }

  private async connect(command: string, args: string[]): Promise<void> {
    const options = this.options(() => this.ended(client));
    const client = new Client("holdfast", "Holdfast", () => this.spawned(command, args), options);
    for (const method of TOLD) client.onNotification(method, (params) => this.told.fire({ method, params }));
    this.client = client;
    const late = sleep(CONNECT_TIMEOUT_MS, undefined, { ref: false }).then(() => Promise.reject("no answer"));
    try {
      await Promise.race([client.start(), late]);
    } catch (error) {
      this.log.error(`the server did not start: ${String(error)}`);
      return this.ended(client);
    }
    if (this.client !== client) return;
    this.log.info(`server ready: ${client.initializeResult?.serverInfo?.version}, process ${this.process?.pid}`);
    this.become({ state: "connected" });
  }

  private options(closed: () => void): lsp.LanguageClientOptions {
    const { workspace } = vscode;
    const settings = () => serverSettings(workspace.getConfiguration().get("holdfast", {}), workspace.isTrusted);
    return {
      documentSelector: [{ scheme: "file" }],
      outputChannel: this.log,
      initializationOptions: settings,
      initializationFailedHandler: () => false,
      stdioOptions: {
        stdout: () => {},
        stderr: (stream, log) => createInterface({ input: stream }).on("line", (line) => log[levelOf(line)](line)),
      },
      errorHandler: {
        error: () => ({ action: lsp.ErrorAction.Continue, handled: true }),
        closed: () => {
          // After the client has put its own things in order.
          setTimeout(closed);
          return { action: lsp.CloseAction.DoNotRestart, handled: true, message: "the server's connection closed" };
        },
      },
      middleware: {
        handleWorkDoneProgress: this.progress.handle,
        executeCommand: (command, args, next) => ours(command, args[0]) ?? next(command, args),
        workspace: {
          handleApplyEdit: (params, next) => saving(params.edit, async () => next(params, lsp.CancellationToken.None)),
          configuration: ({ items }) => items.map(({ section }) => (section === "holdfast" ? settings() : null)),
        },
      },
    };
  }

  private async spawned(command: string, args: string[]): Promise<ChildProcess> {
    const { env, dropped } = launchEnvironment(setting<Record<string, unknown>>("environment") ?? {});
    for (const name of dropped) this.log.warn(`holdfast.environment: ${name} is not used: set keys by the command.`);
    const child = spawn(command, args, { cwd: homedir(), env: { ...process.env, ...env }, windowsHide: true });
    this.process = child;
    child.on("exit", (code, signal) => this.log.info(`server process ${child.pid ?? "?"} ended: ${signal ?? code}`));
    for (const part of [child, child.stdin]) part.on("error", (error: Error) => this.log.debug(error.message));
    await once(child, "spawn");
    return child;
  }

  /** The connection of `client` closed without being asked to. */
  private ended(client: lsp.LanguageClient): void {
    if (this.client !== client) return;
    this.client = undefined;
    this.progress.endAll();
    this.process?.kill();
    const { crashes, delayMs } = afterCrash(this.crashes, Date.now());
    this.crashes = crashes;
    if (delayMs === undefined) {
      const loop = `The server stopped ${crashes.length} times within three minutes`;
      return this.fail(`${loop}, so it is not started again by itself. Your sessions are safe on disk.`, "Repair");
    }
    this.become({ state: "restarting" });
    void this.serially(async () => {
      await sleep(delayMs);
      await this.launch();
    });
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.progress.endAll();
    await client?.dispose().catch((error: unknown) => this.log.warn(`the server did not stop in time: ${error}`));
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

/** What a lens or a quick fix asks of the server that our own commands do, which show what came of it. */
function ours(command: string, given: { uri: string; inPlace?: boolean }): Thenable<unknown> | undefined {
  const own = wording.ours[command as keyof typeof wording.ours];
  return own ? run(own + (given.inPlace ? "InPlace" : ""), vscode.Uri.parse(given.uri)) : undefined;
}

const expanded = (path: string): string =>
  path.trim().replace(/^~(?=[\\/])/, homedir()).replaceAll("${workspaceFolder}", folders()[0]?.uri.fsPath ?? "");

const levelOf = (line: string) =>
  /\b(ERROR|CRITICAL)\b/.test(line) ? "error" : /\bWARNING\b/.test(line) ? "warn" : "info";

/**
 * The server's work-done progress as VS Code notifications with a cancel button (the language client
 * by itself shows it in the status bar only, where nothing can be cancelled). `endAll` is for when
 * the server that would end them is gone.
 */
function progressBars(cancel: (token: lsp.ProgressToken) => void) {
  const bars = new Map<lsp.ProgressToken, Bar>();
  const begin = (token: lsp.ProgressToken, title: string) => {
    const ended = Promise.withResolvers<void>();
    const bar: Bar = { shown: 0, end: () => (bars.delete(token), ended.resolve()) };
    bars.set(token, bar);
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    void vscode.window.withProgress(options, (progress, cancelled) => {
      bar.progress = progress;
      cancelled.onCancellationRequested(() => cancel(token));
      return ended.promise;
    });
  };
  const handle: NonNullable<lsp.Middleware["handleWorkDoneProgress"]> = (token, params, next) => {
    if (params.kind === "begin" && params.cancellable) begin(token, params.title);
    const bar = bars.get(token);
    if (!bar || params.kind === "end") next(token, params);
    if (!bar || params.kind === "end") return bar?.end();
    const { message, percentage = bar.shown } = params;
    bar.progress?.report({ message, increment: Math.max(0, percentage - bar.shown) });
    bar.shown = Math.max(bar.shown, percentage);
  };
  return { handle, endAll: () => bars.forEach((bar) => bar.end()) };
}
