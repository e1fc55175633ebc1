/**
 * The one state of the view: what it is, what changes it, and when it is drawn. Law: all of it comes
 * from the host or from the person's hands; the reducer is pure, total and has no clock; what a
 * person has typed is never dropped, whatever the host says in the meantime.
 */

import type { Draft, ToView } from "../src/chat/messages";
import { emptyDraft, isEmpty, remembered, unsentId, unsentItem, type Waiting } from "../src/chat/outbox";
import type { Answer, Banner, Change, Item, PromptItem, Session, Status } from "../src/protocol";
import { applyChanges, trimmed } from "./changes";
import { countdown } from "./words";

const READ_OUT_CHARS_MAX = 500;

type Told<K extends ToView["type"]> = Extract<ToView, { type: K }>;

export const initial = {
  screen: "loading" as "loading" | "session" | Told<"empty">["hint"],
  connection: { state: "starting" } as Omit<Told<"connection">, "type">,
  session: undefined as Session | undefined,
  status: undefined as Status | undefined,
  /** When `status` arrived: what it says about the past is counted on from here. */
  statusAtMs: 0,
  items: [] as readonly Item[],
  more: false,
  loadingOlder: false,
  draft: emptyDraft,
  /** An earlier prompt is being edited; `kept` is what was being typed before. */
  editing: undefined as { promptId: string; kept: Draft } | undefined,
  history: [] as readonly string[],
  refusal: undefined as { message: string; action: string } | undefined,
  /** Whole outputs, by the id of the tool's use. */
  outputs: {} as Readonly<Record<string, string>>,
  files: [] as readonly string[],
  /** What a person opened (true) or folded (false), by the id of the item. */
  folds: {} as Readonly<Record<string, boolean>>,
  answers: {} as Readonly<Record<string, Answer>>,
  /** The list sticks to its end. */
  following: true,
  /** For screen readers: the newest finished thing, in one sentence. */
  announcement: "",
  /** Grows when the composer shall get the focus. */
  focusCount: 0,
};

export type State = Readonly<typeof initial>;

type Event = ToView | { type: "set"; change: Partial<State> };

let state: State = initial;
let render: (state: State) => void = () => undefined;
let frame = 0;

export const current = (): State => state;

/**
 * An event is folded in at once, and however many arrive there is one drawing per frame. But what
 * changes the text under a person's hands is drawn at once, or the next key would bring the old back.
 */
export function dispatch(event: Event): void {
  const before = state;
  state = reduce(before, event, Date.now());
  if (state.draft !== before.draft) draw();
  else if (state !== before) frame ||= requestAnimationFrame(draw);
}

export const set = (change: Partial<State>) => dispatch({ type: "set", change });

/** Stick to the end of the list, or let go of it. */
export function follow(following: boolean): void {
  if (following !== state.following) set({ following, ...(following && trimmed(state.items)) });
}

function draw(): void {
  cancelAnimationFrame(frame);
  frame = 0;
  render(state);
}

/** Draw with `renderer` from now on. */
export function drawWith(renderer: (state: State) => void): void {
  render = renderer;
  draw();
}

/** What an event changes; nothing when it says nothing new. */
type Reducer<E> = (state: State, event: E, nowMs: number) => Partial<State> | undefined;

export function reduce(before: State, event: Event, nowMs: number): State {
  const reducer = REDUCERS[event.type] as Reducer<Event> | undefined; // nothing for what a newer host says
  const change = reducer?.(before, event, nowMs);
  return change ? { ...before, ...change } : before;
}

