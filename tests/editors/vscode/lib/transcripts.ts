/** Conversations, made up, as files of another assistant. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { randomUUID } from "node:crypto";
import type { CodeServer } from "./code-server.ts";
import { holdfast } from "./places.ts";

/** The session id that stands in `broken`. */
export const BROKEN_ID = "5d2f1c7e-0b52-4c1e-9d0a-3f6c1a2b4c5d";

/**
 * A transcript with three faults: on line 3 two records stand glued together, the call on line 5 has
 * no result, and line 8 is torn. `folder`: where the session was at work.
 */
export function broken(folder: string): string {
  const calling = (id: string, name: string, input: object) => ({ type: "tool_use", id, name, input });
  const said: [role: string, ...content: object[]][] = [
    ["user", { type: "text", text: "What does greet do?" }],
    ["assistant", { type: "text", text: "I look." }, calling("toolu_01", "Read", { file_path: "greeting.py" })],
    ["user", { type: "tool_result", tool_use_id: "toolu_01", content: "def greet(): ..." }],
    ["assistant", { type: "text", text: "It greets." }],
    ["user", { type: "text", text: "Run the tests." }],
    ["assistant", calling("toolu_02", "Bash", { command: "pytest" })],
    ["user", { type: "text", text: "Are you still there?" }],
    ["assistant", { type: "text", text: "Yes. The tests were interrupted." }],
  ];
  const uuid = (index: number) => (index < 0 ? null : `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`);
  const lines = said.map(([role, ...content], index) => {
    const timestamp = new Date(Date.UTC(2026, 0, 1, 10) + index * 1_000).toISOString();
    const usage = { id: `msg_${index}`, type: "message", model: "claude-opus-4-5", usage: { input_tokens: 1_200, output_tokens: 80 } };
    const message = { ...(role === "assistant" ? usage : {}), role, content };
    const links = { parentUuid: uuid(index - 1), uuid: uuid(index), isSidechain: false, sessionId: BROKEN_ID };
    return JSON.stringify({ type: role, timestamp, message, ...links, cwd: folder, version: "2.1.49" });
  });
  const [first, call, result, answer, ...rest] = lines;
  return [first, call, `${result}${answer}`, ...rest, lines.at(-1)?.slice(0, 150)].join("\n");
}

/** Put a session of `messages` messages, questions and answers in turn, into the editor's store. */
export function importConversation(codeServer: CodeServer, messages: number): void {
  const file = path.join(codeServer.dataDir, "../conversation.jsonl");
  const sessionId = randomUUID();
  let parentUuid: string | null = null;
  const lines = Array.from({ length: messages }, (_, index) => {
    const [uuid, role] = [randomUUID(), index % 2 === 0 ? "user" : "assistant"];
    const text = index % 2 === 0 ? `Question ${index / 2}?` : `Answer ${(index - 1) / 2}, with *some* Markdown and \`code\`.`;
    const message = role === "user" ? { role, content: text } : { role, content: [{ type: "text", text }] };
    const timestamp = new Date(Date.UTC(2026, 0, 1) + index * 1_000).toISOString();
    const line = { parentUuid, isSidechain: false, cwd: codeServer.folder, sessionId, version: "2.1.49", type: role, message, uuid, timestamp };
    parentUuid = uuid;
    return JSON.stringify(line);
  });
  fs.writeFileSync(file, `${lines.join("\n")}\n`);
  execFileSync(holdfast, ["import", file], { env: { ...process.env, HOLDFAST_DATA_DIR: codeServer.dataDir }, timeout: 60_000 });
}
