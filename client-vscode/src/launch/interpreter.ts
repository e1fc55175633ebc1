/** Finds interpreters and asks them what they have. Nothing of the folder is imported by asking. */

import { execFile, type ExecFileOptions } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import { promisify } from "node:util";
import { PythonExtension } from "@vscode/python-extension";
import type * as vscode from "vscode";
import { folders, lastLine } from "../ui";
import type { Probe } from "./ladder";

const PROBE_TIMEOUT_MS = 15_000;
const NAMES =
  process.platform === "win32" ? ["python.exe"] : ["python3", "python", "python3.13", "python3.12", "python3.11"];
const QUESTION = `import json, sys
from importlib import metadata
try: holdfast = {"holdfast": metadata.version("holdfast")}
except metadata.PackageNotFoundError: holdfast = {}
print(json.dumps({"python": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3], **holdfast}))`;

/** Ask an interpreter, named by its path or as on PATH. */
export async function probe(python: string, origin: string): Promise<Probe> {
  try {
    const said = JSON.parse(await run(python, ["-c", QUESTION], { timeout: PROBE_TIMEOUT_MS })) as Probe;
    return { ...said, python: NAMES.includes(python) ? said.python : python, origin };
  } catch (error) {
    return { python, origin, problem: `it does not run (${lastLine(error)})` };
  }
}

/** The interpreters on PATH, in the order in which a shell would take them. */
export async function probePath(): Promise<Probe[]> {
  const probes = await Promise.all(NAMES.map((name) => probe(name, "PATH")));
  return probes.filter(({ problem }) => !problem?.includes("ENOENT"));
}

/** Without the Python extension there is none. */
const environments = () => PythonExtension.api().then((api) => api.environments, () => undefined);

/** The interpreter that is selected in the Python extension. */
export async function probeSelected(): Promise<Probe | undefined> {
  const known = await environments();
  const selected = await known?.resolveEnvironment(known.getActiveEnvironmentPath(folders()[0]?.uri));
  const python = selected?.executable.uri?.fsPath;
  return python ? probe(python, "the Python extension") : undefined;
}

export const onSelectionChanged = async (listener: () => unknown): Promise<vscode.Disposable | undefined> =>
  (await environments())?.onDidChangeActiveEnvironmentPath(listener);

export const exists = (path: string): Promise<boolean> => access(path, constants.X_OK).then(() => true, () => false);

/** Run a program in the home folder and return what it prints. Rejects with its error output. */
export async function run(command: string, args: string[], options: ExecFileOptions, hear = (_line: string) => {}) {
  const common = { cwd: homedir(), maxBuffer: 64e6, windowsHide: true, encoding: "utf8" } as const;
  const running = promisify(execFile)(command, args, { ...options, ...common });
  for (const stream of [running.child.stdout, running.child.stderr]) {
    stream?.on("data", (chunk: string) => chunk.split(/\r?\n/).filter(Boolean).forEach(hear));
  }
  return (await running).stdout;
}
