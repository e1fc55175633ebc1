/** Waiting for what has no event to wait for. Law: every wait ends, and says what it waited for. */

import { setTimeout as sleep } from "node:timers/promises";

const INTERVAL_MS = 50;

/** Return the first truthy value of `look`. Throws when there is none within `limitMs`. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  limitMs = 20_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await sleep(INTERVAL_MS);
  }
}
