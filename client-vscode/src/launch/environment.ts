/**
 * The private environment: a venv in the extension's global storage, made from the wheel that the
 * extension brings. Law: `current.json` names a finished environment or there is none, so a crash,
 * a second window or a cancelled installation never leaves a half-made one in use.
 */

import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as vscode from "vscode";
import { lastLine, messageOf } from "../ui";
import { probe, run } from "./interpreter";
import type { Probe } from "./ladder";

const INSTALL_TIMEOUT_MS = 15 * 60_000;
const INSTALLING = "Holdfast: installing the server";
const PIP = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
const ABANDONED_AFTER_MS = 24 * 3_600_000;

export class InstallationFailed extends Error {}

export class PrivateEnvironment {
  private readonly folder: string;
  private readonly bundle: string;

  constructor(context: vscode.ExtensionContext, private readonly log: vscode.LogOutputChannel) {
    this.folder = context.globalStorageUri.fsPath;
    this.bundle = join(context.extensionPath, "server");
  }

  /** The version of the wheel in the extension, if it has one. */
  async bundled(): Promise<string | undefined> {
    return /^holdfast-([^-]+)-/.exec(basename((await this.wheel()) ?? ""))?.[1];
  }

  async probe(): Promise<Probe | undefined> {
    const current = await this.current();
    // Another build of the server, if only of the same version, takes the place of this one.
    if (!current || current.wheel !== (await this.fingerprint())) return undefined;
    return probe(current.python, "private environment");
  }

  /** Make a new environment with progress on the screen. Throws InstallationFailed. */
  async install(python: string): Promise<void> {
    const options = { location: vscode.ProgressLocation.Notification, title: INSTALLING, cancellable: true };
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      try {
        await this.make(python, abort.signal, (message) => progress.report({ message }));
      } catch (error) {
        this.log.error(`installation failed: ${messageOf(error)}`);
        if (abort.signal.aborted) throw new InstallationFailed("The installation of the server was cancelled.");
        throw new InstallationFailed(`The server could not be installed: ${lastLine(error)}`);
      }
    });
  }

  /** Forget the environment; the next start makes a new one. */
  async forget(): Promise<void> {
    await rm(join(this.folder, "current.json"), { force: true });
  }

  private async make(python: string, signal: AbortSignal, say: (message: string) => void): Promise<void> {
    const wheel = await this.wheel();
    if (!wheel) throw new Error("this build of the extension brings no server");
    await this.tidy();
    const target = join(this.folder, `env-${randomUUID()}`);
    await mkdir(this.folder, { recursive: true });
    const step = (message: string, command: string, args: string[]) => {
      say(message);
      this.log.info(`${command} ${args.join(" ")}`);
      return run(command, args, INSTALL_TIMEOUT_MS, signal, (line) => {
        this.log.info(line);
        const name = /^(?:Collecting|Downloading|Installing collected packages:) *(\S+)/.exec(line)?.[1];
        if (name) say(`${message}: ${name.slice(0, 60)}`);
      });
    };
    try {
      await step("making an environment", python, ["-m", "venv", target]);
      const own = join(target, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
      const pinned = ["--require-hashes", "-r", join(this.bundle, "requirements.txt")];
      await step("fetching what it needs", own, [...PIP, ...pinned]);
      await step("installing the server", own, [...PIP, "--no-deps", wheel]);
      const made = await probe(own, "private environment");
      if (!made.holdfast) throw new Error(made.problem ?? "the new environment does not have Holdfast");
      const draft = join(this.folder, `current-${randomUUID()}.json`);
      await writeFile(draft, JSON.stringify({ python: own, wheel: await this.fingerprint() }));
      await rename(draft, join(this.folder, "current.json"));
    } catch (error) {
      await rm(target, { recursive: true, force: true });
      throw error;
    }
  }

  private async wheel(): Promise<string | undefined> {
    const names = await readdir(this.bundle).catch(() => []);
    const name = names.filter((each) => each.endsWith(".whl")).sort().at(-1);
    return name && join(this.bundle, name);
  }

  private async fingerprint(): Promise<string> {
    const wheel = await this.wheel();
    return wheel ? createHash("sha256").update(await readFile(wheel)).digest("hex") : "";
  }

  private async current(): Promise<{ python: string; wheel: string } | undefined> {
    const text = await readFile(join(this.folder, "current.json"), "utf8").catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Remove what earlier installations left. What is young may be another window's. */
  private async tidy(): Promise<void> {
    const used = (await this.current())?.python;
    for (const name of await readdir(this.folder).catch(() => [])) {
      const path = join(this.folder, name);
      if (!name.startsWith("env-") || used?.startsWith(path)) continue;
      const age = Date.now() - (await stat(path)).mtimeMs;
      if (age > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true });
    }
  }
}
