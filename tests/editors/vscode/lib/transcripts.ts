/** Long conversations, made up, as files of another assistant that `holdfast import` reads. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { randomUUID } from "node:crypto";
import type { CodeServer } from "./code-server.ts";
import { holdfast } from "./places.ts";

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
