import assert from "node:assert/strict";
import { test } from "node:test";
import { afterCrash } from "../src/launch/ladder";

test("the first crash is mended at once, later ones after growing waits, a loop not at all", () => {
  let crashes: number[] = [];
  const delays = [0, 1, 2, 3, 4].map((second) => {
    const after = afterCrash(crashes, second * 1000);
    crashes = after.crashes;
    return after.delayMs;
  });
  assert.deepEqual(delays, [0, 500, 1000, 1500, undefined]);
});

test("crashes further apart than the window never become a loop", () => {
  let crashes: number[] = [];
  for (let hour = 0; hour < 20; hour += 1) {
    const after = afterCrash(crashes, hour * 3_600_000);
    crashes = after.crashes;
    assert.deepEqual([after.delayMs, crashes.length], [0, 1]);
  }
});

test("a restart that a person asked for begins anew", () => {
  assert.equal(afterCrash([], 1).delayMs, 0);
});
