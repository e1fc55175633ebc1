/** A folder that nobody has trusted yet: sessions read, but nothing is changed or run in it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { calls, says, type Step } from "./lib/simulator.ts";

const editor = editorForThisFile({ trusted: false, files: { "a.txt": "kelp\n" } });
const write = (last: string): Step[] => [
  { match: { has_tool_results: true }, times: null, respond: says(last) },
  { respond: calls("write", { path: "b.txt", content: "nori\n" }) },
];

test("in a restricted window a session starts and reads, but cannot write", async () => {
  const { workbench, chat, simulator, pictures, codeServer } = editor;
  await workbench.statusItem("Restricted Mode").waitFor();
  await editor.showViews();
  await simulator.play(...write("I may not."));
  await editor.newSession();
  await pictures.take("restricted");
  await chat.send("Write a file.");
  await chat.says("I may not.").waitFor();
  assert.throws(() => codeServer.read("b.txt"), /ENOENT/);
});

test("once the folder is trusted, the same session may ask and write", async () => {
  const { workbench, chat, simulator, page, pictures, codeServer } = editor;
  await workbench.command("Workspaces: Manage Workspace Trust");
  const trust = page.locator(".workspace-trust-editor");
  await trust.getByRole("button", { name: /^Trust/ }).first().click();
  await workbench.statusItem("Restricted Mode").waitFor({ state: "detached" });
  await workbench.closeModalEditor();
  await simulator.play(...write("It is written."));
  await chat.send("Write it now.");
  await chat.button("Allow").click({ timeout: 60_000 });
  await chat.says("It is written.").waitFor();
  assert.equal(codeServer.read("b.txt"), "nori\n");
  await pictures.take("trusted");
});

keepsItsPromises(editor);
