/** The rows of the conversation: prompts, answers, thinking, tool calls with their questions, notices. */

import type { ComponentChild, ComponentType } from "preact";
import type { Answer, NoticeItem, PromptItem, Question, ThinkingItem, ToolItem } from "../src/protocol";
import { post } from "./host";
import { Markdown } from "./markdown";
import { Actions, Button, Chip, Fold, fold, Icon, pure, Raw, useNow, type IconName } from "./parts";
import type { Row } from "./rows";
import { current, edited, set, type State } from "./store";
import wording from "./wording.json";
import { duration, mentionWords } from "./words";

interface Card<I> {
  item: I;
  open: boolean;
  connected: boolean;
  question?: Question;
  answer?: Answer;
  /** The whole output of a tool, once it was asked for. */
  whole?: string;
}

export function rendered(row: Row | undefined, state: State): ComponentChild {
  if (!row) return null;
  const { connection, folds, session, answers, outputs } = state;
  if (row.kind === "prose") return <Prose row={row} />;
  const { item } = row;
  const card: Card<typeof item> = { item, open: folds[item.id] ?? false, connected: connection.state === "connected" };
  if (item.kind === "tool") {
    const question = session?.questions.find(({ questionId }) => questionId === item.questionId);
    if (item.state === "asking") card.question = question;
    card.answer = answers[item.questionId ?? ""];
    card.whole = outputs[item.toolUseId];
  }
  const Shown = CARDS[item.kind] as ComponentType<Card<typeof item>>;
  return <Shown {...card} />;
}

const Prompt = pure(({ item, connected }: Card<PromptItem>) => {
  const { text, state, mentions = [], images = [] } = item;
  const edit = () => set(edited(current(), item));
  const waits = { queued: wording.prompts.queued, unsent: wording.prompts[connected ? "sending" : "kept"], sent: "" }[state];
  return (
    <section class={`prompt ${state}`} aria-label={state === "unsent" ? "You, being sent" : "You"}>
      <div class="prompt-text">{text}</div>
      <div class="chips">
        {mentions.map((path) => (
          <Chip icon="file" words={mentionWords({ path })} hint={path} />
        ))}
        {images.length > 0 ? <Chip words={images.length === 1 ? "1 image" : `${images.length} images`} /> : null}
      </div>
      {waits ? (
        <div class="muted small">{waits}</div>
      ) : (
        <div class="prompt-tools">
          <Button look="icon" icon="edit" title="Edit and send again" onClick={edit} />
        </div>
      )}
    </section>
  );
});

const Prose = pure(({ row: { item, blocks, open, last } }: { row: Extract<Row, { kind: "prose" }> }) => (
  <div class="prose">
    {/* The open block has its own key, so closing it moves nothing that was drawn before. */}
    {[...blocks, open].map((text, at) => (
      <Markdown key={at} text={text} growing={last && item.state === "streaming" && at === blocks.length} />
    ))}
    {last && item.state === "cut" ? (
      <div class="cut">
        <Icon name="alert" tone="warning" />
        The answer was cut off here. What arrived is kept.
      </div>
    ) : null}
  </div>
));

const Thinking = pure(({ item: { id, state, text, elapsedMs }, open }: Card<ThinkingItem>) => {
  const took = elapsedMs === undefined ? "" : ` for ${duration(elapsedMs)}`;
  const summary = state === "streaming" ? <span class="shimmer">Thinking</span> : `Thought${took}`;
  return (
    <Fold id={id} open={open} class="thinking" summary={summary}>
      <div class="thinking-text">{text}</div>
    </Fold>
  );
});

const Notice = pure(({ item: { id, level, code, text, detail, actions = [] }, open }: Card<NoticeItem>) => (
  <section class={`notice ${level}`} aria-label="Notice">
    <div class="notice-line">
      <Icon name={level === "info" ? "info" : "alert"} tone={level === "info" ? "muted" : level} />
      <span class="notice-text">
        {text}
        <Actions of={actions} look="link" />
      </span>
    </div>
    {detail ? (
      <Fold id={id} open={open} summary={level !== "info" && /Failed|paused/.test(code) ? "Raw error" : "Details"}>
        <Raw text={detail} />
      </Fold>
    ) : null}
  </section>
));

