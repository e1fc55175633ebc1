/**
 * What the server hears of the settings. Law: only what has a value, so that
 * its own defaults and its environment count where a person has said nothing; and in a restricted
 * window the tools that change something are denied, after and above every rule.
 */

/** What only the launch needs. */
export const LAUNCH_SETTINGS = ["server", "python", "environment"];

export const RESTRICTED = ["edit", "write", "run"].map((tool) => ({ tool, pattern: "*", answer: "deny" }));

/** Of all settings of the extension, as VS Code nests them, those for the server. */
export function serverSettings(given: Record<string, unknown>, trusted: boolean): Record<string, unknown> {
  const said = ([name, value]: [string, unknown]) => !LAUNCH_SETTINGS.includes(name) && value !== null && value !== "";
  const section = Object.fromEntries(Object.entries(given).filter(said));
  if (trusted) return section;
  const rules: unknown[] = Array.isArray(section["permissions"]) ? section["permissions"] : [];
  return { ...section, permissions: [...rules.filter(wellFormed), ...RESTRICTED] };
}

/** One wrong rule makes the server drop the whole list, which must not open what is restricted. */
function wellFormed(rule: unknown): boolean {
  const { tool, pattern, answer, ...rest } = (rule ?? {}) as Record<string, unknown>;
  const is = (text: unknown, shape: RegExp) => typeof text === "string" && shape.test(text);
  const known = is(tool, /^[!-~]{1,200}$/) && is(pattern, /^[ -~]{1,200}$/) && is(answer, /^(allow|ask|deny)$/);
  return known && Object.keys(rest).length === 0;
}

/** The variables for the server's process, without keys: those do not belong into settings. */
export function launchEnvironment(given: Record<string, unknown>): { env: Record<string, string>; dropped: string[] } {
  const isKey = (name: string) => /^ANTHROPIC_(API_KEY|AUTH_TOKEN)$/i.test(name);
  const texts = Object.entries(given).filter((each): each is [string, string] => typeof each[1] === "string");
  return { env: Object.fromEntries(texts.filter(([name]) => !isKey(name))), dropped: Object.keys(given).filter(isKey) };
}
