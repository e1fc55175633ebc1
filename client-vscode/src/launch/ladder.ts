/**
 * Which server to start, and whether again: a pure choice with its reason, so that a log line can say why. Law: what a
 * person has set is used or complained about, never passed over in silence, and in a restricted
 * window nothing that the folder brought along is run.
 */

/**
 * What asking an interpreter gave. `origin`: where it was found, in words; `version`: of Python, missing
 * when it could not be run; `holdfast`: the version of Holdfast that it has.
 */
export type Probe = { python: string; origin: string } & Partial<Record<"version" | "holdfast" | "problem", string>>;

/** `selected`: by the person for the folder; `own`: of the private environment; `bundled`: the extension's version. */
export interface Facts extends Partial<Record<"python" | "selected" | "own", Probe>> {
  trusted: boolean;
  /** `holdfast.server.path`, when set, and whether there is such a file. */
  serverPath?: { path: string; exists: boolean };
  onPath: readonly Probe[];
  bundled?: string;
}

export type Choice =
  | { kind: "run"; command: string; args: string[]; reason: string }
  | { kind: "install"; python: string; reason: string }
  | { kind: "instructions"; reason: string };

const OLDEST_PYTHON = "3.11";
const CRASHES_MAX = 5;
const CRASH_WINDOW_MS = 180_000;
const BY_NUMBERS = new Intl.Collator("en", { numeric: true });

export function choose({ trusted, serverPath, python, selected, onPath, own, bundled }: Facts): Choice {
  if (serverPath) {
    const named = `the setting holdfast.server.path names ${serverPath.path}`;
    if (!serverPath.exists) return instructions(`T${named.slice(1)}, which does not exist.`);
    return { kind: "run", command: serverPath.path, args: ["lsp"], reason: named };
  }
  if (python) {
    const named = `the setting holdfast.python names ${python.python}`;
    const lack = lacking(python, undefined);
    return lack ? instructions(`T${named.slice(1)}, but ${lack}.`) : interpreter(python, named);
  }
  const passed: string[] = [];
  const because = (reason: string) => (passed.length > 0 ? `${reason}. Passed over: ${passed.join("; ")}` : reason);
  if (selected && !trusted) passed.push(`${selected.python} is not used in a restricted window`);
  const candidates = [...(selected && trusted ? [selected] : []), ...onPath];
  for (const candidate of [...candidates, ...(own ? [own] : [])]) {
    const name = candidate === own ? "the private environment" : `${candidate.python} (${candidate.origin})`;
    const lack = lacking(candidate, bundled);
    if (!lack) return interpreter(candidate, because(`${name} has Holdfast ${candidate.holdfast}`));
    passed.push(`${name}: ${lack}`);
  }
  const base = candidates.find(({ version }) => version && atLeast(version, OLDEST_PYTHON));
  if (bundled && base) {
    const reason = because(`Holdfast ${bundled} is installed into a private environment with ${base.python}`);
    return { kind: "install", python: base.python, reason };
  }
  const next = bundled ? `Install Python ${OLDEST_PYTHON} or newer` : "Install Holdfast with pip";
  const none = `No Python ${OLDEST_PYTHON} or newer that could run Holdfast was found.`;
  return instructions(because(`${none} ${next}, or name one in the setting holdfast.python`));
}

/** Whether version `version` is `wanted` or newer. */
export const atLeast = (version: string, wanted: string): boolean => BY_NUMBERS.compare(version, wanted) >= 0;

/** The crashes that count with the one at `now`, and the wait until a restart; without one it is a loop. */
export function afterCrash(earlier: readonly number[], now: number): { crashes: number[]; delayMs?: number } {
  const crashes = [...earlier.filter((time) => now - time < CRASH_WINDOW_MS), now];
  return crashes.length < CRASHES_MAX ? { crashes, delayMs: 500 * (crashes.length - 1) } : { crashes };
}

function lacking(probe: Probe, wanted: string | undefined): string | undefined {
  if (!probe.version) return probe.problem ?? "it does not run";
  if (!atLeast(probe.version, OLDEST_PYTHON)) return `it is Python ${probe.version}, and ${OLDEST_PYTHON} is needed`;
  if (!probe.holdfast) return "it does not have Holdfast";
  if (wanted && !atLeast(probe.holdfast, wanted)) return `its Holdfast ${probe.holdfast} is older than ${wanted}`;
  return undefined;
}

const instructions = (reason: string): Choice => ({ kind: "instructions", reason });

/** -P: the folder that the process happens to start in is no place to import from. */
const interpreter = ({ python }: Probe, reason: string): Choice =>
  ({ kind: "run", command: python, args: ["-P", "-m", "holdfast", "lsp"], reason });
