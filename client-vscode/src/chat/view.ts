/**
 * Where conversations are shown: the chat view of the side bar and tabs of the editor. Law: a view
 * asks and shows; what it asks for is done here and nowhere else.
 */

import * as vscode from "vscode";
import type { Credentials } from "../credentials";
import type { Diffs } from "../diff";
import { applyCode, findFiles, insertCode, openFile, openLink } from "../editor";
import type { Answer, CommandName, Mention } from "../protocol";
import type { Server } from "../server";
import { titleOf } from "../sessions/look";
import type { Sessions } from "../sessions/model";
import { node } from "../sessions/tree";
import { folders, messageOf, Owner, Refused, run, tell } from "../ui";
import { Drafts, type Conversation, type Conversations } from "./controller";
import { fill } from "./html";
import type { Draft, ToHost, ToView } from "./messages";

const PANEL = "holdfast.chatPanel";
const HIDDEN = { retainContextWhenHidden: true };
/** What a view may not do by itself: a palette command asks first. */
const NOT_FROM_A_VIEW: readonly CommandName[] = [
  "holdfast.credentials.set",
  "holdfast.session.delete",
  "holdfast.session.export",
  "holdfast.session.import",
];

export interface Services {
  context: vscode.ExtensionContext;
  server: Server;
  sessions: Sessions;
  conversations: Conversations;
  credentials: Credentials;
  diffs: Diffs;
}

type Place = vscode.WebviewPanel | vscode.WebviewView;

/** One webview and the conversation in it. */
class Surface extends Owner {
  private conversation: Conversation | undefined;
  private held: vscode.Disposable | undefined;
  private ready = false;
  private readonly drafts: Drafts;

  constructor(
    readonly place: Place,
    private readonly services: Services,
    private readonly onTitle: (title: string) => void,
  ) {
    super();
    const { server, credentials, context } = services;
    const empty = () => this.conversation || this.empty();
    this.drafts = new Drafts(context.workspaceState);
    this.own(place.webview.onDidReceiveMessage((message: ToHost) => this.guarded(this.receive(message))));
    this.own(server.onConnection(() => this.greet()));
    this.own(credentials.onChange(empty));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(empty));
    this.own({ dispose: () => this.held?.dispose() });
    void server.start();
  }

  get sessionId(): string | undefined {
    return this.conversation?.sessionId;
  }

  /** Show a session, or none. */
  async show(sessionId: string | undefined): Promise<void> {
    if (sessionId !== undefined && sessionId === this.sessionId) return;
    this.held?.dispose();
    this.held = this.conversation = undefined;
    if (sessionId === undefined) return this.empty();
    const { conversation, release } = this.services.conversations.hold(sessionId);
    this.held = vscode.Disposable.from(conversation.onMessage((message) => this.forward(message)), release);
    this.conversation = conversation;
    this.forward(conversation.whole());
    await this.guarded(this.open(conversation));
  }

  post(message: ToView): void {
    if (this.ready) void this.place.webview.postMessage(message);
  }

  private async open(conversation: Conversation): Promise<void> {
    try {
      await conversation.open();
    } catch (error) {
      // Without a server, what is known stays on the screen.
      if (this.conversation !== conversation || !(error instanceof Refused)) return;
      if (error.kind !== "SessionUnknown") throw error;
      await this.services.conversations.forget(conversation.sessionId);
      await this.show(undefined);
    }
  }

  private forward(message: ToView | undefined): void {
    if (!message) return;
    this.post(message);
    if ("session" in message && message.session) this.onTitle(titleOf(message.session));
  }

  private greet(): void {
    const { state, message } = this.services.server.connection;
    this.post({ type: "connection", state: state === "idle" ? "starting" : state, ...(message ? { message } : {}) });
    if (!this.conversation) this.empty();
  }

  private empty(): void {
    const { server, credentials } = this.services;
    const keyed = credentials.source === "none" ? "key" : "start";
    const hint = vscode.workspace.isTrusted ? keyed : "restricted";
    this.post({ type: "empty", hint: server.connection.state === "stopped" ? "server" : hint });
  }

  private async receive(message: ToHost): Promise<void> {
    const { conversation, services: { server, diffs } } = this;
    switch (message.type) {
      case "ready":
        this.ready = true;
        this.greet();
        return this.forward(conversation?.whole());
      case "send":
        return this.send(message.promptId, message.draft);
      case "resend":
        return this.send(message.promptId, message.draft, message.replaces);
      case "draft":
        return this.drafts.keep(this.sessionId, message.draft);
      case "palette":
        return run(message.command, conversation && node(conversation));
      case "act":
        if (NOT_FROM_A_VIEW.includes(message.command)) throw new Error(`${message.command} is not offered here.`);
        return void (await server.request(message.command, message.argument as never));
      case "answer":
        return answer(server, message.questionId, message.answer);
      case "older":
        return this.forward(await conversation?.older(message.before));
      case "diff":
        return conversation && diffs.show(conversation.sessionId, message.toolUseId);
      case "output": {
        const call = conversation && { sessionId: conversation.sessionId, toolUseId: message.toolUseId };
        return call && this.post({ ...message, ...(await server.request("holdfast.tool.output", call)) });
      }
      case "findFiles":
        return this.post({ type: "files", requestId: message.requestId, files: await findFiles(message.query) });
      case "openFile":
        return openFile(message.path, message.line);
      case "openLink":
        return openLink(message.href);
      case "code": {
        const { action, text, language } = message;
        if (action === "copy") return vscode.env.clipboard.writeText(text);
        return action === "insert" ? insertCode(text) : applyCode(text, language);
      }
    }
  }

  private async send(promptId: string, draft: Draft, replaces?: string): Promise<void> {
    if (!this.conversation) {
      const { server, sessions } = this.services;
      await this.drafts.keep(undefined, draft);
      try {
        const sessionId = await createSession(server);
        await sessions.choose(sessionId);
        await this.show(sessionId);
        await this.drafts.keep(undefined);
      } catch (error) {
        const action = error instanceof Refused ? error.action : "Your words are kept. Try again when the server runs.";
        return this.post({ type: "refused", promptId, draft, message: messageOf(error), action });
      }
    }
    await this.conversation?.send(promptId, draft, replaces);
  }

  private async guarded(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => tell(error, this.services.server.log));
  }
}

