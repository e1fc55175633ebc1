/** VS Code's own chat and language models as thin bridges to a session. */

import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import type { Conversations } from "./chat/controller";
import { emptyDraft } from "./chat/outbox";
import { createSession } from "./chat/view";
import { followTurn, type Sink } from "./chat/watch";
import type { Phase } from "./protocol";
import type { Server } from "./server";
import { opening } from "./sessions/tree";
import { noteTo, Owner } from "./ui";

type Asked = { prompt: string; sessionId?: string };

export class Bridge extends Owner {
  constructor(private readonly server: Server, private readonly conversations: Conversations) {
    super();
    const handler: vscode.ChatRequestHandler = (...given) => this.chat(...given);
    const participant = this.own(vscode.chat.createChatParticipant("holdfast.participant", handler));
    participant.iconPath = new vscode.ThemeIcon("comment-discussion");
    this.own(vscode.lm.registerTool<Asked>("holdfast_ask", {
      prepareInvocation: ({ input: { prompt } }) => ({
        invocationMessage: "Asking Holdfast",
        confirmationMessages: { title: "Ask Holdfast", message: new vscode.MarkdownString().appendText(prompt) },
      }),
      invoke: ({ input }, token) => this.tool(input, token),
    }));
  }

  private async tool(input: Asked, token: vscode.CancellationToken): Promise<vscode.LanguageModelToolResult> {
    const sessionId = input.sessionId ?? (await createSession(this.server));
    let words = "";
    const sink = { text: (piece: string) => (words += piece), step: () => {} };
    const phase = await this.turn(sessionId, input.prompt, token, sink);
    const end = phase === "idle" ? "" : `\n\nThe turn is ${phase}; a person must look at it in Holdfast.`;
    const part = new vscode.LanguageModelTextPart(`${words}${end}\n\n(sessionId: ${sessionId})`);
    return new vscode.LanguageModelToolResult([part]);
  }

  private async chat(...[request, context, stream, token]: Parameters<vscode.ChatRequestHandler>) {
    const last = context.history.findLast((turn) => turn instanceof vscode.ChatResponseTurn);
    const earlier: string | undefined = last?.result.metadata?.["sessionId"];
    const sessionId = earlier ?? (await createSession(this.server));
    const sink = { text: (piece: string) => stream.markdown(piece), step: (title: string) => stream.progress(title) };
    const phase = await this.turn(sessionId, request.prompt, token, sink);
    if (phase === "asking") stream.markdown("\n\nA permission is needed.");
    else if (phase !== "idle") stream.markdown(`\n\nThe turn is ${phase}.`);
    stream.button(opening({ sessionId }, "Open in Holdfast"));
    return { metadata: { sessionId } };
  }

  /** Send a prompt and pass on what comes, until the turn ends or needs a person. */
  private turn(sessionId: string, text: string, token: vscode.CancellationToken, sink: Sink): Promise<Phase> {
    return this.conversations.using(sessionId, async (conversation) => {
      const { server } = this;
      const stopped = () => server.request("holdfast.turn.stop", { sessionId }).catch(noteTo(server.log, "stop"));
      const stop = token.onCancellationRequested(stopped);
      try {
        await conversation.open();
        const promptId = randomUUID();
        return await followTurn(conversation, promptId, () => conversation.send(promptId, { ...emptyDraft, text }), sink);
      } finally {
        stop.dispose();
      }
    });
  }
}
