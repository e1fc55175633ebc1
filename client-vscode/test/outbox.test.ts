import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyDraft, Outbox, remembered, sendArgument, type Memory, type Outcome, type Waiting } from "../src/chat/outbox";

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
const taken: Outcome = { is: "taken" };

test("a prompt outlives the window that could not send it, and is sent under the same id", async () => {
  const disk = new Disk();
  const first = new Outbox(disk, "k");
  await first.add(prompt("p_1"));
  await first.flush(async () => ({ is: "later" }), () => assert.fail("nothing was taken"));
  const second = new Outbox(disk, "k");
  const sent: string[] = [];
  await second.flush(async ({ promptId }) => (sent.push(promptId), taken), () => {});
  assert.deepEqual([sent, second.list(), disk.kept.size], [["p_1"], [], 0]);
});

test("prompts are sent in order, and none overtakes one that has to wait", async () => {
  const outbox = new Outbox(new Disk(), "k");
  for (const id of ["p_1", "p_2", "p_3"]) await outbox.add(prompt(id));
  const sent: string[] = [];
  await outbox.flush(async ({ promptId }) => (sent.push(promptId), promptId === "p_2" ? { is: "later" } : taken), () => {});
  assert.deepEqual([sent, outbox.list().map(({ promptId }) => promptId)], [["p_1", "p_2"], ["p_2", "p_3"]]);
});

test("one id is one prompt", async () => {
  const outbox = new Outbox(new Disk(), "k");
  await outbox.add(prompt("p_1", "first"));
  await outbox.add(prompt("p_1", "again"));
  assert.deepEqual(outbox.list().map(({ draft }) => draft.text), ["first"]);
});

test("a refused prompt is given back and does not hold up the next", async () => {
  const outbox = new Outbox(new Disk(), "k");
  await outbox.add(prompt("p_1"));
  await outbox.add(prompt("p_2"));
  const ends: [string, string][] = [];
  await outbox.flush(async ({ promptId }) => (promptId === "p_1" ? { is: "refused", message: "no", action: "do" } : taken), ({ promptId }, { is }) => ends.push([promptId, is]));
  assert.deepEqual(ends, [["p_1", "refused"], ["p_2", "taken"]]);
});

test("two flushes at the same time send each prompt once, also one added meanwhile", async () => {
  const outbox = new Outbox(new Disk(), "k");
  await outbox.add(prompt("p_1"));
  const sent: string[] = [];
  const send = async ({ promptId }: Waiting): Promise<Outcome> => {
    sent.push(promptId);
    if (promptId === "p_1") await outbox.add(prompt("p_2"));
    return taken;
  };
  await Promise.all([outbox.flush(send, () => {}), outbox.flush(send, () => {})]);
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
