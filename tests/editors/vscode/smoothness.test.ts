/** Long and fast conversations stay smooth, measured in the browser in the extension's own view. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { editorForThisFile, keepsItsPromises } from "./lib/editor.ts";
import { heapBytes, quantile, recordFrameGaps } from "./lib/measuring.ts";
import { says } from "./lib/simulator.ts";
import { importConversation } from "./lib/transcripts.ts";
import { until } from "./lib/waiting.ts";

const GAP_P95_MAX_MS = 50;
const DELTAS = 12_000;
const DELTA_CHARS = 6;
const MINUTE_MS = 60_000;
const MESSAGES = 10_000;
const DRAWN_MAX = 200;
const HEAP_GROWTH_MAX = 40 << 20;

const editor = editorForThisFile({ prepare: (codeServer) => importConversation(codeServer, MESSAGES) });

test("200 deltas a second for a minute: the 95th percentile of frame gaps is at most 50 ms and does not grow", { timeout: 240_000 }, async (t) => {
  const { chat, simulator } = editor;
  await editor.showViews();
  await editor.newSession();
  // The pause is what remains of 5 ms when the simulator has done its work for one delta.
  await simulator.play({ respond: says(markdown(DELTAS * DELTA_CHARS), 2.8, DELTA_CHARS) });
  await chat.send("Write a long report.");
  await chat.says(/Section 1\b/).waitFor();
  const finish = await recordFrameGaps(await chat.frame());
  const began = Date.now();
  await chat.stop.waitFor({ state: "detached", timeout: 3 * MINUTE_MS });
  const seconds = (Date.now() - began) / 1000;
  const gaps = await finish();
  const third = Math.floor(gaps.length / 3);
  const [early, late] = [quantile(gaps.slice(0, third), 0.95), quantile(gaps.slice(-third), 0.95)];
  const p95 = quantile(gaps, 0.95);
  t.diagnostic(`${(DELTAS / seconds).toFixed(0)} deltas/s for ${seconds.toFixed(0)} s; frame gaps: p50 ${quantile(gaps, 0.5).toFixed(1)}, p95 ${p95.toFixed(1)} (first third ${early.toFixed(1)}, last third ${late.toFixed(1)}), p99 ${quantile(gaps, 0.99).toFixed(1)} ms`);
  await chat.says("The end of the report.").waitFor();
  assert.ok(p95 <= GAP_P95_MAX_MS, `p95 of the frame gaps is ${p95} ms`);
  assert.ok(late <= GAP_P95_MAX_MS, `p95 of the last third is ${late} ms, of the first ${early} ms`);
});

test("10 000 messages: a screenful is drawn, scrolling is smooth and memory flat", { timeout: 240_000 }, async (t) => {
  const { workbench, chat, page } = editor;
  await workbench.command("Holdfast: Open Session…");
  await workbench.pick(/Question 0/);
  await chat.says(`Answer ${MESSAGES / 2 - 1},`).waitFor({ timeout: 60_000 });
  const devTools = await page.context().newCDPSession(page);
  const before = await heapBytes(devTools);
  await chat.conversation.focus();
  const finish = await recordFrameGaps(await chat.frame());
  let drawn = 0;
  await until(
    async () => {
      await page.keyboard.press("Home");
      drawn = Math.max(drawn, await chat.conversation.locator("[data-index]").count());
      return chat.prompt("Question 0?").isVisible();
    },
    "the first message",
    120_000,
  );
  const gaps = await finish();
  const growth = (await heapBytes(devTools)) - before;
  t.diagnostic(`${drawn} rows drawn at most; frame gaps: p95 ${quantile(gaps, 0.95).toFixed(1)} ms; heap grew by ${(growth / 1e6).toFixed(1)} MB`);
  assert.ok(drawn <= DRAWN_MAX, `${drawn} rows are drawn`);
  assert.ok(quantile(gaps, 0.95) <= GAP_P95_MAX_MS, `p95 of the frame gaps is ${quantile(gaps, 0.95)} ms`);
  assert.ok(growth <= HEAP_GROWTH_MAX, `the heap grew by ${growth} bytes`);
  await chat.button("Jump to latest").click();
  await chat.says(`Answer ${MESSAGES / 2 - 1},`).waitFor();
});

keepsItsPromises(editor);

/** A report of about this many characters: headings, prose, lists and code, as models write them. */
function markdown(chars: number): string {
  const end = "\n\nThe end of the report.\n";
  let text = "";
  for (let section = 1; text.length < chars - end.length; section += 1) {
    text += `## Section ${section}\n\nSome **bold** words about \`module_${section}\`, which is long enough to wrap in a side bar.\n\n`;
    text += `- first point of ${section}\n- second point, with a [link](https://example.invalid/${section})\n\n`;
    text += `\`\`\`python\ndef function_${section}(value: int) -> int:\n    return value * ${section}  # and a comment\n\`\`\`\n\n`;
  }
  return text.slice(0, chars - end.length) + end;
}
