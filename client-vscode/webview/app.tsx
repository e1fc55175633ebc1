/** The chat view as a whole. */

import type { ComponentChild } from "preact";
import { useMemo } from "preact/hooks";
import type { PaletteCommand } from "../src/chat/messages";
import type { Item } from "../src/protocol";
import { Banners } from "./banner";
import { Composer } from "./composer";
import { palette, post } from "./host";
import { Notice } from "./items/notice";
import { Pending, Prompt } from "./items/prompt";
import { Prose, Thinking } from "./items/prose";
import { Tool } from "./items/tool";
import { List } from "./list";
import { dispatch } from "./live";
import { Queue, Todos } from "./panels";
import { Button } from "./parts";
import { Rows, type Row } from "./rows";
import type { Hint, State } from "./state";

export function App({ state }: { state: State }) {
  if (state.screen === "session") return <Chat state={state} />;
  return (
    <main class="chat">
      {state.screen === "empty" ? <Welcome hint={state.hint} /> : <div class="grow" />}
      <div class="below">{state.screen === "empty" && state.hint === "server" ? null : <Banners state={state} />}</div>
    </main>
  );
}

function Chat({ state }: { state: State }) {
  const { session, items, pending, folds } = state;
  const echoed = state.connection.state === "connected" && state.status?.banner?.raw !== undefined;
  const maker = useMemo(() => new Rows(), [session?.sessionId]);
  const rows = useMemo(() => maker.of(echoed ? withoutEcho(items) : items, pending), [maker, items, pending, echoed]);
  const older = () => {
    const first = items[0];
    if (!first) return;
    dispatch({ type: "olderAsked" });
    post({ type: "older", before: first.id });
  };
  return (
    <main class="chat" aria-label={session?.title}>
      {rows.length === 0 ? (
        <Welcome hint="fresh" />
      ) : (
        <List
          key={session?.sessionId}
          rows={rows}
          following={state.following}
          hasOlder={state.more && !state.loadingOlder}
          onOlder={older}
          renderRow={(row) => rendered(row, state)}
        />
      )}
      {state.loadingOlder ? <div class="loading-older">Loading earlier messages</div> : null}
      <div class="below">
        <Todos todos={session?.todos ?? []} open={folds["todos"]} />
        <Queue queue={session?.queue ?? []} open={folds["queue"]} />
        <Banners state={state} />
        <Composer state={state} />
      </div>
      <div class="unseen" aria-live="polite">
        {state.announcement}
      </div>
    </main>
  );
}

/** While a banner shows a failure, its notice at the end of the list would say it twice. */
function withoutEcho(items: readonly Item[]): readonly Item[] {
  const at = items.findLastIndex((item) => item.kind !== "prompt" || item.state !== "queued");
  const last = items[at];
  return last?.kind === "notice" && ["requestFailed", "paused"].includes(last.code) ? items.toSpliced(at, 1) : items;
}

function rendered(row: Row | undefined, state: State): ComponentChild {
  if (!row) return null;
  if (row.kind === "prose") return <Prose row={row} />;
  if (row.kind === "pending") return <Pending prompt={row.prompt} connected={state.connection.state === "connected"} />;
  const { item } = row;
  const open = state.folds[item.id] ?? false;
  switch (item.kind) {
    case "prompt":
      return <Prompt item={item} />;
    case "thinking":
      return <Thinking item={item} open={open} />;
    case "notice":
      return <Notice item={item} open={open} />;
    case "tool": {
      const asked = item.state === "asking" ? state.session?.questions : undefined;
      const question = asked?.find(({ questionId }) => questionId === item.questionId);
      const answer = item.questionId ? state.answers[item.questionId] : undefined;
      return <Tool item={item} open={open} question={question} answer={answer} whole={state.outputs[item.toolUseId]} />;
    }
  }
}

interface Advice {
  title: string;
  texts: string[];
  buttons: [title: string, command: PaletteCommand][];
}

const ADVICE: Record<Hint | "fresh", Advice> = {
  fresh: {
    title: "What shall we work on?",
    texts: [
      "Ask about this folder, or say what to change. You are asked before files are edited or commands run.",
      "Everything is on your disk before it is sent: a lost connection, a restart or a full window ends nothing.",
    ],
    buttons: [],
  },
  start: {
    title: "Start a session",
    texts: ["A session keeps the whole conversation on your disk and goes on after anything that interrupts it."],
    buttons: [
      ["New session", "holdfast.ui.newSession"],
      ["Open a session", "holdfast.ui.openSession"],
    ],
  },
  key: {
    title: "Add your API key",
    texts: [
      "It is kept in VS Code's secret storage and given to the server only when it runs. " +
        "It is never written to settings or logs.",
    ],
    buttons: [
      ["Set API key", "holdfast.ui.setKey"],
      ["Open a session", "holdfast.ui.openSession"],
    ],
  },
  restricted: {
    title: "This folder is not trusted yet",
    texts: ["Sessions can read here, but not edit files or run commands, until you trust the folder."],
    buttons: [
      ["New session, read only", "holdfast.ui.newSession"],
      ["Open a session", "holdfast.ui.openSession"],
    ],
  },
  server: {
    title: "The server is not running",
    texts: ["Your sessions are safe on your disk. The log says why it did not start."],
    buttons: [
      ["Show log", "holdfast.ui.showLog"],
      ["Start again", "holdfast.ui.restartServer"],
    ],
  },
};

function Welcome({ hint }: { hint: Hint | "fresh" }) {
  const { title, texts, buttons } = ADVICE[hint];
  return (
    <div class="welcome">
      <h2>{title}</h2>
      {texts.map((text) => (
        <p>{text}</p>
      ))}
      <div class="buttons">
        {buttons.map(([name, command], at) => (
          <Button look={at === 0 ? "primary" : "plain"} title={name} onClick={() => palette(command)} />
        ))}
      </div>
    </div>
  );
}
