import assert from "node:assert/strict";
import { test } from "node:test";
import { atLeast, choose, type Facts, type Probe } from "../src/launch/ladder";

const python = (path: string, more: Partial<Probe> = {}): Probe => ({ python: path, origin: "PATH", version: "3.12.1", ...more });
const facts = (more: Partial<Facts> = {}): Facts => ({ trusted: true, onPath: [], ...more });

test("a set server path is used before everything else", () => {
  const choice = choose(facts({ serverPath: { path: "/opt/holdfast", exists: true }, onPath: [python("/usr/bin/python3", { holdfast: "9" })] }));
  assert.deepEqual(choice, { kind: "run", command: "/opt/holdfast", args: ["lsp"], reason: "the setting holdfast.server.path names /opt/holdfast" });
});

test("a setting that names nothing usable is complained about, not passed over", () => {
  const onPath = [python("/usr/bin/python3", { holdfast: "0.1.0" })];
  const missing = choose(facts({ serverPath: { path: "/nowhere", exists: false }, onPath }));
  const empty = choose(facts({ python: python("/opt/python"), onPath }));
  assert.equal(missing.kind, "instructions");
  assert.match(missing.reason, /\/nowhere, which does not exist/);
  assert.equal(empty.kind, "instructions");
  assert.match(empty.reason, /\/opt\/python, but it does not have Holdfast/);
});

test("the selected interpreter goes before PATH, and PATH before the private environment", () => {
  const selected = python("/venv/bin/python", { holdfast: "0.1.0", origin: "the Python extension" });
  const onPath = [python("/usr/bin/python3", { holdfast: "0.1.0" })];
  const own = python("/private/python", { holdfast: "0.1.0" });
  const commands = [facts({ selected, onPath, own }), facts({ onPath, own }), facts({ own })].map((each) => {
    const choice = choose(each);
    return choice.kind === "run" ? [choice.command, choice.reason] : choice;
  });
  assert.deepEqual(commands, [
    ["/venv/bin/python", "/venv/bin/python (the Python extension) has Holdfast 0.1.0"],
    ["/usr/bin/python3", "/usr/bin/python3 (PATH) has Holdfast 0.1.0"],
    ["/private/python", "the private environment has Holdfast 0.1.0"],
  ]);
});

test("an interpreter never imports from the folder that it starts in", () => {
  const choice = choose(facts({ onPath: [python("/usr/bin/python3", { holdfast: "0.1.0" })] }));
  assert.deepEqual(choice.kind === "run" && choice.args, ["-P", "-m", "holdfast", "lsp"]);
});

test("nothing that the folder brought is run in a restricted window", () => {
  const selected = python("/folder/.venv/bin/python", { holdfast: "0.1.0" });
  for (const bundled of [undefined, "0.1.0"]) {
    const choice = choose(facts({ trusted: false, selected, ...(bundled ? { bundled } : {}) }));
    assert.equal(choice.kind, "instructions");
    assert.match(choice.reason, /not used in a restricted window/);
  }
});

test("an older Holdfast than the extension's is passed over and the reason is said", () => {
  const choice = choose(facts({ bundled: "0.2.0", onPath: [python("/usr/bin/python3", { holdfast: "0.1.9" })] }));
  assert.equal(choice.kind, "install");
  assert.match(choice.reason, /0\.1\.9 is older than 0\.2\.0/);
});

test("an environment is made only with a Python that is new enough", () => {
  const onPath = [python("/usr/bin/python3", { version: "3.10.9" }), python("/opt/python3.11", { version: "3.11.0" })];
  const choice = choose(facts({ bundled: "0.1.0", onPath }));
  assert.deepEqual([choice.kind, choice.kind === "install" && choice.python], ["install", "/opt/python3.11"]);
});

test("without anything that could run it, a person is told what to do", () => {
  const old = [python("/usr/bin/python3", { version: "3.9.2" })];
  assert.match(choose(facts({ bundled: "0.1.0", onPath: old })).reason, /Install Python 3\.11 or newer/);
  assert.match(choose(facts({ onPath: [python("/usr/bin/python3")] })).reason, /Install Holdfast with pip/);
});

test("versions are compared by their numbers", () => {
  const cases: [string, string, boolean][] = [["3.9.1", "3.11", false], ["3.11", "3.11", true], ["3.11.0rc1", "3.11", true], ["4", "3.11", true], ["0.10.0", "0.9.9", true]];
  for (const [version, wanted, expected] of cases) assert.equal(atLeast(version, wanted), expected, `${version} ${wanted}`);
});
