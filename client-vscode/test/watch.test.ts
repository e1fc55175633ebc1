import assert from "node:assert/strict";
import { test } from "node:test";
import type { ToView } from "../src/chat/messages";
import { followTurn, type Followed } from "../src/chat/watch";
import type { Item, Phase, Status } from "../src/protocol";
import { applyChanges } from "../webview/changes";

class Stage implements Followed {
  items: readonly Item[] = [];
  session: { phase: Phase } = { phase: "idle" };
  readonly listeners = new Set<(message: ToView) => void>();
  onMessage(listener: (message: ToView) => void) {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  }
  tell(message: ToView): void {
    if (message.type === "changes") this.items = applyChanges(this.items, message.changes);
    if (message.type === "status") this.session = { phase: message.status.phase };
    for (const listener of [...this.listeners]) listener(message);
  }
  phase(phase: Phase): void {
    this.tell({ type: "status", status: { sessionId: "s_1", phase } as Status });
  }
  put(item: Partial<Item>): void {
    this.tell({ type: "changes", changes: [{ op: "put", item: { seq: 1, atMs: 1, state: "streaming", ...item } as Item }] });
  }
}

function followed(stage: Stage, send = async () => {}) {
  const heard = { words: "", steps: [] as string[] };
  const end = followTurn(stage, "p_1", send, { text: (piece) => (heard.words += piece), step: (title) => heard.steps.push(title) });
  return { heard, end };
}

test("words are passed on once, in order, and each tool call is named once", async () => {
  const stage = new Stage();
  const { heard, end } = followed(stage);
  stage.phase("streaming");
  stage.put({ id: "a", kind: "text", text: "I " });
  stage.tell({ type: "changes", changes: [{ op: "append", id: "a", text: "look." }] });
  stage.put({ id: "t", kind: "tool", title: "Read a.py", state: "running" });
  stage.put({ id: "t", kind: "tool", title: "Read a.py", state: "finished" });
  stage.put({ id: "b", kind: "text", text: "Done.", state: "done" });
  stage.phase("idle");
  assert.equal(await end, "idle");
  assert.deepEqual(heard, { words: "I look.\n\nDone.", steps: ["Read a.py"] });
});

test("what the session said before the prompt is no answer to it", async () => {
  const stage = new Stage();
  stage.put({ id: "old", kind: "text", text: "Earlier.", state: "done" });
  const { heard, end } = followed(stage);
  stage.phase("idle");
  stage.put({ id: "old", kind: "text", text: "Earlier. Changed.", state: "done" });
  assert.equal(stage.listeners.size, 1, "it still waits");
  stage.phase("requesting");
  stage.phase("paused");
  assert.deepEqual([await end, heard.words], ["paused", ""]);
});

test("an answer that came between two looks at the state ends the turn too", async () => {
  const stage = new Stage();
  const { end } = followed(stage);
  stage.put({ id: "a", kind: "text", text: "Quick.", state: "done" });
  assert.equal(await end, "idle");
});

test("a question ends the following, because a person must answer it", async () => {
  const stage = new Stage();
  const { end } = followed(stage);
  stage.phase("streaming");
  stage.phase("asking");
  assert.equal(await end, "asking");
  assert.equal(stage.listeners.size, 0);
});

test("a refused prompt and a failing send are told, and nothing listens any more", async () => {
  const [first, second] = [new Stage(), new Stage()];
  const refused = followed(first).end;
  first.tell({ type: "refused", promptId: "p_1", draft: { text: "", mentions: [], images: [] }, message: "It is empty.", action: "Write something." });
  await assert.rejects(refused, /It is empty\. Write something\./);
  await assert.rejects(followed(second, () => Promise.reject(new Error("disk"))).end, /disk/);
  assert.deepEqual([first.listeners.size, second.listeners.size], [0, 0]);
});
