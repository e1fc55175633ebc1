/**
 * What holds the session up, and what can be done about it, right above the composer. Law: the words
 * and the ways out are the server's; every wait has a next time, the raw error is one click away.
 */

import type { ComponentChildren } from "preact";
import type { PaletteCommand } from "../src/chat/messages";
import type { Banner, BannerAction, CommandName, Item } from "../src/protocol";
import { act, palette } from "./host";
import { Ask } from "./items/tool";
import { dispatch } from "./live";
import { Button, Fold, Icon, Raw, useNow, type IconName } from "./parts";
import type { Connection, State } from "./state";
import { capital, countdown, duration, isBusy } from "./words";

/** A button of a banner. */
type Choice = [title: string, run: () => void, primary?: boolean];

interface StripProps extends Pick<Banner, "tone" | "title" | "due" | "raw"> {
  icon?: IconName;
  text?: string;
  choices?: Choice[];
  /** When what it speaks of began. */
  since?: number;
  percentage?: number;
  rawOpen?: boolean;
  children?: ComponentChildren;
}

const ICONS: Record<Banner["tone"], IconName> = { info: "info", warning: "clock", error: "pause" };

function Strip(props: StripProps) {
  const { tone, icon = ICONS[tone], title, text, due, raw, rawOpen, since, percentage, choices = [] } = props;
  const now = useNow(due !== undefined || since !== undefined, 250);
  return (
    <div class={`banner ${tone}`} role={tone === "error" ? "alert" : "status"} aria-live={tone === "error" ? undefined : "off"}>
      <Icon name={icon} tone={tone} />
      <div class="banner-body">
        <div class="banner-title">
          <span>{due === undefined ? title : `${title} ${countdown(due, now)}`}</span>
          {since === undefined ? null : <span class="muted">{duration(now - since)}</span>}
        </div>
        {text ? <div class="banner-text">{text}</div> : null}
        {percentage === undefined ? null : <progress max={100} value={percentage} aria-label="Compaction" />}
        {raw ? (
          <Fold id="banner-raw" open={rawOpen} summary="Raw error">
            <Raw text={raw} />
          </Fold>
        ) : null}
        {props.children}
        {choices.length === 0 ? null : (
          <div class="buttons">
            {choices.map(([name, run, primary]) => (
              <Button key={name} look={primary ? "primary" : "plain"} title={name} onClick={run} />
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

/** All banners that hold now, the most important last (nearest to the hands). */
export function Banners({ state }: { state: State }) {
  const { session, connection, refusal } = state;
  return (
    <div class="banners">
      {session && connection.state === "connected" ? <SessionBanners state={state} /> : null}
      {connection.state === "connected" ? null : <Strip {...CONNECTION[connection.state](connection.message)} />}
      {refusal ? (
        <Strip
          tone="warning"
          icon="alert"
          title={refusal.message}
          text={refusal.action}
          choices={[["Close", () => dispatch({ type: "problemClosed" })]]}
        />
      ) : null}
    </div>
  );
}

const CONNECTION: Record<Exclude<Connection["state"], "connected">, (message?: string) => StripProps> = {
  starting: (text = "This takes a few seconds.") => ({ tone: "info", icon: "spinner", title: "Starting the server", text }),
  restarting: (text = "Go on typing: what you send waits here until it is back.") => ({
    tone: "info",
    icon: "spinner",
    title: "Connection lost, restarting the server",
    text,
  }),
  stopped: (text = "Everything up to here is on your disk. What you type is kept.") => ({
    tone: "error",
    icon: "plug",
    title: "The server has stopped",
    text,
    choices: [
      ["Start again", () => palette("holdfast.ui.restartServer"), true],
      ["Show log", () => palette("holdfast.ui.showLog")],
    ],
  }),
};

function SessionBanners({ state }: { state: State }) {
  const { session, status, items, statusAtMs } = state;
  const placed = new Set(items.flatMap((item) => (item.kind === "tool" && item.questionId ? [item.questionId] : [])));
  const unplaced = status?.readOnly ? [] : session?.questions.filter(({ questionId }) => !placed.has(questionId));
  const progress = status?.phase === "paused" || status?.phase === "waiting" ? undefined : status?.progress;
  const soFarMs = progress?.elapsedMs ?? status?.silentMs;
  return (
    <>
      {unplaced?.map((question) => (
        <Strip key={question.questionId} tone="info" icon="question" title={question.title}>
          <Ask question={question} answer={state.answers[question.questionId]} />
        </Strip>
      ))}
      {status?.banner ? (
        <Strip
          {...status.banner}
          icon={progress && "spinner"}
          since={soFarMs === undefined ? undefined : statusAtMs - soFarMs}
          percentage={progress?.percentage}
          rawOpen={state.folds["banner-raw"]}
          choices={status.banner.actions.flatMap((action) => choiceOf(action, items))}
        />
      ) : (
        <Activity state={state} />
      )}
    </>
  );
}

/** Commands that need a person's input: where the editor asks for it. */
const ASKED_BY: Partial<Record<CommandName, PaletteCommand>> = {
  "holdfast.credentials.set": "holdfast.ui.setKey",
  "holdfast.model.select": "holdfast.ui.selectModel",
  "holdfast.server.info": "holdfast.ui.diagnose",
};

function choiceOf({ title, command, argument, primary }: BannerAction, items: readonly Item[]): Choice[] {
  if (argument) return [[title, () => act(command, argument), primary]];
  const asker = ASKED_BY[command];
  if (asker) return [[title, () => palette(asker), primary]];
  const prompt = items.findLast((item) => item.kind === "prompt");
  if (command !== "holdfast.session.rewind" || !prompt) return []; // of a newer server, or nothing to edit
  return [[title, () => dispatch({ type: "edit", promptId: prompt.promptId }), primary]];
}

/** A quiet line while the turn is at work. */
function Activity({ state: { status, items } }: { state: State }) {
  const now = useNow(true);
  if (!status || !isBusy(status.phase)) return null;
  const since = items.findLast((item) => item.kind === "prompt")?.atMs;
  return (
    <div class="activity" role="status" aria-live="off">
      <Icon name={status.phase === "asking" ? "question" : "spinner"} tone="info" />
      <span>{capital(status.label ?? status.phase)}</span>
      {since === undefined || now - since < 1000 ? null : <span class="muted">{duration(now - since)}</span>}
      {status.attempt && status.attempt > 1 ? <span class="muted">attempt {status.attempt}</span> : null}
    </div>
  );
}
