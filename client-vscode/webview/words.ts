/** Numbers and times in plain words. Law: pure; the clock comes in as an argument. */

import type { Mention, Phase } from "../src/protocol";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** "0.4 s", "12 s", "1 min 5 s", "2 h 3 min". */
export function duration(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < SECOND) return `${Math.floor(whole / 100) / 10} s`;
  if (whole < MINUTE) return `${Math.floor(whole / SECOND)} s`;
  if (whole < HOUR) return pair(Math.floor(whole / MINUTE), "min", Math.floor((whole % MINUTE) / SECOND), "s");
  return pair(Math.floor(whole / HOUR), "h", Math.floor((whole % HOUR) / MINUTE), "min");
}

const pair = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  `${large} ${largeUnit}${small === 0 ? "" : ` ${small} ${smallUnit}`}`;

/** When something that is due at `atMs` happens: "now", "in 12 s". Rounded up, so it never lies low. */
export function countdown(atMs: number, nowMs: number): string {
  const left = atMs - nowMs;
  return left <= 0 ? "now" : `in ${duration(Math.ceil(left / SECOND) * SECOND)}`;
}

const compact = new Intl.NumberFormat("en", { notation: "compact" });

/** "940", "84k", "1.2M". */
export const count = (value: number): string => compact.format(value).replace("K", "k");

/** "300 B", "240 kB", "1.5 MB". */
export const bytes = (size: number): string => count(size).replace(/[kM]?$/, " $&B");

/** "under $0.01", "$1.20"; other currencies by their code. */
export function money(amount: number, currency: string): string {
  const sign = currency === "USD" ? "$" : `${currency} `;
  return amount > 0 && amount < 0.01 ? `under ${sign}0.01` : `${sign}${amount.toFixed(2)}`;
}

/** The turn is at work: it can be stopped, and a new prompt queues behind it. */
export const isBusy = (phase: Phase = "idle"): boolean => phase !== "idle" && phase !== "paused";

/** "a.py", "a.py:3", "a.py:3-9". */
export function mentionWords({ path, startLine, endLine }: Mention): string {
  const name = path.split(/[\\/]/).at(-1) || path;
  if (startLine === undefined) return name;
  return `${name}:${startLine}${endLine && endLine !== startLine ? `-${endLine}` : ""}`;
}
