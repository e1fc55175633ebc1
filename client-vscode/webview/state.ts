/** What the chat view knows. Law: all of it comes from the host or from the person's hands. */

import type { Draft, ToView } from "../src/chat/messages";
import { emptyDraft } from "../src/chat/outbox";
import type { Answer, Item, Session, Status } from "../src/protocol";

export type Connection = Omit<Extract<ToView, { type: "connection" }>, "type">;
export type Hint = Extract<ToView, { type: "empty" }>["hint"];

export interface Refusal {
  message: string;
  action: string;
}

/** A prompt on its way: shown at once, until the server's own item takes its place. */
export interface PendingPrompt {
  promptId: string;
  text: string;
  accepted: boolean;
}

export interface State {
  screen: "loading" | "empty" | "session";
  hint: Hint;
  connection: Connection;
  session: Session | undefined;
  status: Status | undefined;
  /** When `status` arrived: what it says about the past is counted on from here. */
  statusAtMs: number;
  items: readonly Item[];
  more: boolean;
  loadingOlder: boolean;
  draft: Draft;
  /** An earlier prompt is being edited; `kept` is what was being typed before. */
  editing: { promptId: string; kept: Draft } | undefined;
  history: readonly string[];
  pending: readonly PendingPrompt[];
  refusal: Refusal | undefined;
  outputs: Readonly<Record<string, string>>;
  files: { requestId: number; files: readonly string[] };
  /** What a person opened (true) or folded (false), by the id of the item. */
  folds: Readonly<Record<string, boolean>>;
  answers: Readonly<Record<string, Answer>>;
  /** The list sticks to its end. */
  following: boolean;
  /** For screen readers: the newest finished thing, in one sentence. */
  announcement: string;
  /** Grows when the host asks that the composer gets the focus. */
  focusCount: number;
}

/** What a person does in the view. */
export type Local =
  | { type: "typed"; draft: Draft }
  | { type: "submitted"; promptId: string }
  | { type: "edit"; promptId: string }
  | { type: "editEnded" }
  | { type: "folded"; id: string; open: boolean }
  | { type: "answered"; questionId: string; answer: Answer }
  | { type: "following"; following: boolean }
  | { type: "olderAsked" }
  | ({ type: "problem" } & Refusal)
  | { type: "problemClosed" };

export const initial: State = {
  screen: "loading",
  hint: "start",
  connection: { state: "starting" },
  session: undefined,
  status: undefined,
  editing: undefined,
  refusal: undefined,
  statusAtMs: 0,
  items: [],
  more: false,
  loadingOlder: false,
  draft: emptyDraft,
  history: [],
  pending: [],
  outputs: {},
  files: { requestId: 0, files: [] },
  folds: {},
  answers: {},
  following: true,
  announcement: "",
  focusCount: 0,
};
