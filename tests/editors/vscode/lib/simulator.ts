/**
 * The strict Messages API of `holdfast simulator`, as a process of its own. Law: it is driven by
 * the control paths that everybody has, and its log is the oracle of what was asked of it.
 */

import fs from "node:fs";
import { holdfast } from "./places.ts";
import type { Processes } from "./processes.ts";
import { until } from "./waiting.ts";

/** One step of a script; the shapes are those of the simulator's script.py. */
export interface Step {
  label?: string;
  match?: {
    last_user_contains?: string;
    last_result_contains?: string;
    body_contains?: string;
    system_contains?: string;
    has_tools?: boolean;
    has_tool_results?: boolean;
  };
  /** How often; null: for ever. */
  times?: number | null;
  respond?: { content: Content[]; per_delta_ms?: number; delay_ms?: number; usage?: Record<string, number> };
  fault?: { name: string; after_events?: number; hold_ms?: number; retry_after_s?: number; message?: string };
}

export type Content =
  | { type: "text" | "thinking"; text: string; chunk?: number }
  | { type: "tool_use"; name: string; input: Record<string, unknown>; id?: string };

export interface LogEntry {
  index: number;
  status: number | null;
  refused: string | null;
  step: string | null;
  fault: string | null;
  outcome: string;
  message: string | null;
  body?: unknown;
}

export class Simulator {
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(processes: Processes, log: string): Promise<Simulator> {
    const child = processes.start(holdfast, ["simulator", "--port", "0"], process.env, log);
    const url = await until(() => {
      if (child.exitCode !== null) throw new Error(`the simulator ended: ${fs.readFileSync(log, "utf8")}`);
      return /^http:\S+$/m.exec(fs.readFileSync(log, "utf8"))?.[0];
    }, "the simulator's address");
    return new Simulator(url);
  }

  /** Replace the script. Requests that no step matches get the default answer. */
  async play(...steps: Step[]): Promise<void> {
    await this.#control("POST", "script", { steps, mode: "replace" });
  }

  async log(): Promise<LogEntry[]> {
    return (await this.#control("GET", "log?bodies=1")) as LogEntry[];
  }

  /** The requests that broke a rule of the API (P2: there are none). */
  async refusals(): Promise<LogEntry[]> {
    return (await this.log()).filter((entry) => entry.refused !== null);
  }

  async #control(method: string, name: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(`${this.url}/_simulator/${name}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const value: unknown = await answer.json();
    if (!answer.ok) throw new Error(`the simulator refused the script: ${JSON.stringify(value)}`);
    return value;
  }
}

/** An answer of one text. `chunk` is characters a delta, `perDeltaMs` the pause before each. */
export function says(text: string, perDeltaMs = 0, chunk = 24): NonNullable<Step["respond"]> {
  return { content: [{ type: "text", text, chunk }], per_delta_ms: perDeltaMs };
}

/** An answer that calls one tool, with a few words before. */
export function calls(name: string, input: Record<string, unknown>, words = ""): NonNullable<Step["respond"]> {
  const text: Content[] = words ? [{ type: "text", text: words }] : [];
  return { content: [...text, { type: "tool_use", name, input }] };
}
