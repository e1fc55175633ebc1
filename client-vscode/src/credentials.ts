/**
 * Keys. Law (P11): a key lives in the secret storage or in the environment of the server's process,
 * and goes to the server by a request; never into settings, arguments, logs or messages.
 */

import * as vscode from "vscode";
import type { Server } from "./server";
import { ask, except, inform, noteTo, Owner, pick, run, setting, type Choice } from "./ui";
import wording from "./wording.json";

type Kind = "apiKey" | "authToken";

/** What the server calls the endpoint of holdfast.baseUrl. */
const FIRST = "default";
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
  /** Of the first endpoint's key: `client`, `environment` or `none`. */
  source = "unknown";

  constructor(private readonly server: Server, private readonly secrets: vscode.SecretStorage) {
    super();
    const send = () => this.send().catch(noteTo(server.log, "the key was not taken"));
    this.own(server.onConnected(send));
    this.own(secrets.onDidChange(send));
  }

  /** Ask for a key of an endpoint, or of the first one, and keep it, in place of any other. */
  async ask(endpoint = FIRST): Promise<void> {
    const kind = await pick(`which kind of key${endpoint === FIRST ? "" : ` for ${endpoint}`}?`, KINDS);
    const value = kind && (await ask(KINDS.find((each) => each.value === kind)?.label ?? kind, "", INPUT))?.trim();
    if (!value) return;
    await this.secrets.store(secret(kind, endpoint), value);
    await this.secrets.delete(secret(kind === "apiKey" ? "authToken" : "apiKey", endpoint));
    void vscode.window.setStatusBarMessage("$(key) Holdfast: the key is kept", 5_000);
  }

  async forget(): Promise<void> {
    for (const at of endpoints()) for (const { value } of KINDS) await this.secrets.delete(secret(value, at));
    void inform("all keys are forgotten. Those in the environment still count.");
  }

  private async send(): Promise<void> {
    for (const endpoint of endpoints()) {
      const keys = KINDS.map(({ value }) => this.secrets.get(secret(value, endpoint)));
      const [apiKey = null, authToken = null] = await Promise.all(keys);
      const given = this.server.request("holdfast.credentials.set", { apiKey, authToken, endpoint });
      const told = await given.catch(except("UnknownEndpoint")); // of a setting that was not taken
      if (told && endpoint === FIRST) this.source = told.source;
    }
    this.server.log.info(`key: ${this.source}`);
    void run("setContext", "holdfast.hasKey", this.source !== "none");
    this.changes.fire();
  }
}

const secret = (kind: Kind, endpoint: string): string => `holdfast.${kind}${endpoint === FIRST ? "" : `@${endpoint}`}`;
const endpoints = () => [FIRST, ...(setting<{ name: string }[]>("endpoints") ?? []).map(({ name }) => name)];
