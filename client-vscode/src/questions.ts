/**
 * Permission questions as notifications, for sessions whose chat nobody sees. Law: each question is
 * shown once in a window; closing the notification answers nothing.
 */

import { answer } from "./chat/view";
import type { Answer, Question } from "./protocol";
import type { Server } from "./server";
import type { Sessions } from "./sessions/model";
import { node } from "./sessions/tree";
import { inform, NotConnected, Owner, run, tell } from "./ui";

const ANSWERS: Record<string, Answer> = { Allow: "allow", "Always Allow": "allowAlways", Deny: "deny" };
const DETAIL_CHARS_MAX = 300;

export class Questions extends Owner {
  private readonly asked = new Set<string>();

  constructor(private readonly server: Server, private readonly sessions: Sessions) {
    super();
    this.own(sessions.onChange(() => this.look()));
  }

  private look(): void {
    const asking = this.sessions.all().filter((entry) => entry.phase === "asking" && this.sessions.isHere(entry));
    for (const { sessionId } of asking) {
      if (this.sessions.shown(sessionId)) continue;
      void this.show(sessionId).catch((error) => error instanceof NotConnected || tell(error, this.server.log));
    }
  }

  private async show(sessionId: string): Promise<void> {
    const { questions } = await this.server.request("holdfast.session.state", { sessionId });
    const fresh = questions.filter(({ questionId }) => !this.asked.has(questionId));
    for (const { questionId } of fresh) this.asked.add(questionId);
    await Promise.all(fresh.map((question) => this.ask(question)));
  }

  private async ask(question: Question): Promise<void> {
    const text = `${question.title}\n${question.detail.slice(0, DETAIL_CHARS_MAX)}`;
    const chosen = await inform(text, ...Object.keys(ANSWERS), "Show");
    if (chosen === "Show") await run("holdfast.ui.openSession", node(question));
    const given = chosen && ANSWERS[chosen];
    if (given) await answer(this.server, question.questionId, given);
  }
}
