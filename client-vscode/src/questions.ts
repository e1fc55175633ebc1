/**
 * Permission questions as notifications, for sessions whose chat nobody sees. Law: each question is
 * shown once in a window; closing the notification answers nothing.
 */

import type { Disposable } from "vscode";
import type { Answer, Question } from "./protocol";
import type { Sessions } from "./sessions/model";
import { inform, NotConnected, run, tell } from "./ui";

export const ANSWERS: Record<string, Answer> = { Allow: "allow", "Always Allow": "allowAlways", Deny: "deny" };
const DETAIL_CHARS_MAX = 300;

export function notifyOfQuestions(sessions: Sessions): Disposable {
  const asked = new Set<string>();
  const ask = async ({ questionId, sessionId, title, detail }: Question) => {
    if (asked.has(questionId)) return;
    asked.add(questionId);
    const chosen = await inform(`${title}\n${detail.slice(0, DETAIL_CHARS_MAX)}`, ...Object.keys(ANSWERS), "Show");
    if (chosen === "Show") await run("holdfast.ui.openSession", { sessionId });
    const given = chosen && ANSWERS[chosen];
    if (given) await sessions.answer(questionId, given);
  };
  return sessions.onChange(() => {
    const asking = sessions.listed(true).filter(({ phase }) => phase === "asking");
    for (const { sessionId } of asking.filter((entry) => !sessions.shown(entry.sessionId))) {
      const asks = sessions.server.request("holdfast.session.state", { sessionId });
      void asks.then(({ questions }) => Promise.all(questions.map(ask)))
        .catch((error) => error instanceof NotConnected || tell(error, sessions.server.log));
    }
  });
}
