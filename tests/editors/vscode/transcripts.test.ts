/** A broken transcript of Claude Code: what is wrong is said on its line, mended by a click, and the session goes on. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { broken, BROKEN_ID } from "./lib/transcripts.ts";
import { until } from "./lib/waiting.ts";

/** Where Claude Code keeps the sessions of a folder. */
let claude = "";
const editor = editorForThisFile({
  prepare: (codeServer) => {
    claude = path.join(codeServer.home, ".claude/projects", codeServer.folder.replace(/[^A-Za-z0-9]/g, "-"));
    fs.mkdirSync(claude, { recursive: true });
    fs.writeFileSync(path.join(claude, `${BROKEN_ID}.jsonl`), broken(codeServer.folder));
    fs.writeFileSync(codeServer.file("broken.jsonl"), broken(codeServer.folder));
  },
});
const hashOf = (file: string) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

test("each fault of a transcript stands on its line, in words", { timeout: 120_000 }, async () => {
  const { workbench, pictures, page } = editor;
  await workbench.openFile("broken.jsonl");
  await workbench.lens("2 errors, 1 warning").waitFor({ timeout: 60_000 });
  await workbench.command("Problems: Focus on Problems View");
  await workbench.problem(/2 records stand on one line.*\[Ln 3,/).waitFor();
  await workbench.problem(/tool_result.*\[Ln 5,/).waitFor();
  await workbench.problem(/torn record.*\[Ln 8,/).waitFor();
  await workbench.squiggles("error").first().waitFor();
  await workbench.squiggles("warning").first().waitFor();
  await workbench.command("View: Toggle Primary Side Bar Visibility");
  await workbench.line("pytest").hover();
  await page.locator(".monaco-hover").getByText("It has no result").first().waitFor();
  await pictures.take("transcript");
});

test("a quick fix mends one fault, Repair all the rest, and each can be undone", { timeout: 120_000 }, async () => {
  const { workbench, pictures, page, codeServer } = editor;
  const before = hashOf(codeServer.file("broken.jsonl"));
  await workbench.line("What does greet do?").click();
  await page.mouse.move(640, 440); // no hover in the picture
  await workbench.goToLine(5);
  await workbench.quickFix("Insert interrupted result", () => pictures.take("transcript-quick-fix", { publish: true }));
  await workbench.lens("2 errors: repair all").waitFor();
  assert.equal(hashOf(codeServer.file("broken.jsonl")), before, "the file waits until it is saved");
  await workbench.goToLine(3);
  await workbench.quickFix("Repair all");
  await workbench.lens(/^Healthy$/).waitFor();
  await pictures.take("transcript-mended");
  for (const _ of ["Repair all", "Insert interrupted result"]) await page.keyboard.press("Control+z");
  await workbench.lens("2 errors, 1 warning").waitFor();
});

test("Continue in Holdfast above the first line opens the session with its history, and it goes on", { timeout: 120_000 }, async () => {
  const { workbench, chat, pictures } = editor;
  await editor.showViews();
  await workbench.lens("Continue in Holdfast").click();
  await chat.prompt("Are you still there?").waitFor();
  await chat.says("Yes. The tests were interrupted.").waitFor();
  await chat.send("And now?");
  await chat.says("You said: And now?").waitFor();
  await pictures.take("transcript-continued", { publish: true });
});

test("P8: Claude Code's sessions are listed, and repaired into a copy beside the file, which stays as it is", { timeout: 120_000 }, async () => {
  const { workbench, pictures } = editor;
  const file = path.join(claude, `${BROKEN_ID}.jsonl`);
  const before = hashOf(file);
  await workbench.command("Holdfast: Claude Code Sessions…");
  await workbench.quickInput.getByText(/a line is no record/).waitFor();
  await pictures.take("transcript-sessions");
  await workbench.pick("What does greet do?");
  await pictures.take("transcript-deeds");
  await workbench.pick("Repair into a Copy");
  await workbench.tab(`${BROKEN_ID}.repaired.jsonl`).waitFor();
  await workbench.lens(/^Healthy$/).waitFor();
  await workbench.notification("in this copy").waitFor();
  await pictures.take("transcript-copy");
  assert.equal(hashOf(file), before);
});

test("repaired in place from the explorer's menu, a file is healthy and the old one is kept beside it", { timeout: 120_000 }, async () => {
  const { workbench, codeServer, pictures } = editor;
  const before = hashOf(codeServer.file("broken.jsonl"));
  await workbench.closeNotifications();
  await workbench.showContainer("Explorer");
  await workbench.openMenu(workbench.treeRow("broken.jsonl"), "Holdfast");
  await pictures.take("transcript-menu");
  await workbench.menuItem("Repair Transcript in Place").click();
  await workbench.notification(/in place, the old file is broken/).waitFor();
  await workbench.lens(/^Healthy$/).waitFor();
  await until(async () => hashOf(codeServer.file("broken.jsonl")) !== before, "the repaired file");
  const kept = fs.readdirSync(codeServer.folder).filter((name) => name !== "broken.jsonl");
  assert.ok(kept.some((name) => hashOf(codeServer.file(name)) === before), `one of ${kept.join(", ")} is the old file`);
});

keepsItsPromises(editor);
