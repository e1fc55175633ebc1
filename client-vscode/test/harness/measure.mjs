/**
 * Measures the chat view in a browser: `node measure.mjs [seconds] [deltas per second]`.
 * 1. a long answer that streams in: gaps between animation frames, heap, nodes of the page;
 * 2. 10 000 items that come in one after another: heap after collection, nodes, then scrolling.
 */
import { onStage } from "./stage.mjs";

const [seconds = 60, rate = 200] = process.argv.slice(2).map(Number);
const WORDS = "the retry loop sleeps **before** it looks at the `stop` flag and so it is seen late; ".split(" ");

async function heapAndNodes(client) {
  await client.send("HeapProfiler.collectGarbage");
  const { metrics } = await client.send("Performance.getMetrics");
  const value = (name) => metrics.find((metric) => metric.name === name).value;
  return { heapMB: +(value("JSHeapUsedSize") / 1e6).toFixed(1), nodes: value("Nodes") };
}

function summary(gaps) {
  const sorted = gaps.toSorted((a, b) => a - b);
  const at = (part) => +(sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  return { frames: gaps.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: +sorted.at(-1).toFixed(1) };
}

/** Runs in the page: streams for `seconds` and returns the gaps between frames. */
function stream({ seconds, rate, words, first }) {
  const put = (id, text) => ({
    op: "put",
    item: { id, seq: 1, atMs: Date.now(), kind: "text", text, state: "streaming" },
  });
  const gaps = [];
  let sent = 0;
  if (first) host.tell({ type: "changes", changes: [put("long", "")] });
  const delta = () => {
    const word = words[sent % words.length];
    const line = sent % 400;
    if (line === 300) return "\n\n```python\n";
    if (line > 300 && line < 399) return sent % 8 === 0 ? "\n" : `${word.replaceAll("`", "")} `;
    if (line === 399) return "\n```\n\n";
    return sent % 60 === 59 ? "\n\n" : sent % 25 === 24 ? "\n- " : `${word} `;
  };
  return new Promise((resolve) => {
    const start = performance.now();
    let last = start;
    const timer = setInterval(() => {
      for (; sent < ((performance.now() - start) / 1000) * rate; sent++) {
        host.tell({ type: "changes", changes: [{ op: "append", id: "long", text: delta() }] });
      }
    }, 5);
    const frame = (now) => {
      gaps.push(now - last);
      last = now;
      if (now - start < seconds * 1000) return requestAnimationFrame(frame);
      clearInterval(timer);
      resolve({ gaps: gaps.slice(1), sent });
    };
    requestAnimationFrame(frame);
  });
}

/** Runs in the page: adds `count` finished items, a few per frame. */
function append({ from, count }) {
  const at = (n) => ({ id: `n${n}`, seq: n, atMs: Date.now() });
  const made = (n) =>
    n % 3 === 0
      ? {
          ...at(n),
          kind: "tool",
          toolUseId: `u${n}`,
          name: "run",
          title: `Run step ${n}`,
          input: { n },
          state: "finished",
          output: "ok ".repeat(60),
          hasDiff: false,
        }
      : {
          ...at(n),
          kind: "text",
          text: `Step **${n}** is done.\n\n- it was \`${n}\`\n- ${"and more ".repeat(n % 30)}`,
          state: "done",
        };
  return new Promise((resolve) => {
    let n = from;
    const frame = () => {
      for (let i = 0; i < 10 && n < from + count; i++, n++)
        host.tell({ type: "changes", changes: [{ op: "put", item: made(n) }] });
      n < from + count ? requestAnimationFrame(frame) : setTimeout(resolve, 300);
    };
    frame();
  });
}

/** Runs in the page: scrolls up and down through what is there. */
function scroll(seconds) {
  const scroller = document.querySelector(".scroller");
  scroller.dispatchEvent(new WheelEvent("wheel", { deltaY: -1 }));
  const gaps = [];
  return new Promise((resolve) => {
    const start = performance.now();
    let last = start;
    const frame = (now) => {
      gaps.push(now - last);
      last = now;
      scroller.scrollTop += now - start < seconds * 500 ? -400 : 350;
      now - start < seconds * 1000 ? requestAnimationFrame(frame) : resolve(gaps.slice(1));
    };
    requestAnimationFrame(frame);
  });
}

await onStage(async (page, address, context) => {
  await page.goto(`${address}?theme=dark&scene=conversation`);
  await page.locator(".scroller").waitFor();
  const client = await context.newCDPSession(page);
  await client.send("Performance.enable");
  console.log("at the start", await heapAndNodes(client));
  const half = await page.evaluate(stream, { seconds: seconds / 2, rate, words: WORDS, first: true });
  console.log("streaming, first half", half.sent, "deltas", summary(half.gaps), await heapAndNodes(client));
  const rest = await page.evaluate(stream, { seconds: seconds / 2, rate, words: WORDS });
  console.log("streaming, second half", rest.sent, "deltas", summary(rest.gaps), await heapAndNodes(client));
  for (let from = 0; from < 10_000; from += 2500) {
    await page.evaluate(append, { from, count: 2500 });
    console.log("items", from + 2500, await heapAndNodes(client));
  }
  console.log("scrolling", summary(await page.evaluate(scroll, 6)), await heapAndNodes(client));
});
