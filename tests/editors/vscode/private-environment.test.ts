/**
 * A machine with Python but without Holdfast: the extension makes itself a server of the wheel that
 * it brings. It may use this machine's package registry for that, so nothing is said of requests.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { until } from "./lib/waiting.ts";

const INSTALLATION_LIMIT_MS = 300_000;
const editor = editorForThisFile({ ownServer: true });

test("the server is installed from the .vsix with progress, and then started", { timeout: INSTALLATION_LIMIT_MS }, async () => {
  const { workbench, pictures, codeServer } = editor;
  await workbench.showContainer("Holdfast");
  await workbench.notification("Holdfast: installing the server").waitFor();
  await pictures.take("installing-the-server");
  await until(() => codeServer.channel("Holdfast").includes("server ready"), "the server's start", INSTALLATION_LIMIT_MS);
  assert.match(codeServer.channel("Holdfast"), /launch: the private environment has Holdfast/);
});

test("a session runs on the server that was installed", async () => {
  const { chat } = editor;
  await editor.newSession();
  await chat.send("Are you there?");
  await chat.says("You said: Are you there?").waitFor();
});

test("after a reload the installed server is used again, without a new installation", async () => {
  const { workbench, chat, codeServer } = editor;
  const installed = codeServer.channel("Holdfast").split("making an environment").length;
  await workbench.reload();
  await chat.says("You said: Are you there?").waitFor({ timeout: 60_000 });
  assert.equal(codeServer.channel("Holdfast").split("making an environment").length, installed);
});

keepsItsPromises(editor, { offline: false });
