/** From nothing to the first answer: what a person does who has just installed the extension. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { says } from "./lib/simulator.ts";

const editor = editorForThisFile({ key: false, files: { "parser.py": "def parse(text):\n    return text\n" } });

test("the .vsix is installed: its views are in the activity bar, with a word of welcome", async () => {
  const { page, pictures } = editor;
  await editor.showViews();
  await page.getByText("No API key is known.").waitFor();
  await pictures.take("welcome");
});

test("the walkthrough leads from the key, typed into the input box, to a new session", async () => {
  const { workbench, page, pictures, key } = editor;
  await workbench.command("Welcome: Open Walkthrough...");
  await workbench.pick("Get Started with Holdfast");
  const walkthrough = page.locator(".gettingStartedContainer");
  await walkthrough.getByRole("button", { name: "Set API Key" }).waitFor();
  await pictures.take("walkthrough");
  await walkthrough.getByRole("button", { name: "Set API Key" }).click();
  await workbench.pick("API key");
  await workbench.quickInput.locator('input[type="password"]').waitFor();
  await workbench.enter(key);
  await page.getByText("No API key is known.").waitFor({ state: "detached" });
  await walkthrough.getByText("Begin a session").click();
  await walkthrough.getByRole("button", { name: "New Session" }).click();
  await editor.chat.composer.waitFor();
});

test("P3: the first prompt gets its answer, drawn as Markdown while it arrives", async () => {
  const { chat, simulator, pictures } = editor;
  await simulator.play({ respond: says(ANSWER, 20, 12) });
  await chat.send("What does parser.py do?");
  await chat.prompt("What does parser.py do?").waitFor();
  await chat.stop.waitFor();
  await chat.conversation.getByRole("heading", { name: "What it does" }).waitFor();
  await chat.stop.waitFor({ state: "detached" });
  await chat.conversation.locator("code", { hasText: "def parse(text: str)" }).waitFor();
  assert.equal(await chat.conversation.getByRole("listitem").count(), 2);
  await pictures.take("first-answer");
});

test("P11: the key went to the API, and the session is in the list", async () => {
  const { workbench, simulator } = editor;
  assert.ok((await simulator.log()).some((entry) => entry.status === 200), "a request with the key was answered");
  await workbench.treeRow("What does parser.py do?").waitFor();
});

test("a session is renamed by its person and found by its new name", async () => {
  const { workbench, chat } = editor;
  await workbench.command("Holdfast: Rename Session…");
  await workbench.enter("The parser");
  await workbench.treeRow("The parser").waitFor();
  await editor.newSession();
  await chat.prompt("What does parser.py do?").waitFor({ state: "detached" });
  await workbench.command("Holdfast: Open Session…");
  await workbench.pick("The parser");
  await chat.prompt("What does parser.py do?").waitFor();
});

keepsItsPromises(editor);

const ANSWER = `## What it does

\`parse\` gives back what it gets. Two things are missing:

- It has no **types**.
- It knows no errors.

\`\`\`python
def parse(text: str) -> str:
    """Return the text, checked."""
    if not text:
        raise ValueError("nothing to parse")
    return text
\`\`\`
`;
