/**
 * The way from the editor to the API, with weather. Law: the faults are those of the server's own
 * tests (tests/network), over real sockets; one holds until the next is asked for.
 */

import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { here, python, root } from "./places.ts";
import type { Processes } from "./processes.ts";
import { until } from "./waiting.ts";

export class Way {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #log: string;

  private constructor(url: string, process: ChildProcess, log: string) {
    this.url = url;
    this.#process = process;
    this.#log = log;
  }

  /** Stand between the editor and the API at `upstream`; everything passes at first. */
  static async start(processes: Processes, upstream: string, log: string): Promise<Way> {
    const environment = { ...process.env, PYTHONPATH: path.join(root, "tests") };
    const script = path.join(here, "lib/way.py");
    const child = processes.start(python, [script, new URL(upstream).port], environment, log, "pipe");
    const url = await until(() => {
      if (child.exitCode !== null) throw new Error(`the way ended: ${fs.readFileSync(log, "utf8")}`);
      return lines(log)[0];
    }, "the way's address");
    return new Way(url, child, log);
  }

  /** Have another weather: a fault of tests/network/faults.py, or `clear`. */
  async become(weather: string): Promise<void> {
    const before = lines(this.#log).length;
    this.#process.stdin?.write(`${weather}\n`);
    await until(() => lines(this.#log)[before] === weather, `the weather “${weather}”`);
  }
}

const lines = (log: string): string[] => fs.readFileSync(log, "utf8").split("\n").slice(0, -1);
