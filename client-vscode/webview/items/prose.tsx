/** The assistant's words, and its thinking (folded). */

import type { ThinkingItem } from "../../src/protocol";
import { Markdown } from "../markdown";
import { Fold, Icon, pure } from "../parts";
import type { Row } from "../rows";
import { duration } from "../words";

export const Prose = pure(({ row }: { row: Extract<Row, { kind: "prose" }> }) => {
  const { item, blocks, open, last } = row;
  const growing = last && item.state === "streaming";
  // The open block has its own key, so closing it moves nothing that was drawn before.
  return (
    <div class="prose">
      {[...blocks, open].map((text, at) => (
        <Markdown key={at} text={text} growing={growing && at === blocks.length} />
      ))}
      {last && item.state === "cut" ? (
        <div class="cut">
          <Icon name="alert" tone="warning" />
          The answer was cut off here. What arrived is kept.
        </div>
      ) : null}
    </div>
  );
});

export const Thinking = pure(({ item, open }: { item: ThinkingItem; open: boolean }) => {
  const took = item.elapsedMs === undefined ? "" : ` for ${duration(item.elapsedMs)}`;
  const summary = item.state === "streaming" ? <span class="shimmer">Thinking</span> : `Thought${took}`;
  return (
    <Fold id={item.id} open={open} class="thinking" summary={summary}>
      <div class="thinking-text">{item.text}</div>
    </Fold>
  );
});
