/** What a command needs to know of sessions and was not told. */

import type { SessionEntry } from "../protocol";
import type { Server } from "../server";
import { pick } from "../ui";
import { ago, look, statusOf, titleOf } from "./look";
import type { Sessions } from "./model";
import { folderName } from "./tree";

const unarchived = (entry: SessionEntry): boolean => !entry.archived;

export function pickSession(sessions: Sessions, title: string, which = unarchived): Promise<string | undefined> {
  const now = Date.now();
  const listed = sessions.all().filter(which).sort((a, b) => Number(sessions.isHere(b)) - Number(sessions.isHere(a)));
  return pick(title, listed.map((entry) => {
    const { icon, text } = look(statusOf(entry), now);
    const description = [text || ago(entry.updatedAt, now), folderName(entry)].filter(Boolean).join(" · ");
    return { value: entry.sessionId, label: `$(${icon}) ${titleOf(entry)}`, description };
  }));
}

/** A prompt of a session, the newest first. */
export async function pickPrompt(server: Server, sessionId: string): Promise<{ promptId: string } | undefined> {
  const { items } = await server.request("holdfast.session.items", { sessionId, limit: 1_000 });
  const prompts = items.reverse().flatMap((item) => (item.kind === "prompt" && item.state === "sent" ? [item] : []));
  const label = (text: string) => text.split("\n")[0]?.slice(0, 100) || "(image)";
  return pick("rewind to before which prompt?", prompts.map(({ promptId, text, atMs }) => (
    { value: { promptId }, label: label(text), description: ago(atMs, Date.now()) }
  )));
}

/** A model of the endpoint, or the setting's. */
export async function pickModel(server: Server): Promise<{ model?: string } | undefined> {
  const { models } = await server.request("holdfast.model.list", {});
  const listed = models.map(({ model, windowTokens }) => (
    { value: { model }, label: model, description: `${Math.round(windowTokens / 1000)}k tokens` }
  ));
  return pick<{ model?: string }>("model for this session", [...listed, { value: {}, label: "$(settings) As in the settings" }]);
}
