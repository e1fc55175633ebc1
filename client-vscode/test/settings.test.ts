import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { launchEnvironment, RESTRICTED, serverSettings } from "../src/settings";

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const properties = manifest.contributes.configuration.properties as Record<string, { scope?: string; markdownDescription?: string }>;

test("the server hears only of what has a value", () => {
  const retry = { budgetSeconds: 5, maxDelaySeconds: 2 };
  assert.deepEqual(serverSettings({ model: null, baseUrl: "", retry, prices: [] }, true), { retry, prices: [] });
});

test("the server does not hear of what only its launch needs", () => {
  const launch = Object.entries(properties).filter(([, { scope }]) => scope === "machine-overridable");
  const given = Object.fromEntries(launch.map(([name]) => [name.split(".")[1], "x"]));
  assert.deepEqual([Object.keys(given).length, serverSettings(given, true)], [3, {}]);
});

test("in a restricted window every tool that changes something is denied, last and above all", () => {
  const rule = { tool: "run", pattern: "*", answer: "allow" };
  const broken = { tool: "run", pattern: "*", answer: "perhaps" };
  const section = serverSettings({ permissions: [rule, broken, null, "x"] }, false);
  assert.deepEqual(section["permissions"], [rule, ...RESTRICTED]);
  assert.deepEqual(RESTRICTED.map(({ tool, answer }) => [tool, answer]), [["edit", "deny"], ["write", "deny"], ["run", "deny"]]);
});

test("P11: a key in the settings never reaches the server's process", () => {
  const { env, dropped } = launchEnvironment({ ANTHROPIC_API_KEY: "k", anthropic_auth_token: "t", HOLDFAST_DATA_DIR: "/d", wrong: 5 });
  assert.deepEqual([env, dropped], [{ HOLDFAST_DATA_DIR: "/d" }, ["ANTHROPIC_API_KEY", "anthropic_auth_token"]]);
});

test("every setting has a description and a scope", () => {
  for (const [name, { scope, markdownDescription }] of Object.entries(properties)) assert.ok(scope && markdownDescription, name);
});

test("a folder's settings that could run a program or send the key elsewhere need trust", () => {
  const restricted: string[] = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  assert.deepEqual([...restricted].sort(), ["holdfast.baseUrl", "holdfast.environment", "holdfast.permissions", "holdfast.python", "holdfast.server.path"]);
});
