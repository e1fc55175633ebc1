/**
 * The conversation as a virtual list. Law: only rows near the window are in the page; the list
 * sticks to its end unless a person scrolled away, and what they look at never jumps.
 */

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { rendered } from "./cards";
import { post } from "./host";
import { Button } from "./parts";
import type { Row } from "./rows";
import { current, follow, set, type State } from "./store";

/** This near to its end (in pixels) the list counts as being at the end. */
const END_PX = 40;
const OLDER_PX = 600;

export function List({ rows, state }: { rows: readonly Row[]; state: State }) {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer(rows, scroller);
  const lastTop = useRef(0);
  /** A pointer is down: the scroll bar may be dragged. */
  const held = useRef(false);

  useLayoutEffect(() => {
    // Not of the last drawing: the list also draws by itself, when a row was measured.
    if (current().following && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  });

  // Only a person's own hand lets go of the end: content that grows also moves the position.
  const letGo = () => {
    if ((scroller.current?.scrollTop ?? 0) > 0) follow(false);
  };
  const onScroll = ({ currentTarget: { scrollTop, scrollHeight, clientHeight } }: { currentTarget: HTMLElement }) => {
    const wentUp = scrollTop < lastTop.current - 1;
    lastTop.current = scrollTop;
    if (wentUp && held.current) letGo();
    else if (!wentUp && scrollHeight - scrollTop - clientHeight <= END_PX) follow(true);
    const oldest = state.items[0];
    if (!state.more || state.loadingOlder || scrollTop >= OLDER_PX || !oldest) return;
    set({ loadingOlder: true });
    post({ type: "older", before: oldest.id });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (["ArrowUp", "PageUp", "Home"].includes(event.key)) letGo();
    if (event.key !== "Home" || event.target !== scroller.current) return;
    event.preventDefault(); // the browser's own way there is slow and ends where a row is measured
    list.scrollToOffset(0);
  };

  const shown = list.getVirtualItems();
  return (
    <div class="list">
      <div
        class="scroller"
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label="Conversation"
        tabIndex={0}
        onScroll={onScroll}
        onWheel={(event) => event.deltaY < 0 && letGo()}
        onPointerDown={() => (held.current = true)}
        onPointerUp={() => (held.current = false)}
        onKeyDown={onKeyDown}
      >
        <div class="extent" style={{ height: `${list.getTotalSize()}px` }}>
          <div class="window" style={{ transform: `translateY(${shown[0]?.start ?? 0}px)` }}>
            {shown.map(({ key, index }) => (
              <div key={key} class="row" data-index={index} ref={list.measureElement}>
                {rendered(rows[index], state)}
              </div>
            ))}
          </div>
        </div>
      </div>
      {state.following ? null : (
        <Button class="to-end" icon="down" title="Jump to latest" onClick={() => follow(true)} />
      )}
    </div>
  );
}

function useVirtualizer(rows: readonly Row[], scroller: { current: HTMLDivElement | null }) {
  const [, redraw] = useState({});
  const options = {
    count: rows.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index: number) => rows[index]?.key ?? index,
    estimateSize: (index: number) => estimate(rows[index]),
    overscan: 4,
    paddingStart: 8,
    paddingEnd: 10,
    anchorTo: "end" as const,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw({}),
  };
  const [list] = useState(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(options));
  list.setOptions(options);
  useEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => list._willUpdate());
  return list;
}

/** A first guess in pixels, until the row is measured. */
function estimate(row: Row | undefined): number {
  if (row?.kind !== "prose") return 44;
  const chars = row.blocks.reduce((sum, block) => sum + block.length, row.open.length);
  return 24 + (chars / 60) * 20;
}
