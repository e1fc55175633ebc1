/** The way to the extension host. Law: nothing else in the view knows VS Code's webview API. */

import type { PaletteCommand, ToHost } from "../src/chat/messages";
import type { CommandName } from "../src/protocol";

declare function acquireVsCodeApi(): { postMessage(message: ToHost): void };

let api: ReturnType<typeof acquireVsCodeApi> | undefined;

export function post(message: ToHost): void {
  api ??= acquireVsCodeApi();
  api.postMessage(message);
}

/** Call a command of the server. */
export const act = (command: CommandName, argument: Record<string, unknown>) => post({ type: "act", command, argument });

/** Have the editor ask a person. */
export const palette = (command: PaletteCommand) => post({ type: "palette", command });