/** All places in this window where a conversation is shown. */
export class Chats extends Owner implements vscode.WebviewViewProvider, vscode.WebviewPanelSerializer {
  private readonly surfaces = new Set<Surface>();
  private side: vscode.WebviewView | undefined;

  constructor(private readonly services: Services) {
    super();
    const { sessions, conversations } = services;
    this.own(vscode.window.registerWebviewViewProvider("holdfast.chat", this, { webviewOptions: HIDDEN }));
    this.own(vscode.window.registerWebviewPanelSerializer(PANEL, this));
    this.own({ dispose: () => vscode.Disposable.from(...this.surfaces).dispose() });
    this.own(sessions.onGone((sessionId) => Promise.all([conversations.forget(sessionId), this.close(sessionId)])));
    sessions.shown = (sessionId) => this.find((it) => it.sessionId === sessionId && it.place.visible) !== undefined;
  }

  /** The session that a person looks at: of the active tab, else of the side bar. */
  get active(): string | undefined {
    return this.find(({ place }) => "active" in place && place.active)?.sessionId ?? this.services.sessions.current;
  }

  async resolveWebviewView(view: vscode.WebviewView): Promise<void> {
    const { sessions } = this.services;
    this.side = view;
    view.onDidChangeVisibility(() => view.visible && sessions.current && sessions.markRead(sessions.current));
    await this.attach(view, (title) => (view.description = title), undefined, sessions.current);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: { sessionId?: string } | undefined): Promise<void> {
    if (state?.sessionId) await this.adopt(panel, state.sessionId);
    else panel.dispose();
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
    const options = { ...HIDDEN, enableFindWidget: true };
    await this.adopt(vscode.window.createWebviewPanel(PANEL, "Holdfast", vscode.ViewColumn.Active, options), sessionId);
  }

  /** Show the side bar's chat and return it. */
  async focus(): Promise<Surface | undefined> {
    await run("holdfast.chat.focus");
    const side = this.find(({ place }) => place === this.side);
    side?.post({ type: "focus" });
    return side;
  }

  async mention(mention: Mention): Promise<void> {
    (await this.focus())?.post({ type: "mention", mention });
  }

  /** The session is gone, or out of sight. */
  async close(sessionId: string): Promise<void> {
    const { sessions } = this.services;
    if (sessions.current === sessionId) await sessions.choose(undefined);
    for (const surface of [...this.surfaces].filter((it) => it.sessionId === sessionId)) {
      if ("reveal" in surface.place) surface.place.dispose();
      else await surface.show(undefined);
    }
  }

  private async adopt(panel: vscode.WebviewPanel, sessionId: string): Promise<void> {
    panel.iconPath = vscode.Uri.joinPath(this.services.context.extensionUri, "media", "icon.png");
    await this.attach(panel, (title) => (panel.title = title), sessionId, sessionId);
  }

  /** `kept`: what a reload of the window brings back by itself. */
  private async attach(place: Place, onTitle: (title: string) => void, kept?: string, shown?: string): Promise<void> {
    const surface = new Surface(place, this.services, onTitle);
    this.surfaces.add(surface);
    place.onDidDispose(() => {
      surface.dispose();
      this.surfaces.delete(surface);
    });
    fill(place.webview, this.services.context.extensionUri, kept);
    await surface.show(shown);
  }

  /** Bring the session's tab to the front, if it has one. */
  private reveal(sessionId: string): boolean {
    const tab = this.find((it) => it.sessionId === sessionId && "reveal" in it.place);
    if (tab && "reveal" in tab.place) tab.place.reveal();
    tab?.post({ type: "focus" });
    return tab !== undefined;
  }

  private find(which: (surface: Surface) => boolean): Surface | undefined {
    return [...this.surfaces].find(which);
  }
}

export async function createSession(server: Server): Promise<string> {
  const document = vscode.window.activeTextEditor?.document;
  const folder = (document && vscode.workspace.getWorkspaceFolder(document.uri)) ?? folders()[0];
  const argument = folder ? { workspaceUri: folder.uri.toString() } : {};
  return (await server.request("holdfast.session.create", argument)).sessionId;
}

/** Answer a permission question; somebody else may have been faster, which is fine. */
export async function answer(server: Server, questionId: string, given: Answer): Promise<void> {
  try {
    await server.request("holdfast.permission.answer", { questionId, answer: given });
  } catch (error) {
    if (!(error instanceof Refused && error.kind === "UnknownQuestion")) throw error;
    server.log.info(`question ${questionId} has its answer already`);
  }
}
