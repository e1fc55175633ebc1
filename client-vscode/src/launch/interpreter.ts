/** Finds interpreters and asks them what they have. Nothing of the folder is imported by asking. */

import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { homedir } from "node:os";
import * as vscode from "vscode";
import { folders, lastLine } from "../ui";
import type { Probe } from "./ladder";

const PROBE_TIMEOUT_MS = 15_000;
const NAMES =
  process.platform === "win32" ? ["python.exe"] : ["python3", "python", "python3.13", "python3.12", "python3.11"];
const QUESTION = `import json, sys
from importlib import metadata
try: holdfast = metadata.version("holdfast")
except metadata.PackageNotFoundError: holdfast = None
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "holdfast": holdfast}))`;

export async function probe(python: string, origin: string): Promise<Probe> {
  try {
    const answer = await run(python, ["-c", QUESTION], PROBE_TIMEOUT_MS);
    const { version, holdfast } = JSON.parse(answer) as { version: string; holdfast: string | null };
    return { python, origin, version, ...(holdfast ? { holdfast } : {}) };
  } catch (error) {
    return { python, origin, problem: `it does not run (${lastLine(error)})` };
  }
}

/** The interpreters on PATH that differ, in the order in which a shell would take them. */
export async function probePath(): Promise<Probe[]> {
  const absolute = (folder: string) => folder.startsWith("/") || /^[a-z]:/i.test(folder);
  const searched = (process.env.PATH ?? "").split(delimiter).filter(absolute);
  const first = async (name: string) => {
    for (const folder of searched) if (await exists(join(folder, name))) return [join(folder, name)];
    return [];
  };
  const found = (await Promise.all(NAMES.map(first))).flat();
  return Promise.all(found.map((path) => probe(path, "PATH")));
}

interface PythonExtension {
  environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
    resolveEnvironment(path: { path: string }): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
    onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

/** The interpreter that is selected in the Python extension, if there is that extension. */
export async function probeSelected(): Promise<Probe | undefined> {
  const api = await pythonExtension();
  if (!api) return undefined;
  const path = api.environments.getActiveEnvironmentPath(folders()[0]?.uri);
  const python = (await api.environments.resolveEnvironment(path))?.executable.uri?.fsPath;
  return python ? probe(python, "the Python extension") : undefined;
}

export async function onSelectionChanged(listener: () => void): Promise<vscode.Disposable | undefined> {
  return (await pythonExtension())?.environments.onDidChangeActiveEnvironmentPath(listener);
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  const extension = vscode.extensions.getExtension<PythonExtension>("ms-python.python");
  const api = extension && (extension.isActive ? extension.exports : await extension.activate());
  return typeof api?.environments?.getActiveEnvironmentPath === "function" ? api : undefined;
}

export async function exists(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(() => true, () => false);
}

/** Run a program in the home folder and return what it prints. Rejects with its error output. */
export function run(
  command: string,
  args: string[],
  timeout: number,
  signal?: AbortSignal,
  onLine: (line: string) => void = () => {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: homedir(), timeout, signal, maxBuffer: 64e6, windowsHide: true };
    const child = execFile(command, args, options, (error, stdout, stderr) =>
      error ? reject(new Error(stderr.trim() || error.message)) : resolve(stdout));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: string) => chunk.split(/\r?\n/).filter(Boolean).forEach(onLine));
    }
  });
}
