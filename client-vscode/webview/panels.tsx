/**
 * What stands between the conversation and the composer: todos, the queue, what holds the session up
 * and what can be done about it; and how full its window is. Law: words and ways out of a hold are
 * data, mostly the server's; every wait has a next time, the raw error is one click away.
 */

import type { ComponentChildren } from "preact";
import type { Banner, Question, Session, Usage } from "../src/protocol";
import { Ask } from "./cards";
import { palette, type Action } from "./host";
import { Actions, Fold, Icon, pure, Raw, useNow, type IconName } from "./parts";
import { set, type State } from "./store";
import wording from "./wording.json";
import { count, countdown, duration, isBusy, money } from "./words";

type Line = { text: string; icon: IconName; tone: string; state?: string };
/** `glimpse`: the line that is shown while the panel is folded. */
type PanelProps = { id: string; open?: boolean; icon: IconName; title: string; lines: Line[]; glimpse?: string };

function Panel({ id, open, icon, title, lines, glimpse }: PanelProps) {
  if (lines.length === 0) return null;
  const summary = (
    <span class="panel-summary">
      <Icon name={icon} />
      <span class="nowrap">{title}</span>
      {open ? null : <span class="muted clip">{glimpse}</span>}
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
const TODOS = wording.todos as Record<string, Pick<Line, "icon" | "tone">>;

export const Panels = pure(({ todos, queue, folds }: Pick<Session, "todos" | "queue"> & Pick<State, "folds">) => {
  const tasks = todos.map(({ text, status }) => ({ text, state: status, ...(TODOS[status] ?? WAITS) }));
  const next = tasks.find(({ state }) => state === "in_progress") ?? tasks.find(({ state }) => state !== "completed");
  const done = `${tasks.filter(({ state }) => state === "completed").length} of ${tasks.length} done`;
  const prompts = queue.map(({ text }) => ({ text, ...WAITS }));
  const wait = queue.length === 1 ? "1 prompt waits its turn" : `${queue.length} prompts wait their turn`;
  return (
    <>
      <Panel id="todos" open={folds["todos"]} icon="list" title={done} lines={tasks} glimpse={next?.text} />
      <Panel id="queue" open={folds["queue"]} icon="clock" title={wait} lines={prompts} glimpse={queue[0]?.text} />
    </>
  );
});

interface StripProps extends Omit<Banner, "actions"> {
  icon?: IconName;
  actions?: readonly Action[];
  percentage?: number;
  rawOpen?: boolean;
  children?: ComponentChildren;
}

const ICONS: Record<Banner["tone"], IconName> = { info: "info", warning: "clock", error: "pause" };

function Strip(props: StripProps) {
  const { tone, icon = ICONS[tone], title, text, due, raw, rawOpen, since, percentage, actions = [], children } = props;
  const now = useNow(due !== undefined || since !== undefined, 250);
  const urgent = tone === "error";
  return (
    <div class={`banner ${tone}`} role={urgent ? "alert" : "status"} aria-live={urgent ? undefined : "off"}>
      <Icon name={icon} tone={tone} />
      <div class="banner-body">
        <div class="banner-title">
          <span>{due === undefined ? title : `${title} ${countdown(due, now)}`}</span>
          {since === undefined ? null : <span class="muted">{`${duration(now - since)} so far`}</span>}
        </div>
        {text ? <div class="banner-text">{text}</div> : null}
        {percentage === undefined ? null : <progress max={100} value={percentage} aria-label="Compaction" />}
        {raw ? (
          <Fold id="banner-raw" open={rawOpen} summary="Raw error">
            <Raw text={raw} />
          </Fold>
        ) : null}
        {children}
        <Actions of={actions} />
      </div>
    </div>
  );
}

const CONNECTION = wording.connection as Record<keyof typeof wording.connection, StripProps>;

/** All banners that hold now, the most important last (nearest to the hands). */
export function Banners({ state }: { state: State }) {
  const { connection, statusAtMs, refusal, answers, folds } = state;
  const { state: is, message } = connection;
  const status = is === "connected" ? state.status : undefined;
  const progress = status?.phase === "paused" || status?.phase === "waiting" ? undefined : status?.progress;
  const soFarMs = progress?.elapsedMs ?? status?.silentMs;
  const close: Action = { title: "Close", command: () => set({ refusal: undefined }) };
  return (
    <div class="banners">
      {unplaced(state).map((question) => (
        <Strip key={question.questionId} tone="info" icon="question" title={question.title} text="">
          <Ask question={question} answer={answers[question.questionId]} />
        </Strip>
      ))}
      {status?.banner ? (
        <Strip
          since={soFarMs === undefined ? undefined : statusAtMs - soFarMs}
          {...status.banner}
          icon={progress && "spinner"}
          percentage={progress?.percentage}
          rawOpen={folds["banner-raw"]}
        />
      ) : (
        <Activity state={state} />
      )}
      {is === "connected" ? null : <Strip {...CONNECTION[is]} {...(message !== undefined && { text: message })} />}
      {refusal ? (
        <Strip tone="warning" icon="alert" title={refusal.message} text={refusal.action} actions={[close]} />
      ) : null}
    </div>
  );
}

/** Questions that no card of the list asks. */
function unplaced({ connection, session, status, items }: State): Question[] {
  if (!session || connection.state !== "connected" || status?.readOnly) return [];
  const placed = new Set(items.map((item) => item.kind === "tool" && item.questionId));
  return session.questions.filter(({ questionId }) => !placed.has(questionId));
}

/** A quiet line while the turn is at work. */
function Activity({ state: { connection, status, items } }: { state: State }) {
  const now = useNow(true);
  if (!status || !isBusy(status.phase) || connection.state !== "connected") return null;
  const since = items.findLast((item) => item.kind === "prompt")?.atMs;
  const words = status.label ?? status.phase;
  return (
    <div class="activity" role="status" aria-live="off">
      <Icon name={status.phase === "asking" ? "question" : "spinner"} tone="info" />
      <span>{words.charAt(0).toUpperCase() + words.slice(1)}</span>
      {since === undefined || now - since < 1000 ? null : <span class="muted">{duration(now - since)}</span>}
      {status.attempt && status.attempt > 1 ? <span class="muted">attempt {status.attempt}</span> : null}
    </div>
  );
}

/** How much of the model's window is used; a click makes room. */
export const Meter = pure(({ usage }: { usage: Usage }) => {
  const { contextTokens, windowTokens, inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens, cost } = usage;
  const percent = windowTokens > 0 ? Math.min(100, Math.round((contextTokens / windowTokens) * 100)) : 0;
  const level = percent >= 90 ? "error" : percent >= 75 ? "warning" : "calm";
  const [used, size] = [count(contextTokens), count(windowTokens)];
  const paid = cost ? money(cost.amount, cost.currency) : "";
  const hint = [
    `${used} of ${size} tokens in the window (${percent} %).`,
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
      aria-label={`Context: ${used} of ${size} tokens, ${percent} percent. Compact the conversation`}
      onClick={() => palette("holdfast.ui.compact")}
    >
      <span class="meter-bar">
        <span class="meter-fill" style={{ width: `${percent}%` }} />
      </span>
      <span>{`${percent} %`}</span>
      <span class="meter-used">{`${used} / ${size}`}</span>
      <span>{paid}</span>
    </button>
  );
});
