/**
 * What a person sends along when something is wrong. Law (P11): no key is in it, whatever the log
 * or an error says; it is shown before it goes anywhere, and nothing is sent by itself.
 */

import * as vscode from "vscode";
import type { Services } from "./chat/view";
import { withoutSecrets } from "./secrets";

const LOG_CHARS_MAX = 20_000;

/** What the server's doctor finds, of the way to the API that this session goes. */
export const diagnosis = (services: Services, sessionId: string | undefined): Promise<string> =>
  withEditor(services, async () => (await services.server.request("holdfast.doctor.run", { sessionId })).report);

/** The same, with the session's last raw error and the end of the log, and where to send it. */
export async function issue(services: Services, sessionId: string | undefined): Promise<string> {
  const { bugs } = services.context.extension.packageJSON;
  const where = bugs?.url ? `Send it to ${bugs.url}` : "Attach this to your message to whoever gave you Holdfast";
  const file = vscode.Uri.joinPath(services.context.logUri, `${services.server.log.name}.log`);
  const log = await vscode.workspace.fs.readFile(file).then((bytes) => new TextDecoder().decode(bytes), String);
  const bundle = async () => (await services.server.request("holdfast.doctor.bundle", { sessionId })).text;
  const parts = [
    `# What happened\n\n(What did you do, what did you expect? Look through this before you send it. ${where}.)`,
    await withEditor(services, bundle),
    `## The session's last error\n\n${fenced(await lastError(services, sessionId))}`,
    `## The end of the log\n\n${fenced(log.slice(-LOG_CHARS_MAX))}`,
  ];
  return withoutSecrets(parts.join("\n\n"));
}

/** What was examined, or that there is nobody to do it, and how this editor is set up. */
async function withEditor({ context, server, credentials }: Services, examine: () => Promise<string>): Promise<string> {
  const { state, message } = server.connection;
  const facts: Record<string, unknown> = {
    Editor: `VS Code ${vscode.version}, ${process.platform} ${process.arch}, Node ${process.version}`,
    Extension: `${context.extension.id} ${context.extension.packageJSON.version}`,
    "Trusted folder": vscode.workspace.isTrusted,
    Connection: [state, message].filter(Boolean).join(": "),
    Key: credentials.source,
    Launch: server.choice?.reason ?? "unknown",
  };
  const lines = Object.entries(facts).map(([name, value]) => `- **${name}:** ${value}\n`).join("");
  return `${state === "connected" ? await examine() : "# Holdfast does not run"}\n\n## This editor\n\n${lines}`;
}

async function lastError({ server }: Services, sessionId: string | undefined): Promise<string> {
  if (!sessionId || server.connection.state !== "connected") return "none is known";
  const { items } = await server.request("holdfast.session.items", { sessionId, limit: 200 });
  const failed = items.findLast((item) => item.kind === "notice" && item.level !== "info" && item.detail);
  return failed?.kind === "notice" ? `${failed.text}\n${failed.detail}` : "none";
}

const fenced = (text: string): string => `\`\`\`\`text\n${text.trim()}\n\`\`\`\``;
