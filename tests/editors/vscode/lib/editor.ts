/**
 * One editor for the tests of one file: VS Code in a browser, the extension from the built .vsix,
 * the real server and the simulator. Law: it starts before the file's first test, ends after its
 * last one, and a failed test leaves a screenshot.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, before, test, type TestContext } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { startBrowser } from "./browser.ts";
import { Chat } from "./chat.ts";
import { CodeServer } from "./code-server.ts";
import { NetworkGuard } from "./network.ts";
import { Pictures } from "./pictures.ts";
import { artifacts, checkPlaces, holdfast } from "./places.ts";
import { Processes } from "./processes.ts";
import { Simulator } from "./simulator.ts";
import { Way } from "./way.ts";
import { Workbench } from "./workbench.ts";

/** Starting an editor takes 10 to 20 s, on a busy machine longer. */
const START_LIMIT_MS = 180_000;

const SIDE_BAR_PX = 440;
const OFFICE_KEY = "OFFICE_KEY";

export interface EditorOptions {
  files?: Record<string, string>;
  /** Settings besides the API's address and, unless `ownServer`, the server's path. */
  settings?: Record<string, unknown>;
  /** Go to the API by a way with weather, and know a second endpoint, `office`, that stands in for it. */
  weather?: boolean;
  /** Put a key into the environment; otherwise the person has to give one. Default true. */
  key?: boolean;
  /** Trust the folder from the beginning. Default true. */
  trusted?: boolean;
  /** Let the extension find or make a server by itself. It may then use the machine's network. */
  ownServer?: boolean;
  /** Called before the editor starts, e.g. to put sessions into its store. */
  prepare?: (codeServer: CodeServer) => void;
}

export class Editor {
  /** A key that is nobody's, and so can be looked for everywhere. */
  readonly key = `sk-ant-nobody-${randomUUID()}`;
  readonly processes = new Processes();
  readonly network = new NetworkGuard();
  readonly codeServer = new CodeServer(this.processes);
  simulator!: Simulator;
  /** With `weather`: the API behind the second endpoint, and the way to the first. */
  office!: Simulator;
  way!: Way;
  page!: Page;
  workbench!: Workbench;
  chat!: Chat;
  pictures!: Pictures;
  #context: BrowserContext | undefined;

  readonly #options: EditorOptions;

  constructor(options: EditorOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    checkPlaces();
    const { files = {}, settings = {}, key = true, trusted = true, ownServer = false, prepare, weather } = this.#options;
    await this.network.start();
    if (!ownServer) this.network.watchSockets(this.processes);
    const log = (name: string): string => path.join(this.codeServer.folder, `../${name}.log`);
    this.simulator = await Simulator.start(this.processes, log("simulator"));
    let api: Record<string, unknown> = { "holdfast.baseUrl": this.simulator.url };
    if (weather) {
      this.way = await Way.start(this.processes, this.simulator.url, log("way"));
      this.office = await Simulator.start(this.processes, log("office"));
      const office = { name: "office", kind: "gateway", baseUrl: this.office.url, keyVariable: OFFICE_KEY, models: { "claude-opus-5-5": "claude-opus-4-8" } };
      api = { "holdfast.baseUrl": this.way.url, "holdfast.endpoints": [office], "holdfast.failover": ["default", "office"] };
    }
    prepare?.(this.codeServer);
    await this.codeServer.start({
      files,
      settings: { ...api, ...(ownServer ? {} : { "holdfast.server.path": holdfast }), ...settings },
      environment: { [OFFICE_KEY]: this.key, ...(key ? { ANTHROPIC_API_KEY: this.key } : {}), ...(ownServer ? {} : this.network.environment) },
      trusted,
    });
    this.#context = await startBrowser(this.codeServer.profile);
    this.network.watchBrowser(this.#context);
    this.page = this.#context.pages()[0] ?? (await this.#context.newPage());
    this.workbench = new Workbench(this.page);
    this.chat = new Chat(this.page);
    this.pictures = new Pictures(this.page);
    await this.workbench.open(this.codeServer.url);
  }

  /** Begin a session as a person does; it is then the one that is shown. */
  async newSession(): Promise<void> {
    await this.workbench.command("Holdfast: New Session");
    await this.chat.isFresh();
  }

  /** Show Holdfast's views, in a side bar as wide as people have it who chat in it. */
  async showViews(): Promise<void> {
    await this.workbench.showContainer("Holdfast");
    await this.workbench.widenSideBar(SIDE_BAR_PX);
  }

  /** The ids of the Holdfast server's processes in this editor. */
  servers(): number[] {
    return this.processes.matching(/\bholdfast\b.*\blsp\b/);
  }

  async close(): Promise<void> {
    await this.#context?.close().catch(() => undefined); // it may have ended with its editor
    await this.processes.endAll();
    this.network.stop();
    this.codeServer.remove();
  }

  /** Keep what tells the cause of a failure: the window and the log. */
  async keepEvidence(name: string): Promise<void> {
    await this.pictures?.failure(name);
    fs.mkdirSync(artifacts, { recursive: true });
    fs.writeFileSync(path.join(artifacts, `FAILED-${name.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 80)}.log`), this.codeServer.channel("Holdfast"));
  }
}

/** Return the editor of this file's tests; it is started and ended around them. */
export function editorForThisFile(options: EditorOptions = {}): Editor {
  const editor = new Editor(options);
  before(
    async () => {
      try {
        await editor.start();
      } catch (error) {
        await editor.keepEvidence("start").catch(() => undefined); // there may be no window yet
        throw error;
      }
    },
    { timeout: START_LIMIT_MS },
  );
  afterEach(async (context) => {
    const { name, passed } = context as TestContext & { passed: boolean }; // not yet in its types
    if (!passed) await editor.keepEvidence(name);
  });
  after(() => editor.close(), { timeout: 60_000 });
  return editor;
}

/** The promises that every story keeps; call it behind a file's last test. */
export function keepsItsPromises(editor: Editor, options: { offline?: boolean } = {}): void {
  test("P2: the strict API refused nothing that was sent", async () => {
    const refusals = await editor.simulator.refusals();
    assert.deepEqual(refusals.map((entry) => `${entry.refused}: ${entry.message}`), []);
  });
  test("P11: the key is in no log and in no file of the server", () => {
    assert.ok(!editor.codeServer.everyLog().includes(editor.key), "a log holds the key");
    assert.deepEqual(editor.codeServer.containing(editor.key).filter((file) => !file.startsWith(editor.codeServer.profile)), []);
  });
  if (options.offline ?? true) {
    test("no request left this machine", () => {
      assert.deepEqual([...editor.network.attempts], []);
    });
  }
}
