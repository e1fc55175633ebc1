/**
 * Where conversations are shown: the chat view of the side bar and tabs of the editor. Law: a view
 * asks and shows; what it asks for is done here and nowhere else.
 */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import * as vscode from "vscode";
import type { Credentials } from "../credentials";
import { findFiles, openFile, openLink, showCompacted, showDiff, useCode } from "../editor";
import type { CommandName, Compacted } from "../protocol";
import type { Server } from "../server";
import { titleOf } from "../sessions/look";
import type { Sessions } from "../sessions/model";
import { Owner, Refused, run, tell } from "../ui";
import type { Conversation } from "./controller";
import type { ToHost, ToView } from "./messages";

const PANEL = "holdfast.chatPanel";
const PAGE = 200;
const OPTIONS = { retainContextWhenHidden: true, enableFindWidget: true };
/** What a view may not do by itself: a palette command asks first. */
const NOT_FROM_A_VIEW = /^holdfast\.(credentials\.set|session\.(delete|export|import)|transcript\..*)$/;

type Context = vscode.ExtensionContext;
export type Services = { context: Context; server: Server; sessions: Sessions; credentials: Credentials };

/** One webview and the conversation in it. */
class Surface extends Owner {
  private conversation: Conversation | undefined;
  private listening: vscode.Disposable | undefined;
  private ready = false;

  constructor(readonly place: vscode.WebviewPanel | vscode.WebviewView, private readonly services: Services) {
    super();
    const { server, credentials } = services;
    const greet = () => this.greet();
    this.own(place.webview.onDidReceiveMessage((message: ToHost) => this.guarded(this.receive(message))));
    this.own(vscode.Disposable.from(server.onConnection(greet), credentials.onChange(greet)));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(greet));
    this.own({ dispose: () => this.listening?.dispose() });
    void server.start();
  }

  get sessionId(): string | undefined {
    return this.conversation?.sessionId;
  }

  /** The tab of the editor, unless this is the side bar. */
  get tab(): vscode.WebviewPanel | undefined {
    return "reveal" in this.place ? this.place : undefined;
  }

  /** Show a session, or none. */
  async show(sessionId: string | undefined): Promise<void> {
    if (sessionId !== undefined && sessionId === this.sessionId) return;
    this.listening?.dispose();
    this.listening = this.conversation = undefined;
    if (sessionId === undefined) return this.greet();
    const { sessions } = this.services;
    const conversation = (this.conversation = sessions.conversation(sessionId));
    this.listening = conversation.onMessage((message) => this.post(message));
    this.post(conversation.whole());
    await this.guarded(conversation.open().catch(async (error: unknown) => {
      // Without a server, what is known stays on the screen.
      if (this.conversation !== conversation || !(error instanceof Refused)) return;
      if (error.kind !== "SessionUnknown") throw error;
      await sessions.forget(sessionId);
      await this.show(undefined);
    }));
  }

  post(message: ToView | undefined): void {
    if (!message) return;
    if (this.ready) void this.place.webview.postMessage(message);
    if (!("session" in message && message.session)) return;
    Object.assign(this.place, { [this.tab ? "title" : "description"]: titleOf(message.session) });
  }

  /** Say how the server is, and what to do first while no session is shown. */
  private greet(): void {
    const { server, credentials } = this.services;
    const { state, message } = server.connection;
    this.post({ type: "connection", state: state === "idle" ? "starting" : state, ...(message ? { message } : {}) });
    if (this.conversation) return;
    const keyed = credentials.source === "none" ? "key" : "start";
    const hint = vscode.workspace.isTrusted ? keyed : "restricted";
    this.post({ type: "empty", hint: state === "stopped" ? "server" : hint });
  }

  private async receive(message: ToHost): Promise<void> {
    const { conversation, sessionId = "", services: { server, sessions } } = this;
    switch (message.type) {
      case "ready":
        this.ready = true;
        this.greet();
        return this.post(conversation?.whole());
      case "send":
        return conversation?.send(message.prompt);
      case "draft":
        return conversation?.keep(message.draft);
      case "palette":
        return run(message.command, conversation && { sessionId });
      case "act": {
        const { command, argument } = message;
        if (NOT_FROM_A_VIEW.test(command)) throw new Error(`${command} is not offered here.`);
        if (command === "holdfast.session.compactionText") return void (await showCompacted(argument as Compacted));
        return void (await server.request<CommandName>(command, argument as never));
      }
      case "answer":
        return void (await sessions.answer(message.questionId, message.answer));
      case "older": {
        const page = { sessionId, before: message.before, limit: PAGE };
        return this.post({ type: "older", ...(await server.request("holdfast.session.items", page)) });
      }
      case "diff":
        return showDiff(server, { sessionId, toolUseId: message.toolUseId });
      case "output": {
        const call = { sessionId, toolUseId: message.toolUseId };
        return this.post({ type: "output", ...call, ...(await server.request("holdfast.tool.output", call)) });
      }
      case "findFiles":
        return this.post({ type: "files", files: await findFiles(message.query) });
      case "openFile":
        return openFile(message.path, message.line);
      case "openLink":
        return openLink(message.href);
      case "code":
        return useCode(message.action, message.text, message.language);
    }
  }

  private readonly guarded = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => tell(error, this.services.server.log));
}

