/**
 * Keys. Law (P11): a key lives in the secret storage or in the environment of the server's process,
 * and goes to the server by a request; never into settings, arguments, logs or messages.
 */

import * as vscode from "vscode";
import type { Result } from "./protocol";
import type { Server } from "./server";
import { ask, inform, noteTo, Owner, pick, run, type Choice } from "./ui";
import wording from "./wording.json";

type Kind = "apiKey" | "authToken";

const KINDS = wording.keys as Choice<Kind>[];
const INPUT: vscode.InputBoxOptions = {
  prompt: "It is kept in the system's secret storage and sent only to the configured API.",
  password: true,
  ignoreFocusOut: true,
  validateInput: (text) => (/^\s*[!-~]*\s*$/.test(text) ? "" : "A key has no spaces and only plain characters."),
};

export class Credentials extends Owner {
  private readonly changes = this.own(new vscode.EventEmitter<void>());
  readonly onChange = this.changes.event;
  source: Result<"holdfast.credentials.set">["source"] | "unknown" = "unknown";

  constructor(private readonly server: Server, private readonly secrets: vscode.SecretStorage) {
    super();
    const send = () => this.send().catch(noteTo(server.log, "the key was not taken"));
    this.own(server.onConnected(send));
    this.own(secrets.onDidChange(send));
  }

  /** Ask for a key and keep it, in place of any other. */
  async ask(): Promise<void> {
    const kind = await pick("which kind of key?", KINDS);
    const value = kind && (await ask(KINDS.find((each) => each.value === kind)?.label ?? kind, "", INPUT))?.trim();
    if (!value) return;
    await this.secrets.store(secret(kind), value);
    await this.secrets.delete(secret(kind === "apiKey" ? "authToken" : "apiKey"));
    void vscode.window.setStatusBarMessage("$(key) Holdfast: the key is kept", 5_000);
  }

  async forget(): Promise<void> {
    for (const { value } of KINDS) await this.secrets.delete(secret(value));
    void inform("the key is forgotten. A key in the environment still counts.");
  }

  private async send(): Promise<void> {
    const keys = KINDS.map(({ value }) => this.secrets.get(secret(value)));
    const [apiKey = null, authToken = null] = await Promise.all(keys);
    this.source = (await this.server.request("holdfast.credentials.set", { apiKey, authToken })).source;
    this.server.log.info(`key: ${this.source}`);
    void run("setContext", "holdfast.hasKey", this.source !== "none");
    this.changes.fire();
  }
}

const secret = (kind: Kind): string => `holdfast.${kind}`;
