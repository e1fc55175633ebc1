/**
 * The conversation as a virtual list. Law: only rows near the window are in the page; the list
 * sticks to its end unless a person scrolled away, and what they look at never jumps.
 */

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import type { ComponentChild } from "preact";
import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { current, dispatch } from "./live";
import { Button } from "./parts";
import type { Row } from "./rows";

/** This near to its end (in pixels) the list counts as being at the end. */
const END_PX = 40;
const OLDER_PX = 600;

const follow = (following: boolean) => dispatch({ type: "following", following });

interface ListProps {
  rows: readonly Row[];
  following: boolean;
  /** Older items exist and none are on their way. */
  hasOlder: boolean;
  onOlder: () => void;
  renderRow: (row: Row | undefined) => ComponentChild;
}

export function List({ rows, following, hasOlder, onOlder, renderRow }: ListProps) {
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
  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const wentUp = element.scrollTop < lastTop.current - 1;
    lastTop.current = element.scrollTop;
    if (wentUp && held.current) letGo();
    else if (!wentUp && element.scrollHeight - element.scrollTop - element.clientHeight <= END_PX) follow(true);
    if (hasOlder && element.scrollTop < OLDER_PX) onOlder();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (["ArrowUp", "PageUp", "Home"].includes(event.key)) letGo();
    if (event.key === "Home" && event.target === scroller.current) {
      event.preventDefault(); // the browser's own way there is slow and ends where a row is measured
      list.scrollToOffset(0);
    }
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
                {renderRow(rows[index])}
              </div>
            ))}
          </div>
        </div>
      </div>
      {following ? null : (
        <Button class="to-end" icon="down" title="Jump to latest" onClick={() => follow(true)} />
      )}
    </div>
  );
}

function useVirtualizer(rows: readonly Row[], scroller: { current: HTMLDivElement | null }) {
  const [, redraw] = useReducer<number, undefined>((times) => times + 1, 0);
  const made = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(null);
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
    onChange: () => redraw(undefined),
  };
  made.current ??= new Virtualizer(options);
  const list = made.current;
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
