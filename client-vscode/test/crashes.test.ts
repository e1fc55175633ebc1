import assert from "node:assert/strict";
import { test } from "node:test";
import { CrashWindow } from "../src/launch/crashes";

test("the first crash is mended at once, later ones after growing waits, a loop not at all", () => {
  const crashes = new CrashWindow(4, 60_000);
  assert.deepEqual([0, 1, 2, 3].map((second) => crashes.record(second * 1000)), [0, 500, 1000, undefined]);
});

test("crashes further apart than the window never become a loop", () => {
  const crashes = new CrashWindow(2, 60_000);
  for (let minute = 0; minute < 20; minute += 1) assert.equal(crashes.record(minute * 60_000), 0);
});

test("a restart that a person asked for begins anew", () => {
  const crashes = new CrashWindow(2);
  crashes.record(0);
  crashes.reset();
  assert.equal(crashes.record(1), 0);
});
