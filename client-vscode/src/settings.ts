/**
 * What the server hears of the settings. Law: only what it knows and only what has a value, so that
 * its own defaults and its environment count where a person has said nothing; and in a restricted
 * window the tools that change something are denied, after and above every rule.
 */

export const SERVER_SETTINGS = [
  "model",
  "baseUrl",
  "maxOutputTokens",
  "contextWindowTokens",
  "continueInterrupted",
  "permissions",
  "prices",
  "compaction.softMark",
  "compaction.hardMark",
  "compaction.deadlineSeconds",
  "stream.idleWarnSeconds",
  "stream.idleCutSeconds",
  "retry.budgetSeconds",
  "retry.maxDelaySeconds",
] as const;

export const RESTRICTED = ["edit", "write", "run"].map((tool) => ({ tool, pattern: "*", answer: "deny" }));

export function serverSettings(get: (name: string) => unknown, trusted: boolean): Record<string, unknown> {
  const section: Record<string, unknown> = {};
  for (const name of SERVER_SETTINGS) {
    const value = get(name);
    if (value === undefined || value === null || value === "") continue;
    const [first, second] = name.split(".") as [string, string?];
    if (second === undefined) section[first] = value;
    else section[first] = { ...(section[first] as object | undefined), [second]: value };
  }
  if (!trusted) {
    const rules: unknown[] = Array.isArray(section["permissions"]) ? section["permissions"] : [];
    section["permissions"] = [...rules.filter(wellFormed), ...RESTRICTED];
  }
  return section;
}

/** One wrong rule makes the server drop the whole list, which must not open what is restricted. */
function wellFormed(rule: unknown): boolean {
  const { tool, pattern, answer, ...rest } = (rule ?? {}) as Record<string, unknown>;
  const plain = (text: unknown) => typeof text === "string" && /^[ -~]{1,200}$/.test(text);
  return plain(tool) && !/ /.test(String(tool)) && plain(pattern) && /^(allow|ask|deny)$/.test(String(answer)) && Object.keys(rest).length === 0;
}

/** The variables for the server's process, without keys: those do not belong into settings. */
export function launchEnvironment(given: Record<string, unknown>): { env: Record<string, string>; dropped: string[] } {
  const env: Record<string, string> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (/^ANTHROPIC_(API_KEY|AUTH_TOKEN)$/i.test(name)) dropped.push(name);
    else if (typeof value === "string") env[name] = value;
  }
  return { env, dropped };
}
