/** Is it me, my network or the API: what is wrong is named, examined and gone round, by keyboard alone. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { says } from "./lib/simulator.ts";
import { until } from "./lib/waiting.ts";

const editor = editorForThisFile({ weather: true, settings: { "holdfast.retry.failoverSeconds": 600 } });

test("C01: a black hole is named, with attempt, time and the next try each second", { timeout: 120_000 }, async () => {
  const { workbench, chat, way, pictures } = editor;
  await editor.showViews();
  await editor.newSession();
  await way.become("black hole");
  await chat.send("Is anybody there?");
  const banner = chat.banner(/nothing came back from the address/);
  await banner.waitFor({ timeout: 30_000 });
  await chat.banner(/Attempt \d is under way/).waitFor({ timeout: 60_000 });
  await chat.banner(/Trying again in \d+ s.*\d+ s so far.*Attempt \d comes next/s).waitFor({ timeout: 60_000 });
  await chat.announced(/The connection could not be opened in time/).waitFor({ state: "attached" });
  await pictures.take("black-hole");
  const time = async (): Promise<string> => /\d+ (?:s|min).* so far/.exec(await banner.innerText().catch(() => ""))?.[0] ?? "";
  const first = await until(time, "the time so far");
  await until(async () => ![first, ""].includes(await time()), "the time so far goes on", 3_000);
  await workbench.statusItem(/Holdfast: (?:trying again|waiting \d+ s)/).waitFor();
});

test("C01: Diagnose by keyboard: the cause on top of a page to be read", { timeout: 120_000 }, async () => {
  const { workbench, chat, pictures } = editor;
  await chat.button("Diagnose").waitFor({ timeout: 30_000 });
  await chat.pressByKeys("Diagnose");
  await workbench.preview.getByRole("heading", { name: "What is wrong" }).waitFor({ timeout: 40_000 });
  await workbench.preview.getByText(/cannot be connected to|could not be opened/).first().waitFor();
  await workbench.preview.getByRole("table").waitFor();
  await workbench.preview.getByRole("heading", { name: "This editor" }).waitFor();
  await chat.notice(/^Diagnosis: The connection could not be opened/).waitFor();
  await pictures.take("diagnosis", { publish: true });
  await workbench.command("View: Close All Editors");
});

test("C01: when the way is there again, the same turn goes on by itself", { timeout: 120_000 }, async () => {
  const { chat, way, pictures } = editor;
  await way.become("clear");
  await chat.says("You said: Is anybody there?").waitFor({ timeout: 60_000 });
  await chat.button("Diagnose").waitFor({ state: "detached" });
  await pictures.take("black-hole-is-over");
});

test("P10: Select Model lists the endpoints with what they have, says what changes, and who answers then", { timeout: 120_000 }, async () => {
  const { workbench, chat, office, pictures } = editor;
  await workbench.command("Holdfast: Select Model");
  await workbench.row(/in use/).waitFor();
  const there = workbench.row(/at office.*there called claude-opus-4-8.*is asked for in place of/s);
  await there.waitFor();
  await pictures.take("select-model", { publish: true });
  await workbench.page.keyboard.press("ArrowDown");
  await workbench.page.keyboard.press("Enter");
  await chat.notice(/claude-opus-4-8 is asked for in place of claude-opus-5-5/).waitFor();
  await chat.button("claude-opus-5-5 at office").waitFor();
  await office.play({ times: 1, respond: says("Office here.") });
  await chat.send("Who is there?");
  await chat.says("Office here.").waitFor();
  await pictures.take("at-the-office");
});

test("P3: an account that cannot be billed is no end where another endpoint stands in, and this is said", { timeout: 120_000 }, async () => {
  const { chat, simulator, office, pictures } = editor;
  await editor.newSession();
  await simulator.play({ times: 1, fault: { name: "billing" } });
  await office.play({ times: 1, respond: says("The office stands in.") });
  await chat.send("Go on anyhow.");
  await chat.says("The office stands in.").waitFor();
  await chat.notice(/goes on at office/).waitFor();
  await pictures.take("failed-over");
});

test("C10: where every endpoint refuses its key, the one that waits gets a new one", { timeout: 120_000 }, async () => {
  const { workbench, chat, simulator, office, pictures, key } = editor;
  await editor.newSession();
  for (const each of [simulator, office]) await each.play({ times: 1, fault: { name: "unauthorized" } });
  await chat.send("Let me in.");
  await chat.banner(/key was refused/).waitFor();
  await chat.notice(/goes on at office/).waitFor();
  await pictures.take("no-key-anywhere");
  await chat.pressByKeys("Set API key");
  await workbench.quickInput.getByText("which kind of key for office?").waitFor();
  await workbench.pick("API key");
  await workbench.enter(key);
  await chat.says("You said: Let me in.").waitFor();
  const answered = (await office.log()).filter((entry) => JSON.stringify(entry.body).includes("Let me in."));
  assert.deepEqual(answered.map(({ status }) => status), [401, 200]);
});

test("P11: Report an Issue brings the doctor's bundle, and no key", { timeout: 120_000 }, async () => {
  const { workbench, pictures, key } = editor;
  await workbench.command("Holdfast: Report an Issue");
  await workbench.line("What happened").waitFor({ timeout: 40_000 });
  await workbench.page.keyboard.press("Control+f");
  await workbench.page.keyboard.type("## Versions");
  await workbench.line("## Versions").waitFor();
  await pictures.take("issue");
  assert.ok(!(await workbench.page.content()).includes(key));
});

keepsItsPromises(editor);