/** All places in this window where a conversation is shown. */
export class Chats extends Owner implements vscode.WebviewViewProvider, vscode.WebviewPanelSerializer {
  private readonly surfaces = new Set<Surface>();

  constructor(private readonly services: Services) {
    super();
    const { sessions } = services;
    this.own(vscode.window.registerWebviewViewProvider("holdfast.chat", this, { webviewOptions: OPTIONS }));
    this.own(vscode.window.registerWebviewPanelSerializer(PANEL, this));
    this.own({ dispose: () => vscode.Disposable.from(...this.surfaces).dispose() });
    sessions.gone = (sessionId) => void Promise.all([sessions.forget(sessionId), this.close(sessionId)]);
    sessions.shown = (sessionId) => this.find((it) => it.sessionId === sessionId && it.place.visible) !== undefined;
  }

  /** The session that a person looks at: of the active tab, else of the side bar. */
  get active(): string | undefined {
    return this.find(({ tab }) => tab?.active === true)?.sessionId ?? this.services.sessions.current;
  }

  async resolveWebviewView(view: vscode.WebviewView): Promise<void> {
    const { sessions } = this.services;
    view.onDidChangeVisibility(() => view.visible && sessions.current && sessions.markRead(sessions.current));
    await this.attach(view, sessions.current);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: { sessionId?: string } | undefined): Promise<void> {
    await (state?.sessionId ? this.attach(panel, state.sessionId) : panel.dispose());
  }

  /** Show a session in the side bar, or in its tab when it has one. */
  async open(sessionId: string): Promise<void> {
    const { sessions } = this.services;
    sessions.markRead(sessionId);
    if (this.reveal(sessionId)) return;
    await sessions.choose(sessionId);
    await (await this.focus())?.show(sessionId);
  }

  async openInTab(sessionId: string): Promise<void> {
    if (this.reveal(sessionId)) return;
    const panel = vscode.window.createWebviewPanel(PANEL, "Holdfast", vscode.ViewColumn.Active, OPTIONS);
    await this.attach(panel, sessionId);
  }

  /** Show the side bar's chat and return it. */
  async focus(): Promise<Surface | undefined> {
    await run("holdfast.chat.focus");
    const side = this.find(({ tab }) => !tab);
    side?.post({ type: "focus" });
    return side;
  }

  /** The session is gone, or out of sight. */
  async close(sessionId: string): Promise<void> {
    const { sessions } = this.services;
    if (sessions.current === sessionId) await sessions.choose(undefined);
    const showing = [...this.surfaces].filter((it) => it.sessionId === sessionId);
    await Promise.all(showing.map((it) => (it.tab ? it.tab.dispose() : it.show(undefined))));
  }

  private async attach(place: Surface["place"], sessionId: string | undefined): Promise<void> {
    const surface = new Surface(place, this.services);
    this.surfaces.add(surface);
    place.onDidDispose(() => this.surfaces.delete(surface) && surface.dispose());
    const { extensionUri } = this.services.context;
    if (surface.tab) surface.tab.iconPath = vscode.Uri.joinPath(extensionUri, "media", "icon.png");
    // What a reload of the window brings back by itself.
    fill(place.webview, extensionUri, surface.tab && sessionId);
    await surface.show(sessionId);
  }

  /** Bring the session's tab to the front, if it has one. */
  private reveal(sessionId: string): boolean {
    const surface = this.find((it) => it.sessionId === sessionId && it.tab !== undefined);
    surface?.tab?.reveal();
    surface?.post({ type: "focus" });
    return surface !== undefined;
  }

  private readonly find = (which: (surface: Surface) => boolean) => [...this.surfaces].find(which);
}

/**
 * Fill a webview with its page: a strict content security policy around one script and one style
 * sheet. The state is what VS Code gives back to bring a tab of the editor back after a reload.
 */
function fill(webview: vscode.Webview, extension: vscode.Uri, sessionId: string | undefined): void {
  const dist = vscode.Uri.joinPath(extension, "dist");
  webview.options = { enableScripts: true, enableForms: false, localResourceRoots: [dist] };
  const resource = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString();
  const values: Record<string, string> = {
    source: webview.cspSource,
    nonce: randomBytes(16).toString("base64url"),
    state: JSON.stringify({ sessionId }).replaceAll("<", "\\u003c"),
    style: resource("chat.css"),
    script: resource("chat.js"),
  };
  const page = readFileSync(vscode.Uri.joinPath(extension, "media", "chat.html").fsPath, "utf8");
  webview.html = page.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? "");
}
