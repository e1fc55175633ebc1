/** Bad weather at the API: what goes on is shown, typing goes on, and the turn always has a way on. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { says, type Step } from "./lib/simulator.ts";

const editor = editorForThisFile({
  settings: {
    "holdfast.stream.idleWarnSeconds": 1,
    "holdfast.stream.idleCutSeconds": 6,
    "holdfast.retry.maxDelaySeconds": 20,
    "holdfast.contextWindowTokens": 40_000,
    "holdfast.compaction.method": "summary",
    "holdfast.compaction.deadlineSeconds": 40,
  },
});
const SUMMARY: NonNullable<Step["match"]> = { has_tools: false };
/** Long enough that it is worth compacting. */
const STORY = `Once upon a time. ${"Kelp, nori and dulse.\n".repeat(1_200)}\n\nThe end.`;
/** A gateway gives up only after a while. */
const LATE: NonNullable<Step["respond"]> = { content: [], delay_ms: 6_000 };
const GO_ON: NonNullable<Step["match"]> = { last_user_contains: "Continue exactly where it stopped" };

test("504 ten times while compacting: phase and time are shown, and typing goes on", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, pictures } = editor;
  await editor.showViews();
  await editor.newSession();
  await simulator.play({ times: 1, respond: says(STORY) });
  await chat.send("Tell me a story.");
  await chat.says(/The end\./).waitFor();
  await chat.stop.waitFor({ state: "detached" });
  for (const prompt of ["Remember: the secret word is dulse!", "Name three seaweeds.", "And three shells."]) {
    await chat.send(prompt);
    await chat.says(`You said: ${prompt}`).waitFor();
  }
  await simulator.play({ match: SUMMARY, times: 10, respond: LATE, fault: { name: "gateway-timeout" } });
  await workbench.command("Holdfast: Compact Conversation");
  await workbench.enter("Keep the secret word.");
  await chat.banner(/Compacting the conversation/).waitFor();
  await chat.banner(/Request timed out/).waitFor();
  await chat.composer.pressSequentially("What was the secret word?", { delay: 30 });
  await pictures.take("compacting", { publish: true });
  assert.equal(await chat.composer.inputValue(), "What was the secret word?");
  await chat.composer.press("Enter");
  await chat.says(/^The secret word is dulse\.$/).waitFor();
  assert.ok(await chat.banner(/Compacting/).isVisible(), "the prompt did not wait for the compaction");
  await chat.notice("was compacted for the model").waitFor({ timeout: 60_000 });
  await chat.notice("a local digest is used").waitFor();
  await chat.banner(/Compacting/).waitFor({ state: "detached" });
  await pictures.take("compacted");
});

test("what was compacted can be read and compared, and comes back with Undo, and again with Redo", { timeout: 120_000 }, async () => {
  const { workbench, chat, pictures } = editor;
  await chat.button("Show").click();
  await workbench.tab("Compacted part.md").waitFor();
  await workbench.line("Once upon a time").waitFor();
  await chat.notice("was compacted for the model").getByRole("button", { name: "Details" }).click();
  await pictures.take("compaction-shown");
  await workbench.command("Holdfast: Compare Compaction");
  await workbench.pick(/digest without the model, in force/);
  await workbench.tab("Compacted part ↔ summary").waitFor();
  await workbench.line("What the user asked for, and what came of it").waitFor();
  await pictures.take("compaction-compared");
  await chat.notice("was compacted for the model").getByRole("button", { name: "Details" }).click();
  await chat.button("Undo").click();
  await chat.notice("The compaction was undone").waitFor();
  await workbench.command("Holdfast: Redo Compaction");
  await chat.notice("The compaction was put back").waitFor();
  await pictures.take("compaction-undone-and-redone");
  await workbench.command("Holdfast: Undo Compaction");
  await workbench.notification("the compaction is undone").waitFor();
  await workbench.command("View: Close All Editors");
});

test("a silent stream says so with a countdown, is cut, and the answer is continued where it stopped", { timeout: 120_000 }, async () => {
  const { chat, simulator, pictures } = editor;
  await editor.newSession();
  await simulator.play(
    { match: GO_ON, respond: says(" and dulse, from memory.") },
    { respond: says("Three seaweeds are kelp, nori", 0, 8), fault: { name: "silence", after_events: 6, hold_ms: 60_000 } },
  );
  await chat.send("Name three seaweeds.");
  await chat.says(/Three seaweeds are/).waitFor();
  await chat.banner(/Nothing heard, the stream is cut in \d+ s/).waitFor();
  await pictures.take("silent-stream");
  await chat.says(/dulse, from memory/).waitFor({ timeout: 60_000 });
});

test("an overloaded API is waited for with a countdown, and Retry now does not wait", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, pictures } = editor;
  await editor.newSession();
  await simulator.play({ times: 1, fault: { name: "overloaded", retry_after_s: 55 } });
  await chat.send("Is anybody there?");
  await chat.banner(/Trying again in \d+ s/).waitFor();
  await chat.banner(/overloaded/i).waitFor();
  await workbench.statusItem(/Holdfast: waiting \d+ s/).waitFor();
  await pictures.take("waiting", { publish: true });
  await chat.pressByKeys("Retry now");
  // The countdown is longer than this waits.
  await chat.says("You said: Is anybody there?").waitFor();
});

test("P12: 401 pauses in plain words, with the raw error behind a click; a new key goes on", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, pictures, key } = editor;
  await editor.newSession();
  await simulator.play({ times: 1, fault: { name: "unauthorized" } });
  await chat.send("Let me in.");
  await chat.banner(/key/).waitFor();
  await workbench.statusItem("Holdfast: paused").waitFor();
  await pictures.take("paused");
  await chat.button("Raw error").click();
  await chat.banner(/authentication_error/).waitFor();
  await chat.button("Set API key").click();
  await workbench.pick("API key");
  await workbench.enter(key);
  await chat.says("You said: Let me in.").waitFor();
  await chat.banner(/key/).waitFor({ state: "detached" });
});

keepsItsPromises(editor);
