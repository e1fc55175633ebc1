/** A tool call as a card: what it does, how it went, and its question when it asks. */

import type { Answer, Question, ToolItem } from "../../src/protocol";
import { post } from "../host";
import { dispatch } from "../live";
import { Button, fold, Icon, pure, Raw, useNow, type IconName } from "../parts";
import { duration } from "../words";

interface ToolProps {
  item: ToolItem;
  open: boolean;
  question?: Question;
  answer?: Answer;
  /** The whole output, once it was asked for. */
  whole?: string;
}

/** `said`: the icon alone would not make it clear. */
const LOOKS: Record<ToolItem["state"], [icon: IconName, tone: string, words: string, said?: true]> = {
  writing: ["spinner", "muted", "being written"],
  requested: ["clock", "muted", "about to start"],
  asking: ["question", "info", "needs your permission"],
  running: ["spinner", "info", "running"],
  finished: ["check", "good", "done"],
  failed: ["cross", "error", "failed", true],
  refused: ["blocked", "muted", "you said no", true],
  interrupted: ["alert", "warning", "interrupted", true],
  notStarted: ["blocked", "muted", "not started", true],
  unknown: ["alert", "warning", "outcome unknown", true],
};

export const Tool = pure(({ item, open, question, answer, whole }: ToolProps) => {
  const { id, toolUseId, state, title, path, hasDiff } = item;
  const [icon, tone, words, said] = LOOKS[state];
  return (
    <section class={`tool state-${state}`} aria-label={`${title}: ${words}`}>
      <div class="tool-head">
        <button type="button" class="tool-title" aria-expanded={open} title={title} onClick={() => fold(id, !open)}>
          <Icon name={icon} tone={tone} />
          <span class="tool-name">{title}</span>
          {said ? <span class={`tool-state tone-${tone}`}>{words}</span> : null}
          <Took item={item} />
        </button>
        {hasDiff ? <Button look="link" icon="diff" title="Open diff" onClick={() => post({ type: "diff", toolUseId })} /> : null}
        {path ? <Button look="icon" icon="file" title={`Open ${path}`} onClick={() => post({ type: "openFile", path })} /> : null}
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

function Details({ item: { input, output, outputClipped, state, toolUseId }, whole }: { item: ToolItem; whole?: string }) {
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

const ANSWERS: Record<Answer, [title: string, given: string]> = {
  allow: ["Allow", "Allowed"],
  allowAlways: ["Always allow", "Always allowed"],
  deny: ["Deny", "Denied"],
};

/** A question of permission, answered where it is asked. */
export const Ask = pure(({ question, answer }: { question: Question; answer?: Answer }) => {
  const { questionId, title, detail, pattern, tool } = question;
  const offered = (Object.keys(ANSWERS) as Answer[]).filter((each) => pattern || each !== "allowAlways");
  const reply = (given: Answer) => {
    dispatch({ type: "answered", questionId, answer: given });
    post({ type: "answer", questionId, answer: given });
  };
  return (
    <div class="ask" role="group" aria-label={`Permission: ${title}`}>
      <div class="ask-title">Allow this?</div>
      {detail ? <Raw class="ask-detail" text={detail} /> : null}
      {answer ? (
        <div class="muted">{ANSWERS[answer][1]}</div>
      ) : (
        <div class="buttons">
          {offered.map((each) => (
            <Button look={each === "allow" ? "primary" : "plain"} title={ANSWERS[each][0]} onClick={() => reply(each)} />
          ))}
        </div>
      )}
      {pattern && !answer ? (
        <div class="muted small">
          Always allow covers, for this session: {tool} <code>{pattern}</code>
        </div>
      ) : null}
    </div>
  );
});
