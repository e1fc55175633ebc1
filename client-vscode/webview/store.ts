/**
 * The reducer of the chat view. Law: pure, total, no clock; what a person has typed is never
 * dropped, whatever the host says in the meantime.
 */

import type { Draft, ToView } from "../src/chat/messages";
import { emptyDraft, isEmpty, remembered } from "../src/chat/outbox";
import type { Change, Item, PromptItem, Session } from "../src/protocol";
import { applyChanges } from "./changes";
import { initial, type Local, type State } from "./state";

/** While the end is followed, at most this many items are kept; the host has the older ones. */
export const KEPT_MAX = 3000;
const KEPT_AFTER_TRIM = 2000;
const READ_OUT_CHARS_MAX = 500;

export function reduce(state: State, event: ToView | Local, nowMs: number): State {
  const change = changeBy(state, event, nowMs);
  return change ? { ...state, ...change } : state;
}

/** Return what an event changes; nothing when it says nothing new. */
function changeBy(state: State, event: ToView | Local, nowMs: number): Partial<State> | undefined {
  const { draft, editing, pending, focusCount } = state;
  switch (event.type) {
    case "session":
      return opened(state, event, nowMs);
    case "empty":
      return { ...initial, connection: state.connection, screen: "empty", hint: event.hint };
    case "changes":
      return { ...changed(state, event.changes), ...(event.session && shown(event.session, nowMs)) };
    case "status":
      return event.status.sessionId === state.session?.sessionId ? { status: event.status, statusAtMs: nowMs } : undefined;
    case "older": {
      const known = new Set(state.items.map(({ id }) => id));
      const items = [...event.items.filter(({ id }) => !known.has(id)), ...state.items];
      return { items, more: event.more, loadingOlder: false };
    }
    case "connection":
      return { connection: event };
    case "accepted":
      return { pending: pending.map((each) => (each.promptId === event.promptId ? { ...each, accepted: true } : each)) };
    case "refused":
      return {
        pending: pending.filter(({ promptId }) => promptId !== event.promptId),
        draft: joined(event.draft, draft),
        refusal: event,
      };
    case "output":
      return { outputs: { ...state.outputs, [event.toolUseId]: event.text } };
    case "files":
      return { files: event };
    case "mention":
      return { draft: { ...draft, mentions: [...draft.mentions, event.mention] }, focusCount: focusCount + 1 };
    case "focus":
      return { focusCount: focusCount + 1 };
    case "typed":
      return { draft: event.draft };
    case "submitted":
      return {
        pending: [...pending, { promptId: event.promptId, text: draft.text, accepted: false }],
        history: remembered(state.history, draft.text),
        draft: editing?.kept ?? emptyDraft,
        editing: undefined,
        refusal: undefined,
        following: true,
      };
    case "edit": {
      const prompt = promptOf(state.items, event.promptId);
      if (!prompt) return undefined;
      const mentions = (prompt.mentions ?? []).map((path) => ({ path }));
      return {
        editing: { promptId: event.promptId, kept: editing?.kept ?? draft },
        draft: { text: prompt.text, mentions, images: [] },
        focusCount: focusCount + 1,
      };
    }
    case "editEnded":
      return { draft: editing?.kept ?? draft, editing: undefined };
    case "folded":
      return { folds: { ...state.folds, [event.id]: event.open } };
    case "answered":
      return { answers: { ...state.answers, [event.questionId]: event.answer } };
    case "following":
      if (state.following === event.following) return undefined;
      return { following: event.following, ...(event.following && trimmed(state.items)) };
    case "olderAsked":
      return { loadingOlder: true };
    case "problem":
      return { refusal: event };
    case "problemClosed":
      return { refusal: undefined };
  }
}

function opened(state: State, event: Extract<ToView, { type: "session" }>, nowMs: number): State {
  const same = state.session?.sessionId === event.session.sessionId;
  const base = same ? state : { ...initial, connection: state.connection };
  const keepsTyped = same && (state.editing !== undefined || !isEmpty(state.draft));
  return {
    ...base,
    ...shown(event.session, nowMs),
    screen: "session",
    items: event.items,
    more: event.more,
    loadingOlder: false,
    draft: keepsTyped ? state.draft : event.draft,
    history: event.history,
    pending: base.pending.filter((each) => !each.accepted && !promptOf(event.items, each.promptId)),
    answers: {}, // an answer that did not arrive can be given again
    focusCount: state.focusCount,
  };
}

const shown = (session: Session, nowMs: number) => ({ session, status: session.status, statusAtMs: nowMs });

function changed(state: State, changes: Change[]): Partial<State> {
  const items = applyChanges(state.items, changes);
  const waits = state.pending.filter(({ promptId }) => !promptOf(items, promptId));
  return {
    items,
    pending: waits.length === state.pending.length ? state.pending : waits,
    announcement: announced(changes, state.items, items) ?? state.announcement,
    ...(state.following && trimmed(items)),
  };
}

/** The person looks at the end: what is far above is given back to the host. */
const trimmed = (items: readonly Item[]): Partial<State> | false =>
  items.length > KEPT_MAX && { items: items.slice(-KEPT_AFTER_TRIM), more: true };

const promptOf = (items: readonly Item[], promptId: string): PromptItem | undefined =>
  items.findLast((item): item is PromptItem => item.kind === "prompt" && item.promptId === promptId);

const joined = (given: Draft, typed: Draft): Draft => ({
  text: [given.text, typed.text].filter((text) => text.trim()).join("\n\n"),
  mentions: [...given.mentions, ...typed.mentions],
  images: [...given.images, ...typed.images],
});

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
