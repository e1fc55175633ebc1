import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { launchEnvironment, RESTRICTED, SERVER_SETTINGS, serverSettings } from "../src/settings";

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const properties = manifest.contributes.configuration.properties as Record<string, { scope?: string; markdownDescription?: string }>;

test("the server hears only of what has a value", () => {
  const given: Record<string, unknown> = { model: null, baseUrl: "", "retry.budgetSeconds": 5, "retry.maxDelaySeconds": 2, python: "/usr/bin/python3" };
  assert.deepEqual(serverSettings((name) => given[name], true), { retry: { budgetSeconds: 5, maxDelaySeconds: 2 } });
});

test("in a restricted window every tool that changes something is denied, last and above all", () => {
  const rule = { tool: "run", pattern: "*", answer: "allow" };
  const broken = { tool: "run", pattern: "*", answer: "perhaps" };
  const section = serverSettings((name) => (name === "permissions" ? [rule, broken, null, "x"] : undefined), false);
  assert.deepEqual(section["permissions"], [rule, ...RESTRICTED]);
  assert.deepEqual(RESTRICTED.map(({ tool, answer }) => [tool, answer]), [["edit", "deny"], ["write", "deny"], ["run", "deny"]]);
});

test("P11: a key in the settings never reaches the server's process", () => {
  const { env, dropped } = launchEnvironment({ ANTHROPIC_API_KEY: "k", anthropic_auth_token: "t", HOLDFAST_DATA_DIR: "/d", wrong: 5 });
  assert.deepEqual([env, dropped], [{ HOLDFAST_DATA_DIR: "/d" }, ["ANTHROPIC_API_KEY", "anthropic_auth_token"]]);
});

test("every setting has a description and a scope, and the server's are all offered", () => {
  for (const name of SERVER_SETTINGS) assert.ok(properties[`holdfast.${name}`], name);
  for (const [name, { scope, markdownDescription }] of Object.entries(properties)) assert.ok(scope && markdownDescription, name);
});

test("a folder's settings that could run a program or send the key elsewhere need trust", () => {
  const restricted: string[] = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  assert.deepEqual([...restricted].sort(), ["holdfast.baseUrl", "holdfast.environment", "holdfast.permissions", "holdfast.python", "holdfast.server.path"]);
});
