/** What a session survives: its server, its window, and its person's impatience. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { says, type Step } from "./lib/simulator.ts";
import { until } from "./lib/waiting.ts";

const editor = editorForThisFile();
const WORDS = Array.from({ length: 120 }, (_, index) => `word${index}`);
const SLOW = says(WORDS.join(" "), 100, 8);
const GO_ON: Step = { match: { last_user_contains: "Continue exactly where it stopped" }, respond: says(" The end of the list.") };

test("P1: kill -9 of the server in the middle of an answer: what was shown stays, the turn goes on", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, pictures } = editor;
  await editor.showViews();
  await editor.newSession();
  await simulator.play(GO_ON, { respond: SLOW });
  await chat.send("Count words.");
  await chat.says(/word20/).waitFor();
  const killed = editor.servers();
  assert.ok(killed.length > 0, "there is a server to kill");
  await chat.composer.fill("typed while it was dead");
  for (const id of killed) process.kill(id, "SIGKILL");
  await workbench.statusItem(/Holdfast: (?:re)?starting/).waitFor();
  await pictures.take("server-killed");
  assert.match(await chat.conversation.innerText(), /word20/);
  await chat.says(/The end of the list/).waitFor({ timeout: 60_000 });
  assert.match(await chat.conversation.innerText(), /word20/);
  assert.equal(await chat.composer.inputValue(), "typed while it was dead");
  assert.ok(editor.servers().every((id) => !killed.includes(id)), "the server is a new one");
});

test("P7: a prompt that is sent while there is no server is delivered once, when there is one", { timeout: 120_000 }, async () => {
  const { chat, simulator } = editor;
  await editor.newSession();
  await chat.send("One.");
  await chat.says("You said: One.").waitFor();
  for (const id of editor.servers()) process.kill(id, "SIGKILL");
  await chat.send("Two, into the void.");
  await chat.says("You said: Two, into the void.").waitFor({ timeout: 60_000 });
  const sent = (await simulator.log()).filter((entry) => JSON.stringify(entry.body).includes("Two, into the void."));
  assert.equal(sent.length, 1, "it was sent once");
});

test("a reload of the window in mid-turn loses nothing that was shown or typed", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, pictures } = editor;
  await editor.newSession();
  await simulator.play(GO_ON, { respond: SLOW });
  await chat.send("Count words again.");
  await chat.says(/word20/).waitFor();
  await chat.composer.fill("half a thought");
  await until(async () => (await chat.composer.inputValue()) === "half a thought", "the draft");
  await workbench.reload();
  await chat.prompt("Count words again.").waitFor({ timeout: 60_000 });
  assert.match(await chat.conversation.innerText(), /word20/);
  await until(async () => (await chat.composer.inputValue()) === "half a thought", "the draft after the reload");
  await pictures.take("reloaded");
  await chat.says(/The end of the list|word119/).waitFor({ timeout: 60_000 });
});

test("P7: Stop ends a turn at once, and the next prompt is answered", async () => {
  const { chat, simulator } = editor;
  await editor.newSession();
  await simulator.play({ match: { last_user_contains: "still there" }, respond: says("Yes, I am.") }, { respond: SLOW });
  await chat.send("Count words once more.");
  await chat.says(/word5/).waitFor();
  await chat.stop.click();
  await chat.stop.waitFor({ state: "detached" });
  await chat.composer.fill("");
  await chat.send("Are you still there?");
  await chat.says("Yes, I am.").waitFor();
});

keepsItsPromises(editor);
