/** Measurements in the browser. Times in milliseconds, sizes in bytes. */

import type { CDPSession, Frame } from "playwright-core";

/** Record the time between frames in this document until the returned function is called. */
export async function recordFrameGaps(frame: Frame): Promise<() => Promise<number[]>> {
  const recording = await frame.evaluateHandle(() => {
    const state = { gaps: [] as number[], going: true };
    let last = performance.now();
    const onFrame = (now: number): void => {
      state.gaps.push(now - last);
      last = now;
      if (state.going) requestAnimationFrame(onFrame);
    };
    requestAnimationFrame(onFrame);
    return state;
  });
  return () =>
    recording.evaluate((state) => {
      state.going = false;
      return state.gaps;
    });
}

/** The value that `share` of all values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** What the page's scripts hold, after a collection of garbage. */
export async function heapBytes(devTools: CDPSession): Promise<number> {
  await devTools.send("HeapProfiler.enable");
  await devTools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devTools.send("Runtime.getHeapUsage");
  return usedSize;
}
