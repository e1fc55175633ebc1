/**
 * What the chat view and the extension host say to each other. Law: the view never talks to the
 * server and keeps nothing that the host could not give it again; everything is plain data.
 */

import type { Answer, Change, CommandName, Item, Mention, Session, Status } from "../protocol";
import type { Waiting } from "./outbox";

/** `data` is base64, without a prefix. */
export type PastedImage = { mediaType: string; data: string };

/** What a person has typed and not yet sent. */
export type Draft = { text: string; mentions: Mention[]; images: PastedImage[] };

export type ToHost =
  | { type: "ready" }
  /** What follows a prompt that it replaces is hidden first (it can be brought back by a fork). */
  | { type: "send"; prompt: Waiting }
  | { type: "draft"; draft: Draft }
  | { type: "answer"; questionId: string; answer: Answer }
  | { type: "older"; before: string }
  | { type: "diff" | "output"; toolUseId: string }
  | { type: "openFile"; path: string; line?: number }
  | { type: "openLink"; href: string }
  | { type: "code"; action: "copy" | "insert" | "apply"; text: string; language: string }
  | { type: "findFiles"; query: string }
  /** An action that the server offered with an item, or a button of a banner. */
  | { type: "act"; command: CommandName; argument: Record<string, unknown> }
  /** Something that needs a picker or a dialog of the editor's own (a palette command). */
  | { type: "palette"; command: PaletteCommand };

export type PaletteCommand = `holdfast.ui.${string}`;

export type ToView =
  /** A session is shown from its newest items on; `history`: earlier prompts of this folder, newest first. */
  | { type: "session"; session: Session; items: Item[]; more: boolean; draft: Draft; history: string[] }
  /** No session is shown. `hint` says what to do first. */
  | { type: "empty"; hint: "start" | "key" | "restricted" | "server" }
  | { type: "changes"; changes: Change[]; session?: Session }
  | { type: "status"; status: Status }
  | { type: "older"; items: Item[]; more: boolean }
  /** The server: while it is not `connected` typing goes on, and what is sent waits. */
  | { type: "connection"; state: "starting" | "connected" | "restarting" | "stopped"; message?: string }
  /** The prompt was not taken; the draft is given back. */
  | { type: "refused"; promptId: string; draft: Draft; message: string; action: string }
  | { type: "output"; toolUseId: string; text: string }
  | { type: "files"; files: string[] }
  /** Add to what is typed, e.g. the editor's selection as a mention. */
  | { type: "mention"; mention: Mention }
  | { type: "focus" };
