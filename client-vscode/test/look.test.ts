import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionEntry, Status } from "../src/protocol";
import { ago, look, mostUrgent, ticks } from "../src/sessions/look";

const progress = { percentage: 40, elapsedMs: 10 };
const NOW = 1_770_000_000_000;
const status = (more: Partial<Status>): Status => ({ sessionId: "s_1", phase: "idle", label: "", ...more });
const text = (more: Partial<Status>): string => look(status(more), NOW).text;

test("the words are the server's", () => {
  assert.equal(text({}), "");
  assert.equal(text({ phase: "streaming", label: "streaming, compacting 40 %" }), "streaming, compacting 40 %");
});

test("a wait counts down, wherever its word stands, and never below nothing", () => {
  const wait = { phase: "waiting", retryAt: NOW + 11_200 } as const;
  assert.equal(text({ ...wait, label: "waiting" }), "waiting 12 s");
  assert.equal(text({ ...wait, label: "waiting, compacting 40 %" }), "waiting 12 s, compacting 40 %");
  assert.equal(text({ ...wait, label: "waiting", retryAt: NOW - 5_000 }), "waiting 0 s");
});

test("a session that is not open in this server is said by its phase alone", () => {
  const { label, ...closed } = status({ phase: "runningTools" });
  assert.equal(label, "");
  assert.deepEqual([look(closed, NOW).text, look({ ...closed, phase: "idle" }, NOW).text], ["running tools", ""]);
});

test("a session of another server has a lock, one that compacts in the background its own sign", () => {
  assert.equal(look(status({ readOnly: "another editor" }), NOW).icon, "lock");
  assert.equal(look(status({ phase: "streaming", progress }), NOW).icon, "fold");
  assert.equal(look(status({ phase: "asking", progress }), NOW).icon, "question");
});

test("a phase of a newer server looks idle and harms nothing", () => {
  assert.deepEqual([text({ phase: "levitating" as Status["phase"] }), text({ phase: "levitating" as Status["phase"], label: "up" })], ["", "up"]);
});

test("what needs a person most is shown first, the newest of equals", () => {
  const entry = (phase: Status["phase"], updatedAt: number) => ({ phase, updatedAt, status: status({ phase }) }) as SessionEntry;
  const first = mostUrgent([entry("streaming", 9), entry("asking", 1), entry("paused", 5), entry("asking", 2)], NOW);
  assert.deepEqual([first?.phase, first?.updatedAt], ["asking", 2]);
});

test("only a countdown changes by the clock", () => {
  const ticking = [{ phase: "waiting", retryAt: 1 }, { phase: "waiting" }, { phase: "streaming" }] as const;
  assert.deepEqual(ticking.map((each) => ticks(status(each))), [true, false, false]);
});

test("how long ago something was is round", () => {
  assert.deepEqual([0, 59, 60, 2_900].map((minutes) => ago(NOW - minutes * 60_000, NOW)), ["now", "59 min", "1 h", "2 d"]);
});
