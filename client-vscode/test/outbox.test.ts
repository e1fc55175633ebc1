import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyDraft, Outbox, remembered, sendArgument, type Memory, type Waiting } from "../src/chat/outbox";

class Disk implements Memory {
  readonly kept = new Map<string, string>();
  get<T>(key: string): T | undefined {
    const text = this.kept.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }
  async update(key: string, value: unknown): Promise<void> {
    if (value === undefined) this.kept.delete(key);
    else this.kept.set(key, JSON.stringify(value));
  }
}

const prompt = (promptId: string, text = promptId): Waiting => ({ promptId, draft: { ...emptyDraft, text } });

/** An outbox whose server takes everything but `later`, and what was sent and what was then said of it. */
function stage({ disk = new Disk(), later = "" } = {}) {
  const [sent, said]: [string[], string[]] = [[], []];
  const outbox = new Outbox(disk, "k", async ({ promptId }) => {
    sent.push(promptId);
    return promptId === later ? undefined : () => said.push(promptId);
  });
  return { outbox, sent, said, disk };
}

test("a prompt outlives the window that could not send it, and is sent under the same id", async () => {
  const first = stage({ later: "p_1" });
  await first.outbox.add(prompt("p_1"));
  await first.outbox.flush();
  const second = stage({ disk: first.disk });
  await second.outbox.flush();
  assert.deepEqual([first.said, second.sent, second.outbox.list(), first.disk.kept.size], [[], ["p_1"], [], 0]);
});

test("prompts are sent in order, and none overtakes one that has to wait", async () => {
  const { outbox, sent } = stage({ later: "p_2" });
  for (const id of ["p_1", "p_2", "p_3"]) await outbox.add(prompt(id));
  await outbox.flush();
  assert.deepEqual([sent, outbox.list().map(({ promptId }) => promptId)], [["p_1", "p_2"], ["p_2", "p_3"]]);
});

test("one id is one prompt", async () => {
  const { outbox } = stage();
  await outbox.add(prompt("p_1", "first"));
  await outbox.add(prompt("p_1", "again"));
  assert.deepEqual(outbox.list().map(({ draft }) => draft.text), ["first"]);
});

test("what is to be said of a prompt is said once it is off the disk, and the next one follows", async () => {
  const disk = new Disk();
  const left: number[] = [];
  const outbox = new Outbox(disk, "k", async () => () => left.push(outbox.list().length));
  await outbox.add(prompt("p_1"));
  await outbox.add(prompt("p_2"));
  await outbox.flush();
  assert.deepEqual(left, [1, 0]);
});

test("two flushes at the same time send each prompt once, also one added meanwhile", async () => {
  const sent: string[] = [];
  const outbox = new Outbox(new Disk(), "k", async ({ promptId }) => {
    sent.push(promptId);
    if (promptId === "p_1") await outbox.add(prompt("p_2"));
    return () => {};
  });
  await outbox.add(prompt("p_1"));
  await Promise.all([outbox.flush(), outbox.flush()]);
  assert.deepEqual(sent, ["p_1", "p_2"]);
});

test("a prompt with pictures is sent as content, one without as text", () => {
  const images = [{ mediaType: "image/png", data: "QQ==" }];
  const plain = sendArgument("s_1", { promptId: "p_1", draft: { text: "a", mentions: [{ path: "x.py" }], images: [] } });
  const pictured = sendArgument("s_1", { promptId: "p_1", draft: { text: " ", mentions: [], images } });
  assert.deepEqual(plain, { sessionId: "s_1", promptId: "p_1", text: "a", mentions: [{ path: "x.py" }] });
  assert.deepEqual(pictured.content, [{ type: "image", source: { type: "base64", media_type: "image/png", data: "QQ==" } }]);
});

test("the history has each prompt once, newest first, and an end", () => {
  assert.deepEqual(remembered(["b", "a"], "a"), ["a", "b"]);
  assert.deepEqual(remembered(["a"], "  "), ["a"]);
  assert.equal(remembered(Array.from({ length: 100 }, (_, index) => `${index}`), "new").length, 100);
});