const REDUCERS: { [K in Event["type"]]: Reducer<Extract<Event, { type: K }>> } = {
  set: (_, { change }) => change,
  session: opened,
  empty: ({ connection }, { hint }) => ({ ...initial, connection, screen: hint }),
  changes: (before, { changes, session }, nowMs) => ({
    ...changed(before, changes),
    ...(session && shown(session, nowMs)),
  }),
  status: ({ session, status: before }, { status }, nowMs) =>
    status.sessionId === session?.sessionId
      ? { status, statusAtMs: nowMs, ...(status.banner && !before?.banner && heldUp(status.banner, nowMs)) }
      : undefined,
  older: ({ items }, { items: older, more }) => {
    const known = new Set(items.map(({ id }) => id));
    return { items: [...older.filter(({ id }) => !known.has(id)), ...items], more, loadingOlder: false };
  },
  connection: (_, connection) => ({ connection }),
  refused: ({ items, draft }, refusal) => ({
    items: applyChanges(items, [{ op: "remove", id: unsentId(refusal.promptId) }]),
    draft: joined(refusal.draft, draft),
    refusal,
  }),
  output: ({ outputs }, { toolUseId, text }) => ({ outputs: { ...outputs, [toolUseId]: text } }),
  files: (_, { files }) => ({ files }),
  mention: ({ draft, focusCount }, { mention }) => ({
    draft: { ...draft, mentions: [...draft.mentions, mention] },
    focusCount: focusCount + 1,
  }),
  focus: ({ focusCount }) => ({ focusCount: focusCount + 1 }),
};

/** The prompt in the composer is on its way: shown at once. */
export const submitted = ({ items, history, draft, editing }: State, prompt: Waiting): Partial<State> => ({
  items: [...items, unsentItem(prompt, 0)],
  history: remembered(history, draft.text),
  draft: editing?.kept ?? emptyDraft,
  editing: undefined,
  refusal: undefined,
  following: true,
});

/** An earlier prompt is put into the composer, to be sent again. */
export const edited = ({ editing, draft, focusCount }: State, prompt: PromptItem): Partial<State> => ({
  editing: { promptId: prompt.promptId, kept: editing?.kept ?? draft },
  draft: { text: prompt.text, mentions: (prompt.mentions ?? []).map((path) => ({ path })), images: [] },
  focusCount: focusCount + 1,
});

function opened(before: State, told: Told<"session">, nowMs: number): State {
  const { session, items, more, draft, history } = told;
  const same = before.session?.sessionId === session.sessionId;
  const base = same ? before : { ...initial, connection: before.connection };
  const keepsTyped = same && (before.editing !== undefined || !isEmpty(before.draft));
  return {
    ...base,
    ...shown(session, nowMs),
    screen: "session",
    items: [...items, ...base.items.filter((item) => unsent(item) && !promptOf(items, item.promptId))],
    more,
    loadingOlder: false,
    draft: keepsTyped ? before.draft : draft,
    history,
    answers: {}, // an answer that did not arrive can be given again
    focusCount: before.focusCount,
  };
}

const shown = (session: Session, nowMs: number) => ({ session, status: session.status, statusAtMs: nowMs });

function changed(before: State, changes: Change[]): Partial<State> {
  const items = applyChanges(before.items, changes);
  return {
    items,
    announcement: announced(changes, before.items, items) ?? before.announcement,
    ...(before.following && trimmed(items)),
  };
}

const unsent = (item: Item): item is PromptItem => item.kind === "prompt" && item.state === "unsent";

const promptOf = (items: readonly Item[], promptId: string): PromptItem | undefined =>
  items.findLast((item): item is PromptItem => item.kind === "prompt" && item.promptId === promptId);

const joined = (given: Draft, typed: Draft): Draft => ({
  text: [given.text, typed.text].filter((text) => text.trim()).join("\n\n"),
  mentions: [...given.mentions, ...typed.mentions],
  images: [...given.images, ...typed.images],
});

/** A banner that comes is read out once; an urgent one is an alert, which does so by itself. */
const heldUp = ({ tone, title, text, due }: Banner, nowMs: number): Partial<State> =>
  tone === "error" ? {} : { announcement: `${title}${due === undefined ? "" : ` ${countdown(due, nowMs)}`}. ${text}` };

/** Finished answers, questions and notices are read out; deltas are not. */
function announced(changes: Change[], before: readonly Item[], after: readonly Item[]): string | undefined {
  for (const change of changes.toReversed()) {
    if (change.op !== "put") continue;
    const { item } = change;
    if (item.kind === "tool" && item.state === "asking") return `Permission needed: ${item.title}`;
    if (item.kind === "notice" && after.at(-1)?.id === item.id) return item.text;
    if (item.kind !== "text" || item.state === "streaming") continue;
    const was = before.findLast(({ id }) => id === item.id);
    if (was?.kind !== "text" || was.state !== item.state) return `Answer: ${item.text.slice(0, READ_OUT_CHARS_MAX)}`;
  }
  return undefined;
}
