/**
 * A throw-away VS Code: code-server with the built .vsix in it. Law: it has a home of its own; the
 * person's real settings, extensions, keys and sessions are neither read nor written.
 */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { codeServer, vsix } from "./places.ts";
import type { Processes } from "./processes.ts";
import { until } from "./waiting.ts";

/** Names that must not reach the editor from the environment of whoever runs the tests. */
const FORGOTTEN = /^(?:ANTHROPIC_|HOLDFAST_|VSCODE_|CODE_SERVER_|ELECTRON_|NODE_OPTIONS$|NODE_TEST|PORT$)/;

const QUIET_SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.welcomePage.walkthroughs.openOnInstall": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "workbench.editor.enablePreview": false,
  "workbench.settings.enableNaturalLanguageSearch": false,
  "window.autoDetectColorScheme": true,
  "window.autoDetectHighContrast": false,
  "telemetry.telemetryLevel": "off",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "update.mode": "none",
  "git.enabled": false,
  "remote.autoForwardPorts": false,
  "files.autoSave": "off", // as on a desktop
  "editor.accessibilitySupport": "off",
  "chat.commandCenter.enabled": false,
} as const;

export interface CodeServerOptions {
  /** Files of the folder that is opened, by their names. */
  files: Record<string, string>;
  settings: Record<string, unknown>;
  /** Added to the environment of the editor and of everything that it starts. */
  environment: NodeJS.ProcessEnv;
  /** Open the folder as trusted; otherwise Workspace Trust is left on. */
  trusted: boolean;
}

export class CodeServer {
  readonly folder: string;
  /** Where the server keeps its sessions. */
  readonly dataDir: string;
  readonly profile: string;
  /** The home folder of all that runs in the editor. */
  readonly home: string;
  readonly #temporary: string;
  readonly #userData: string;
  readonly #processes: Processes;
  #url = "";

  constructor(processes: Processes) {
    this.#processes = processes;
    this.#temporary = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-e2e-"));
    this.folder = this.#directory("project");
    this.dataDir = this.#directory("holdfast-data");
    this.profile = this.#directory("browser");
    this.home = this.#directory("home");
    this.#userData = this.#directory("user-data");
  }

  /** The address that opens the folder. */
  get url(): string {
    return `${this.#url}/?folder=${encodeURIComponent(this.folder)}`;
  }

  /** Install the extension and start. `this.folder` then holds the files. */
  async start(options: CodeServerOptions): Promise<void> {
    for (const [name, text] of Object.entries(options.files)) {
      fs.mkdirSync(path.dirname(this.file(name)), { recursive: true });
      fs.writeFileSync(this.file(name), text);
    }
    this.writeSettings(options.settings);
    fs.writeFileSync(this.#path("config.yaml"), "auth: none\n");
    const environment = this.#environment(options.environment);
    const common = [codeServer, "--config", this.#path("config.yaml"), "--user-data-dir", this.#userData, "--extensions-dir", this.#directory("extensions")];
    execFileSync(process.execPath, [...common, "--install-extension", vsix], { env: environment, stdio: "pipe", timeout: 120_000 });
    const port = await freePort();
    const trust = options.trusted ? ["--disable-workspace-trust"] : [];
    const quiet = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"];
    const child = this.#processes.start(
      process.execPath,
      [...common, "--auth", "none", "--bind-addr", `127.0.0.1:${port}`, ...quiet, ...trust],
      environment,
      this.#path("code-server.log"),
    );
    this.#url = `http://127.0.0.1:${port}`;
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`code-server ended: ${this.output()}`);
        return fetch(`${this.#url}/healthz`).then((answer) => answer.ok, () => false);
      },
      "the start of code-server",
      60_000,
    );
  }

  /** A browser's VS Code is a remote one: what a machine decides counts only in its own file. */
  writeSettings(settings: Record<string, unknown>): void {
    for (const [owner, values] of [["User", QUIET_SETTINGS], ["Machine", settings]] as const) {
      const file = path.join(this.#userData, owner, "settings.json");
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, JSON.stringify(values, null, 2));
    }
  }

  /** The absolute path of a file of the opened folder. */
  file(name: string): string {
    return path.join(this.folder, name);
  }

  read(name: string): string {
    return fs.readFileSync(this.file(name), "utf8");
  }

  /** What code-server itself printed. */
  output(): string {
    return fs.readFileSync(this.#path("code-server.log"), "utf8");
  }

  /** The text of an output channel, from the log files: all windows, in order of their start. */
  channel(name: string): string {
    return this.#logs((file) => path.basename(file).replace(/^\d+-/, "") === `${name}.log`);
  }

  /** Everything that this editor, its extensions and the server wrote to disk as text. */
  everyLog(): string {
    return this.output() + this.#logs(() => true);
  }

  /** Everything under this editor's own folders, names and contents, to look for a secret. */
  containing(secret: string): string[] {
    return filesBelow(this.#temporary).filter((file) => {
      const found = fs.statSync(file, { throwIfNoEntry: false }); // browsers tidy up meanwhile
      return found?.isFile() && found.size < 64 << 20 && fs.readFileSync(file).includes(secret);
    });
  }

  remove(): void {
    if (!process.env["E2E_KEEP"]) fs.rmSync(this.#temporary, { recursive: true, force: true, maxRetries: 5 });
  }

  #environment(added: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([name]) => !FORGOTTEN.test(name));
    const { home } = this;
    const xdg = Object.fromEntries(
      ["CONFIG", "DATA", "CACHE", "STATE"].map((kind) => [`XDG_${kind}_HOME`, path.join(home, kind.toLowerCase())]),
    );
    return {
      ...Object.fromEntries(kept),
      HOME: home,
      ...xdg,
      ...pipConfiguration(),
      EXTENSIONS_GALLERY: "{}", // nothing is looked up in a gallery
      HOLDFAST_DATA_DIR: this.dataDir,
      ...added,
    };
  }

  #logs(wanted: (file: string) => boolean): string {
    const folder = path.join(this.#userData, "logs");
    return filesBelow(folder).filter(wanted).sort().map((file) => fs.readFileSync(file, "utf8")).join("");
  }

  #path(name: string): string {
    return path.join(this.#temporary, name);
  }

  #directory(name: string): string {
    fs.mkdirSync(this.#path(name), { recursive: true });
    return this.#path(name);
  }
}

/** Keep this machine's pip configuration and cache in reach of a home that has neither. */
function pipConfiguration(): NodeJS.ProcessEnv {
  const config = process.env["XDG_CONFIG_HOME"] ?? path.join(os.homedir(), ".config");
  const cache = process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache");
  const file = [path.join(config, "pip/pip.conf"), path.join(os.homedir(), ".pip/pip.conf")].find((name) => fs.existsSync(name));
  return {
    ...(file ? { PIP_CONFIG_FILE: process.env["PIP_CONFIG_FILE"] ?? file } : {}),
    PIP_CACHE_DIR: process.env["PIP_CACHE_DIR"] ?? path.join(cache, "pip"),
  };
}

function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => path.join(found.parentPath, found.name));
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
