/** The way to the host: VS Code's webview API, and what a click on an offered action does. */

import type { PaletteCommand, ToHost } from "../src/chat/messages";
import type { BannerAction, CommandName } from "../src/protocol";
import { current, edited, set } from "./store";

declare function acquireVsCodeApi(): { postMessage(message: ToHost): void };

let api: ReturnType<typeof acquireVsCodeApi> | undefined;

export function post(message: ToHost): void {
  api ??= acquireVsCodeApi();
  api.postMessage(message);
}

/** Have the editor ask a person. */
export const palette = (command: PaletteCommand) => post({ type: "palette", command });

/** Something that is offered: a command of the server or the editor's, or what this view does itself. */
export type Action = Omit<BannerAction, "command"> & { command: CommandName | PaletteCommand | (() => void) };

/** Commands of the server that need a person's input: where the editor asks for it. */
const ASKED_BY: Partial<Record<CommandName | PaletteCommand, PaletteCommand>> = {
  "holdfast.credentials.set": "holdfast.ui.setKey",
  "holdfast.model.select": "holdfast.ui.selectModel",
  "holdfast.server.info": "holdfast.ui.diagnose",
};

/** Return what choosing an action does; nothing when it cannot be done here (it is of a newer server). */
export function deed({ command, argument }: Action): (() => void) | undefined {
  if (typeof command === "function") return command;
  if (argument) return () => post({ type: "act", command: command as CommandName, argument });
  const asker = ASKED_BY[command] ?? command;
  if (asker.startsWith("holdfast.ui.")) return () => palette(asker as PaletteCommand);
  const prompt = current().items.findLast((item) => item.kind === "prompt");
  if (command !== "holdfast.session.rewind" || !prompt) return undefined;
  return () => set(edited(current(), prompt));
}
