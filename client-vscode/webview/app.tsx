/** The chat view as a whole. */

import { useMemo } from "preact/hooks";
import type { Item } from "../src/protocol";
import { Composer } from "./composer";
import type { Action } from "./host";
import { List } from "./list";
import { Banners, Panels } from "./panels";
import { Actions } from "./parts";
import { Rows } from "./rows";
import type { State } from "./store";
import wording from "./wording.json";

export function App({ state }: { state: State }) {
  const { screen, session, items, folds, connection, status } = state;
  const echoed = connection.state === "connected" && status?.banner && /waiting|paused|requesting/.test(status.phase);
  const maker = useMemo(() => new Rows(), [session?.sessionId]);
  const rows = useMemo(() => maker.of(echoed ? withoutEcho(items) : items), [maker, items, echoed]);
  const list = rows.length > 0 ? <List key={session?.sessionId} rows={rows} state={state} /> : undefined;
  return (
    <main class="chat" aria-label={session?.title}>
      {list ?? <Welcome screen={screen} />}
      {state.loadingOlder ? <div class="loading-older">Loading earlier messages</div> : null}
      <div class="below">
        {session ? <Panels todos={session.todos} queue={session.queue} folds={folds} /> : null}
        {screen === "server" ? null : <Banners state={state} />}
        {session ? <Composer state={state} session={session} /> : null}
      </div>
      <div class="unseen" aria-live="polite">
        {state.announcement}
      </div>
    </main>
  );
}

/** While a banner shows a failure, its notice at the end of the list would say it twice. */
function withoutEcho(items: readonly Item[]): readonly Item[] {
  const at = items.findLastIndex((item) => item.kind !== "prompt" || item.state === "sent");
  const last = items[at];
  return last?.kind === "notice" && ["requestFailed", "paused"].includes(last.code) ? items.toSpliced(at, 1) : items;
}

type Advice = { title: string; texts: string[]; actions: object[] };
const WELCOME: Record<Exclude<State["screen"], "loading">, Advice> = wording.welcome;

/** What can be done while there is nothing to show. */
function Welcome({ screen }: Pick<State, "screen">) {
  if (screen === "loading") return <div class="grow" />;
  const { title, texts, actions } = WELCOME[screen];
  return (
    <div class="welcome">
      <h2>{title}</h2>
      {texts.map((text) => (
        <p>{text}</p>
      ))}
      <Actions of={actions as Action[]} />
    </div>
  );
}
