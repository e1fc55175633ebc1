/** VS Code's own chat and language models as thin bridges to a session. */

import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import { emptyDraft } from "./chat/outbox";
import { followTurn, type Sink } from "./chat/watch";
import type { Phase } from "./protocol";
import { opening } from "./sessions/look";
import type { Sessions } from "./sessions/model";
import { noteTo } from "./ui";

type Asked = { prompt: string; sessionId?: string };

export function registerBridges(sessions: Sessions): vscode.Disposable {
  const { server } = sessions;

  /** Send a prompt and pass on what comes, until the turn ends or needs a person. */
  async function turn(sessionId: string, text: string, token: vscode.CancellationToken, sink: Sink): Promise<Phase> {
    const stopped = () => server.request("holdfast.turn.stop", { sessionId }).catch(noteTo(server.log, "stop"));
    const conversation = sessions.conversation(sessionId);
    await conversation.open();
    const prompt = { promptId: randomUUID(), draft: { ...emptyDraft, text } };
    const stop = token.onCancellationRequested(stopped);
    const send = () => conversation.send(prompt);
    return followTurn(conversation, prompt.promptId, send, sink).finally(() => stop.dispose());
  }

  const chat: vscode.ChatRequestHandler = async ({ prompt }, { history }, stream, token) => {
    const last = history.findLast((said) => said instanceof vscode.ChatResponseTurn);
    const sessionId: string = last?.result.metadata?.["sessionId"] ?? (await sessions.create());
    const sink = { text: (piece: string) => stream.markdown(piece), step: (title: string) => stream.progress(title) };
    const phase = await turn(sessionId, prompt, token, sink);
    const rest = phase === "asking" ? "A permission is needed." : `The turn is ${phase}.`;
    if (phase !== "idle") stream.markdown(`\n\n${rest}`);
    stream.button(opening({ sessionId }, "Open in Holdfast"));
    return { metadata: { sessionId } };
  };
  const participant = vscode.chat.createChatParticipant("holdfast.participant", chat);
  participant.iconPath = new vscode.ThemeIcon("comment-discussion");

  const tool = vscode.lm.registerTool<Asked>("holdfast_ask", {
    prepareInvocation: ({ input: { prompt } }) => ({
      invocationMessage: "Asking Holdfast",
      confirmationMessages: { title: "Ask Holdfast", message: new vscode.MarkdownString().appendText(prompt) },
    }),
    invoke: async ({ input }, token) => {
      const sessionId = input.sessionId ?? (await sessions.create());
      let words = "";
      const phase = await turn(sessionId, input.prompt, token, { text: (piece) => (words += piece), step: () => {} });
      if (phase !== "idle") words += `\n\nThe turn is ${phase}; a person must look at it in Holdfast.`;
      const part = new vscode.LanguageModelTextPart(`${words}\n\n(sessionId: ${sessionId})`);
      return new vscode.LanguageModelToolResult([part]);
    },
  });
  return vscode.Disposable.from(participant, tool);
}
