/** A turn with tools: a person is asked, sees the change before and after, and has the last word. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { calls, says, type Step } from "./lib/simulator.ts";

const BEFORE = 'def greet(name):\n    return "Hello " + name\n';
const AFTER = 'def greet(name: str) -> str:\n    return f"Hello {name}"\n';
const NOTES = "# Notes\n";
const editor = editorForThisFile({ files: { "greeting.py": BEFORE, "notes.md": NOTES } });

/** A turn that edits greeting.py and then says so. */
const EDIT: Step[] = [
  { match: { has_tool_results: true }, times: null, respond: says("The greeting has types now.") },
  { respond: calls("edit", { path: "greeting.py", old_text: BEFORE, new_text: AFTER }, "I add types.") },
];

test("an edit asks first, with its change one click away", async () => {
  const { workbench, chat, simulator, pictures, codeServer } = editor;
  await editor.showViews();
  await workbench.openFile("greeting.py");
  await simulator.play(...EDIT);
  await editor.newSession();
  await chat.send("Add types to the greeting.");
  await chat.button("Allow").waitFor();
  await pictures.take("permission");
  assert.equal(codeServer.read("greeting.py"), BEFORE, "nothing is written before it is allowed");
  await chat.button("Open diff").click();
  await workbench.diff.modified.getByText("name: str").waitFor();
  await workbench.diff.original.getByText("def greet").waitFor();
  await pictures.take("proposed-edit", { publish: true });
});

test("allowed by a click, the edit is on disk, in the editor and in the diff", async () => {
  const { workbench, chat, pictures, codeServer } = editor;
  await chat.button("Allow").click();
  await chat.says("The greeting has types now.").waitFor();
  await workbench.openFile("greeting.py");
  await workbench.line("def greet(name: str) -> str:").waitFor();
  assert.equal(codeServer.read("greeting.py"), AFTER, "what the model goes on with is on disk");
  await chat.button("Open diff").click();
  await workbench.diff.original.getByText('"Hello " + name').waitFor();
  await workbench.diff.modified.getByText('f"Hello {name}"').waitFor();
  await pictures.take("applied-edit");
});

test("P6: a command that is refused is not run, and the model is told", async () => {
  const { chat, simulator, codeServer } = editor;
  await simulator.play(
    { match: { last_result_contains: "did not allow" }, respond: says("Then I leave it.") },
    { respond: calls("run", { command: "rm notes.md" }) },
  );
  await editor.newSession();
  await chat.send("Remove the notes.");
  await chat.button("Deny").click();
  await chat.says("Then I leave it.").waitFor();
  assert.equal(codeServer.read("notes.md"), NOTES);
});

test("a question is answered from a notification while the chat is out of sight", async () => {
  const { workbench, chat, simulator, pictures } = editor;
  await simulator.play(
    { match: { has_tool_results: true }, respond: says("It says hello.") },
    { respond: { ...calls("run", { command: "echo hello from the shell" }), delay_ms: 2_000 } },
  );
  await editor.newSession();
  await chat.send("Say hello in the shell.");
  await chat.prompt("Say hello in the shell.").waitFor();
  await workbench.showContainer("Explorer");
  const question = workbench.notification("echo hello from the shell");
  await question.waitFor();
  await pictures.take("permission-notification");
  await workbench.press(question, "Allow");
  await workbench.showContainer("Holdfast");
  await chat.says("It says hello.").waitFor();
});

test("the output of a command is folded away and opens on a click", async () => {
  const { chat, pictures } = editor;
  await chat.cardTitle(/echo hello from the shell/).click();
  await chat.card(/echo hello from the shell/).getByLabel("Output").getByText("hello from the shell").waitFor();
  await pictures.take("command-output");
});

test("a selection of the editor becomes a mention that the model can read", async () => {
  const { workbench, chat, simulator, page } = editor;
  await editor.newSession();
  await workbench.openFile("notes.md");
  await workbench.line("# Notes").click();
  await page.keyboard.press("Control+a");
  await workbench.command("Holdfast: Mention Selection in Chat");
  await chat.button("Remove notes.md:1").waitFor();
  await chat.composer.pressSequentially("What is this?");
  await chat.composer.press("Enter");
  await chat.says(/You said/).waitFor();
  const sent = JSON.stringify((await simulator.log()).at(-1)?.body);
  assert.ok(sent.includes('<file path=\\"notes.md\\"'), "the lines are in the prompt");
});

keepsItsPromises(editor);
