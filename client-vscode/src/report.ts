/**
 * What a person sends along when something is wrong. Law (P11): no key is in it, whatever the log
 * or an error says; it is shown before it goes anywhere, and nothing is sent by itself.
 */

import * as vscode from "vscode";
import type { Services } from "./chat/view";
import { withoutSecrets } from "./secrets";

const LOG_CHARS_MAX = 20_000;

export async function diagnosis({ server, credentials }: Services): Promise<string> {
  const { state, message } = server.connection;
  const info = state === "connected" ? await server.request("holdfast.server.info", {}) : undefined;
  const examined = info && (await server.request("holdfast.doctor.run", {}));
  const facts: Record<string, unknown> = {
    Editor: `VS Code ${vscode.version}, ${process.platform} ${process.arch}, Node ${process.version}`,
    "Trusted folder": vscode.workspace.isTrusted,
    Connection: [state, message].filter(Boolean).join(": "),
    Launch: server.choice?.reason,
    Key: credentials.source,
    Server: info && `${info.version}, process ${info.processId}, ${JSON.stringify(info.versions)}`,
    Store: info && [info.store.state, info.store.message, info.dataDir].filter(Boolean).join(", "),
    "Wrong settings": info?.problems.map((problem) => problem.message).join(" ") || "none",
  };
  const lines = Object.entries(facts).map(([name, value]) => `- **${name}:** ${value ?? "unknown"}\n`).join("");
  return `${examined?.report ?? "# Holdfast does not run"}\n\n## This installation\n\n${lines}`;
}

/** The diagnosis, the session's last raw error and the end of the log, and where to send them. */
export async function issue(services: Services, sessionId: string | undefined): Promise<string> {
  const { name, version, bugs } = services.context.extension.packageJSON as Record<string, any>;
  const where = bugs?.url ? `Send it to ${bugs.url}` : "Attach this to your message to whoever gave you Holdfast";
  const file = vscode.Uri.joinPath(services.context.logUri, `${services.server.log.name}.log`);
  const log = await vscode.workspace.fs.readFile(file).then((bytes) => new TextDecoder().decode(bytes), String);
  const parts = [
    `${await diagnosis(services)}- **Extension:** ${name} ${version}`,
    `## What happened\n\n(What did you do, what did you expect? Look through this before you send it. ${where}.)`,
    `## The session's last error\n\n${fenced(await lastError(services, sessionId))}`,
    `## The end of the log\n\n${fenced(log.slice(-LOG_CHARS_MAX))}`,
  ];
  return withoutSecrets(parts.join("\n\n"));
}

async function lastError({ server }: Services, sessionId: string | undefined): Promise<string> {
  if (!sessionId || server.connection.state !== "connected") return "none is known";
  const { items } = await server.request("holdfast.session.items", { sessionId, limit: 200 });
  const failed = items.findLast((item) => item.kind === "notice" && item.level !== "info" && item.detail);
  return failed?.kind === "notice" ? `${failed.text}\n${failed.detail}` : "none";
}

const fenced = (text: string): string => `\`\`\`\`text\n${text.trim()}\n\`\`\`\``;
