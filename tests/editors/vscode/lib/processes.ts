/**
 * Child processes. Law: when `endAll` has returned, or this process has exited, nothing that it
 * started is left, however deep: descendants, and what shares a session with one of them.
 */

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import { until } from "./waiting.ts";

interface Entry {
  id: number;
  parent: number;
  session: number;
}

export class Processes {
  /** Sessions (of the operating system) that our children opened; orphans are known by them. */
  readonly #sessions = new Set<number>();
  readonly #ownSession = entry(process.pid)?.session;

  constructor() {
    process.once("exit", () => this.#signal("SIGKILL"));
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => process.exit(1)); // so that the line above is reached
    }
  }

  /** Start a program in a session of its own; what it prints goes to the end of `log`. */
  start(
    program: string,
    args: string[],
    environment: NodeJS.ProcessEnv,
    log: string,
    input: "ignore" | "pipe" = "ignore",
  ): ChildProcess {
    const output = fs.openSync(log, "a");
    const child = spawn(program, args, {
      env: environment,
      stdio: [input, output, output],
      detached: true,
    });
    fs.closeSync(output);
    return child;
  }

  /** The ids of all living processes that are ours. */
  ids(): number[] {
    const all = fs.readdirSync("/proc").flatMap((name) => entry(name) ?? []);
    const ours = new Set([process.pid]);
    for (let before = 0; before < ours.size; ) {
      before = ours.size;
      for (const { id, parent, session } of all) {
        if (!ours.has(parent) && !this.#sessions.has(session)) continue;
        ours.add(id);
        if (session !== this.#ownSession) this.#sessions.add(session);
      }
    }
    ours.delete(process.pid);
    return [...ours];
  }

  /** The command line of a process; empty when it is gone. */
  commandLine(id: number): string {
    return readQuietly(`/proc/${id}/cmdline`).replaceAll("\0", " ").trim();
  }

  /** The ids of our processes whose command line fits. */
  matching(pattern: RegExp): number[] {
    return this.ids().filter((id) => pattern.test(this.commandLine(id)));
  }

  /** End everything: asked first, then by force. */
  async endAll(): Promise<void> {
    this.#signal("SIGTERM");
    const gone = (): boolean => this.ids().length === 0;
    try {
      await until(gone, "the end of all processes", 8_000);
    } catch {
      this.#signal("SIGKILL");
      await until(gone, "the end of all killed processes", 5_000);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    for (const id of this.ids()) {
      try {
        process.kill(id, signal);
      } catch {
        // It ended by itself in between.
      }
    }
  }
}

/** Read /proc/ID/stat; undefined for what is no process, or a dead one that nobody waited for. */
function entry(id: string | number): Entry | undefined {
  const stat = /^\d+$/.test(String(id)) ? readQuietly(`/proc/${id}/stat`) : "";
  const [state, parent, , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (!stat || state === "Z" || state === "X") return undefined;
  return { id: Number(id), parent: Number(parent), session: Number(session) };
}

function readQuietly(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return ""; // gone in between
  }
}
