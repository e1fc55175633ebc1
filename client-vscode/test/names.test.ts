import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const protocol = readFileSync("../docs/protocol.md", "utf8");
const mirrored = readFileSync("src/protocol.ts", "utf8");
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => /\.(ts|json)$/.test(name)).map((name) => readFileSync(join("src", name), "utf8"));

/**
 * The client shows sessions as items, not as messages, and imports with progress and Cancel. Endpoints and
 * their models are one list to choose from (`model.choices`); the doctor tells of the server.
 */
const UNUSED_COMMANDS = [
  "holdfast.endpoint.list", "holdfast.model.list", "holdfast.server.info", "holdfast.session.import", "holdfast.session.messages",
];
const UNUSED_NOTIFICATIONS = ["holdfast/event"];

const names = (text: string, pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name as string))].sort();

test("protocol.ts has the server's commands, all but those that are listed as unused", () => {
  const server = names(protocol, /^### `(holdfast\.[\w.]+)`/gm);
  const client = names(mirrored, /^ {2}"(holdfast\.[\w.]+)": \[/gm);
  assert.deepEqual(client, server.filter((name) => !UNUSED_COMMANDS.includes(name)));
  assert.deepEqual(UNUSED_COMMANDS.filter((name) => !server.includes(name)), []);
});

test("protocol.ts has the server's notifications, all but those that are listed as unused", () => {
  const server = names(protocol, /^`(holdfast\/\w+)`/gm);
  const client = names(mirrored, /^ {2}"(holdfast\/\w+)": /gm);
  assert.deepEqual(client, server.filter((name) => !UNUSED_NOTIFICATIONS.includes(name)));
});

test("every command that protocol.ts has is used", () => {
  const used = names(sources.join("\n"), /"(holdfast\.(?:session|transcript|turn|tool|model|doctor|permission|credentials|server)\.\w+)"/g);
  const rest = sources.filter((text) => text !== mirrored).join("\n");
  assert.deepEqual(used.filter((name) => name !== "holdfast.server.path" && !rest.includes(`"${name}"`)), []);
});

test("every palette command is declared, named under Holdfast, and registered", () => {
  const declared: { command: string; category: string }[] = manifest.contributes.commands;
  const table = ["src/sessions/commands.ts", "src/transcripts.ts"].map((name) => readFileSync(name, "utf8")).join("\n");
  const registered = names(table, /^ {4}(\w+): (?:async |on\(|call\(|repair\(|\(\) =>)/gm).map((name) => `holdfast.ui.${name}`);
  assert.deepEqual(declared.map(({ command }) => command).sort(), registered);
  assert.ok(declared.every(({ category }) => category === "Holdfast"));
});

test("what menus, keys, walkthroughs and views name is a declared command", () => {
  const declared = new Set((manifest.contributes.commands as { command: string }[]).map(({ command }) => command));
  const named = names([JSON.stringify(manifest), ...sources].join("\n"), /(holdfast\.ui\.\w+)/g);
  assert.deepEqual(named.filter((name) => !declared.has(name)), []);
});

test("an own command never has the id of one of the server's, which VS Code registers too", () => {
  assert.deepEqual(names(protocol, /(holdfast\.ui\.\w+)/g), []);
});
