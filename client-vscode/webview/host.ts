/** The way to the host: VS Code's webview API, and what a click on an offered action does. */

import type { PaletteCommand, ToHost } from "../src/chat/messages";
import type { BannerAction, CommandName } from "../src/protocol";
import { current, edited, set } from "./store";
import wording from "./wording.json";

declare function acquireVsCodeApi(): { postMessage(message: ToHost): void };

let api: ReturnType<typeof acquireVsCodeApi> | undefined;

export const post = (message: ToHost) => (api ??= acquireVsCodeApi()).postMessage(message);

/** Have the editor ask a person. */
export const palette = (command: PaletteCommand) => post({ type: "palette", command });

/** Something that is offered: a command of the server or the editor's, or what this view does itself. */
export type Action = Omit<BannerAction, "command"> & { command: CommandName | PaletteCommand | (() => void) };

/** Commands of the server that need a person's input, or whose result the editor shows: what does that. */
const ASKED_BY: Record<string, string> = wording.askedBy;

/** Return what choosing an action does; nothing when it cannot be done here (it is of a newer server). */
export function deed({ command, argument }: Action): (() => void) | undefined {
  if (typeof command === "function") return command;
  const asker = ASKED_BY[command] ?? command;
  if (asker.startsWith("holdfast.ui.")) return () => palette(asker as PaletteCommand);
  if (argument) return () => post({ type: "act", command: command as CommandName, argument });
  const prompt = current().items.findLast((item) => item.kind === "prompt");
  return command === "holdfast.session.rewind" && prompt ? () => set(edited(current(), prompt)) : undefined;
}
