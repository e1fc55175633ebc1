/** What stands around the conversation: its todos, its queue, how full its window is. */

import type { Session, Usage } from "../src/protocol";
import { palette } from "./host";
import { Fold, Icon, pure, type IconName } from "./parts";
import { count, money } from "./words";

interface PanelProps {
  id: string;
  open?: boolean;
  icon: IconName;
  title: string;
  lines: { text: string; icon: IconName; tone: string; state?: string }[];
  /** The line that is shown while the panel is folded. */
  glimpse: number;
}

function Panel({ id, open, icon, title, lines, glimpse }: PanelProps) {
  if (lines.length === 0) return null;
  const summary = (
    <span class="panel-summary">
      <Icon name={icon} />
      <span class="nowrap">{title}</span>
      {open ? null : <span class="muted clip">{lines[glimpse]?.text}</span>}
    </span>
  );
  return (
    <Fold id={id} open={open} class="panel" summary={summary}>
      <ul>
        {lines.map((line) => (
          <li class={line.state}>
            <Icon name={line.icon} tone={line.tone} />
            <span>{line.text}</span>
          </li>
        ))}
      </ul>
    </Fold>
  );
}

const WAITS = { icon: "clock", tone: "muted" } as const;
const TODOS: Record<string, { icon: IconName; tone: string }> = {
  completed: { icon: "check", tone: "good" },
  in_progress: { icon: "spinner", tone: "info" },
};

export const Todos = pure(({ todos, open }: { todos: Session["todos"]; open?: boolean }) => {
  const lines = todos.map(({ text, status }) => ({ text, state: status, ...(TODOS[status] ?? WAITS) }));
  const done = todos.filter(({ status }) => status === "completed").length;
  const under = todos.findIndex(({ status }) => status === "in_progress");
  const next = under < 0 ? todos.findIndex(({ status }) => status !== "completed") : under;
  return <Panel id="todos" open={open} icon="list" title={`${done} of ${todos.length} done`} lines={lines} glimpse={next} />;
});

export const Queue = pure(({ queue, open }: { queue: Session["queue"]; open?: boolean }) => {
  const title = queue.length === 1 ? "1 prompt waits its turn" : `${queue.length} prompts wait their turn`;
  const lines = queue.map(({ text }) => ({ text, ...WAITS }));
  return <Panel id="queue" open={open} icon="clock" title={title} lines={lines} glimpse={0} />;
});

/** How much of the model's window is used; a click makes room. */
export const Meter = pure(({ usage }: { usage: Usage }) => {
  const { contextTokens, windowTokens, inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens, cost } = usage;
  const percent = windowTokens > 0 ? Math.min(100, Math.round((contextTokens / windowTokens) * 100)) : 0;
  const level = percent >= 90 ? "error" : percent >= 75 ? "warning" : "calm";
  const used = `${count(contextTokens)} of ${count(windowTokens)} tokens`;
  const paid = cost ? money(cost.amount, cost.currency) : "";
  const hint = [
    `${used} in the window (${percent} %).`,
    `${count(inputTokens)} read, ${count(cacheReadTokens)} read from the cache, ` +
      `${count(cacheWriteTokens)} put into it, ${count(outputTokens)} written.`,
    ...(paid ? [`Cost so far: ${paid}`] : []),
    "Click to compact.",
  ];
  return (
    <button
      type="button"
      class={`meter ${level}`}
      title={hint.join("\n")}
      aria-label={`Context: ${used}, ${percent} percent. Compact the conversation`}
      onClick={() => palette("holdfast.ui.compact")}
    >
      <span class="meter-bar">
        <span class="meter-fill" style={{ width: `${percent}%` }} />
      </span>
      <span>{`${percent} %`}</span>
      <span class="meter-used">{`${count(contextTokens)} / ${count(windowTokens)}`}</span>
      <span>{paid}</span>
    </button>
  );
});
