/**
 * Which server to start: a pure choice with its reason, so that a log line can say why. Law: what a
 * person has set is used or complained about, never passed over in silence, and in a restricted
 * window nothing that the folder brought along is run.
 */

/** What asking an interpreter gave. */
export interface Probe {
  python: string;
  /** Where it was found, in words: "the Python extension", "PATH". */
  origin: string;
  /** Of Python; missing when it could not be run. */
  version?: string;
  /** The version of Holdfast that it has. */
  holdfast?: string;
  problem?: string;
}

export interface Facts {
  trusted: boolean;
  /** `holdfast.server.path`, when set, and whether there is such a file. */
  serverPath?: { path: string; exists: boolean };
  /** `holdfast.python`, when set. */
  python?: Probe;
  /** The interpreter that is selected for the folder. */
  selected?: Probe;
  onPath: readonly Probe[];
  /** The private environment, when there is one. */
  own?: Probe;
  /** The version of the server that the extension brings; missing when it brings none. */
  bundled?: string;
}

export type Choice =
  | { kind: "run"; command: string; args: string[]; reason: string }
  | { kind: "install"; python: string; reason: string }
  | { kind: "instructions"; reason: string };

export const OLDEST_PYTHON = "3.11";

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

/** Whether version `version` is `wanted` or newer; parts that are no numbers count as 0. */
export function atLeast(version: string, wanted: string): boolean {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [have, want] = [numbers(version), numbers(wanted)];
  const index = want.findIndex((part, at) => part !== (have[at] ?? 0));
  return index < 0 || (have[index] ?? 0) > (want[index] ?? 0);
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
