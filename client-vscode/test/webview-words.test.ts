/** Numbers, times and the history of prompts, as a person reads and uses them. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import contributed from "../package.json";
import icons from "../webview/icons.json";
import { atEdge, mentionAt, notRecalling, recalled, refusalOf } from "../webview/typing";
import wording from "../webview/wording.json";
import { bytes, count, countdown, duration, mentionWords, money } from "../webview/words";

describe("times", () => {
  it("are said in the largest units that matter", () => {
    assert.deepEqual([-5, 0, 450, 12_900, 65_000, 120_000, 7_380_000].map(duration), [
      "0 s",
      "0 s",
      "0.4 s",
      "12 s",
      "1 min 5 s",
      "2 min",
      "2 h 3 min",
    ]);
  });
  it("that are counted down never promise too early", () => {
    assert.equal(countdown(12_001, 0), "in 13 s");
    assert.equal(countdown(12_000, 0), "in 12 s");
    assert.equal(countdown(1, 0), "in 1 s");
    assert.equal(countdown(5, 5), "now");
    assert.equal(countdown(5, 900), "now");
  });
});

describe("amounts", () => {
  it("of tokens are rounded to what fits a glance", () => {
    assert.deepEqual([0, 940, 1000, 8400, 9950, 84_200, 999_499, 999_500, 1_250_000].map(count), [
      "0",
      "940",
      "1k",
      "8.4k",
      "10k",
      "84k",
      "999k",
      "1M",
      "1.3M",
    ]);
  });
  it("of money are never rounded to nothing", () => {
    assert.deepEqual(
      [money(0, "USD"), money(0.004, "USD"), money(1.2, "USD"), money(1, "EUR")],
      ["$0.00", "under $0.01", "$1.20", "EUR 1.00"],
    );
  });
  it("of bytes", () => assert.deepEqual([300, 240_000, 1_500_000].map(bytes), ["300 B", "240 kB", "1.5 MB"]));
});

describe("mentions", () => {
  it("are named by file and lines", () => {
    assert.equal(mentionWords({ path: "src/a.py" }), "a.py");
    assert.equal(mentionWords({ path: "src/a.py", startLine: 3, endLine: 3 }), "a.py:3");
    assert.equal(mentionWords({ path: "src\\a.py", startLine: 3, endLine: 9 }), "a.py:3-9");
  });
  it("are asked for by an @ at the start of a word, up to the caret", () => {
    assert.deepEqual(mentionAt("look at @src/a and", 14), { start: 8, query: "src/a" });
    assert.deepEqual(mentionAt("@", 1), { start: 0, query: "" });
    assert.equal(mentionAt("me@example.org", 14), undefined);
    assert.equal(mentionAt("@a b", 4), undefined);
  });
});

const UP = 1;
const DOWN = -1;

describe("the history of prompts", () => {
  const history = ["newest", "older"];
  it("goes back with Up and returns with Down to what was being typed", () => {
    const first = recalled(notRecalling, history, "typing", UP);
    assert.equal(first?.text, "newest");
    const second = recalled(first!.recall, history, "newest", UP);
    assert.equal(second?.text, "older");
    assert.equal(recalled(second!.recall, history, "older", UP), undefined);
    const back = recalled(second!.recall, history, "older", DOWN);
    assert.equal(back?.text, "newest");
    const typing = recalled(back!.recall, history, "newest", DOWN);
    assert.equal(typing?.text, "typing");
    assert.equal(recalled(typing!.recall, history, "typing", DOWN), undefined);
  });
  it("is left to the caret inside a text of many lines", () => {
    assert.equal(atEdge("a\nb", 1, UP), true);
    assert.equal(atEdge("a\nb", 2, UP), false);
    assert.equal(atEdge("a\nb", 1, DOWN), false);
    assert.equal(atEdge("a\nb", 2, DOWN), true);
  });
});

describe("a pasted picture", () => {
  it("is taken up to 20 MB", () => assert.equal(refusalOf({ type: "image/png", size: 20_000_000 }), undefined));
  it("is refused with what to do, when it is too large or of another type", () => {
    assert.match(refusalOf({ type: "image/png", size: 31_000_000 }) ?? "", /31 MB; at most 20 MB .* smaller/);
    assert.match(refusalOf({ type: "image/tiff", size: 5 }) ?? "", /Use PNG/);
  });
});

describe("the words that are data", () => {
  const { welcome, connection, tools, todos } = wording;
  it("name only icons that are drawn", () => {
    const named = [connection, tools, todos].flatMap((group) => Object.values(group)).map(({ icon }) => icon);
    assert.deepEqual(
      named.filter((icon) => !(icon in icons)),
      [],
    );
  });
  it("offer only commands of the palette, the first of them as the likeliest", () => {
    const known = contributed.contributes.commands.map(({ command }) => command);
    for (const { title, actions } of [welcome, connection].flatMap((group) => Object.values(group))) {
      const offered: { command: string; primary?: boolean }[] = actions;
      assert.ok(
        offered.every(({ command }) => known.includes(command)),
        title,
      );
      assert.deepEqual(
        offered.map(({ primary = false }) => primary),
        offered.map((_, at) => at === 0),
      );
    }
  });
});
