/**
 * The private environment: a venv in the extension's global storage, made from the wheel that the
 * extension brings. Law: `current.json` names a finished environment or there is none, so a crash,
 * a second window or a cancelled installation never leaves a half-made one in use.
 */

import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import { lastLine } from "../ui";
import { probe, run } from "./interpreter";
import type { Probe } from "./ladder";

const ORIGIN = "private environment";
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const INSTALLING = "Holdfast: installing the server";
const PIP = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
const PYTHON = process.platform === "win32" ? "Scripts/python.exe" : "bin/python";
const FETCHED = /^(?:Collecting|Downloading|Installing collected packages:) *(\S{1,60})/;
const ABANDONED_AFTER_MS = 24 * 3_600_000;

type Log = vscode.LogOutputChannel;

export class PrivateEnvironment {
  /** `bundle`: the folder with the wheel and what it needs. */
  constructor(private readonly folder: string, private readonly bundle: string, private readonly log: Log) {}

  /** The version of the wheel in the extension, if it has one. */
  readonly bundled = async (): Promise<string | undefined> => (await this.wheel())?.version;

  async probe(): Promise<Probe | undefined> {
    const current = await this.made();
    // Another build of the server, if only of the same version, takes the place of this one.
    if (!current || current.wheel !== (await this.wheel())?.hash) return undefined;
    return probe(current.python, ORIGIN);
  }

  /** Make a new environment with progress on the screen. Rejects with what a person should hear. */
  async install(python: string): Promise<void> {
    const options = { location: vscode.ProgressLocation.Notification, title: INSTALLING, cancellable: true };
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      try {
        await this.make(python, abort.signal, (message) => progress.report({ message }));
      } catch (error) {
        this.log.error(`installation failed: ${String(error)}`);
        const failed = `The server could not be installed: ${lastLine(error)}`;
        throw new Error(abort.signal.aborted ? "The installation of the server was cancelled." : failed);
      }
    });
  }

  /** Forget the environment; the next start makes a new one. */
  readonly forget = (): Promise<void> => rm(this.current(), { force: true });

  private async make(python: string, signal: AbortSignal, say: (message: string) => void): Promise<void> {
    const wheel = await this.wheel();
    if (!wheel) throw new Error("this build of the extension brings no server");
    await mkdir(this.folder, { recursive: true });
    await this.tidy();
    const target = join(this.folder, `env-${randomUUID()}`);
    const own = join(target, PYTHON);
    const step = (message: string, command: string, ...args: string[]) => {
      say(message);
      this.log.info(`${command} ${args.join(" ")}`);
      return run(command, args, { timeout: INSTALL_TIMEOUT_MS, signal }, (line) => {
        this.log.info(line);
        const name = FETCHED.exec(line)?.[1];
        if (name) say(`${message}: ${name}`);
      });
    };
    try {
      await step("making an environment", python, "-m", "venv", target);
      const pinned = join(this.bundle, "requirements.txt");
      await step("fetching what it needs", own, ...PIP, "--require-hashes", "-r", pinned);
      await step("installing the server", own, ...PIP, "--no-deps", wheel.path);
      const { holdfast, problem = "the new environment does not have Holdfast" } = await probe(own, ORIGIN);
      if (!holdfast) throw new Error(problem);
      const draft = `${this.current()}-${randomUUID()}`;
      await writeFile(draft, JSON.stringify({ python: own, wheel: wheel.hash }));
      await rename(draft, this.current());
    } catch (error) {
      await rm(target, { recursive: true, force: true });
      throw error;
    }
  }

  private readonly current = () => join(this.folder, "current.json");

  private async wheel() {
    const names = (await readdir(this.bundle).catch(() => [])).filter((each) => each.endsWith(".whl"));
    const name = names.sort().at(-1);
    if (!name) return undefined;
    const path = join(this.bundle, name);
    const hash = createHash("sha256").update(await readFile(path)).digest("hex");
    return { path, hash, version: /^holdfast-([^-]+)-/.exec(name)?.[1] };
  }

  private readonly made = (): Promise<{ python: string; wheel: string } | undefined> =>
    readFile(this.current(), "utf8").then((text) => JSON.parse(text), () => undefined);

  /** Remove what earlier installations left. What is young may be another window's. */
  private async tidy(): Promise<void> {
    const used = (await this.made())?.python;
    for (const name of (await readdir(this.folder)).filter((each) => each.startsWith("env-"))) {
      const path = join(this.folder, name);
      const old = Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER_MS;
      if (old && !used?.startsWith(path)) await rm(path, { recursive: true, force: true });
    }
  }
}