/** `said`: the icon alone would not make it clear. */
type Look = { icon: IconName; tone: string; words: string; said: boolean };
const LOOKS: Record<ToolItem["state"], Look> = wording.tools as Record<keyof typeof wording.tools, Look>;

const Tool = pure(({ item, open, question, answer, whole }: Card<ToolItem>) => {
  const { id, toolUseId, state, title, path, hasDiff } = item;
  const { icon, tone, words, said } = LOOKS[state];
  const diff = () => post({ type: "diff", toolUseId });
  return (
    <section class={`tool state-${state}`} aria-label={`${title}: ${words}`}>
      <div class="tool-head">
        <button type="button" class="tool-title" aria-expanded={open} title={title} onClick={() => fold(id, !open)}>
          <Icon name={icon} tone={tone} />
          <span class="tool-name">{title}</span>
          {said ? <span class={`tool-state tone-${tone}`}>{words}</span> : null}
          <Took item={item} />
        </button>
        {hasDiff ? <Button look="link" icon="diff" title="Open diff" onClick={diff} /> : null}
        {path ? (
          <Button look="icon" icon="file" title={`Open ${path}`} onClick={() => post({ type: "openFile", path })} />
        ) : null}
      </div>
      {question ? <Ask question={question} answer={answer} /> : null}
      {open ? <Details item={item} whole={whole} /> : null}
    </section>
  );
});

function Took({ item: { state, startedAt, endedAt } }: { item: ToolItem }) {
  const now = useNow(state === "running");
  if (startedAt === undefined) return null;
  const ms = (state === "running" ? now : (endedAt ?? startedAt)) - startedAt;
  return ms < 1000 ? null : <span class="muted small">{duration(ms)}</span>;
}

function Details({ item, whole }: { item: ToolItem; whole?: string }) {
  const { input, output, outputClipped, state, toolUseId } = item;
  const shown = whole ?? output;
  return (
    <div class="tool-body">
      <dl>
        {Object.entries(input).map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>
              <pre>{typeof value === "string" ? value : JSON.stringify(value, null, 2)}</pre>
            </dd>
          </>
        ))}
      </dl>
      {shown ? <Raw class="output" label="Output" text={shown} /> : <div class="muted small">No output</div>}
      {state === "interrupted" || state === "unknown" ? (
        <div class="muted small">It may have done its work in part; nothing is run twice without you.</div>
      ) : null}
      {outputClipped && whole === undefined ? (
        <Button look="link" title="Show all of the output" onClick={() => post({ type: "output", toolUseId })} />
      ) : null}
    </div>
  );
}

/** A question of permission, answered where it is asked. */
export const Ask = pure(({ question, answer }: { question: Question; answer?: Answer }) => {
  const { questionId, title, detail, pattern, tool } = question;
  const reply = (given: Answer) => () => {
    set({ answers: { ...current().answers, [questionId]: given } });
    post({ type: "answer", questionId, answer: given });
  };
  const offered = (["allow", "allowAlways", "deny"] as const)
    .filter((each) => pattern || each !== "allowAlways")
    .map((each) => ({ title: wording.answers[each].title, command: reply(each), primary: each === "allow" }));
  return (
    <div class="ask" role="group" aria-label={`Permission: ${title}`}>
      <div class="ask-title">Allow this?</div>
      {detail ? <Raw class="ask-detail" text={detail} /> : null}
      {answer ? <div class="muted">{wording.answers[answer].given}</div> : <Actions of={offered} />}
      {pattern && !answer ? (
        <div class="muted small">
          Always allow covers, for this session: {tool} <code>{pattern}</code>
        </div>
      ) : null}
    </div>
  );
});

const CARDS = { prompt: Prompt, thinking: Thinking, tool: Tool, notice: Notice };
