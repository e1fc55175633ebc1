/**
 * VS Code's own user interface, as a person uses it. Law: this is the one place in these tests that
 * knows how VS Code draws itself.
 */

import type { FrameLocator, Locator, Page } from "playwright-core";
import { until } from "./waiting.ts";

export class Workbench {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async open(url: string): Promise<void> {
    await this.page.goto(url);
    await this.drawn();
  }

  /** Wait until the window is drawn, after opening or reloading it. */
  async drawn(): Promise<void> {
    await this.page.locator(".monaco-workbench .statusbar").waitFor({ timeout: 60_000 });
  }

  /** Run a command of the palette by its whole title, such as "Holdfast: New Session". */
  async command(title: string): Promise<void> {
    await this.#open("F1");
    await this.#fill(`>${title}`);
    await this.row(title).click();
  }

  /** Reload the window as a person does, and wait until the new one is drawn. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent("load", { timeout: 60_000 });
    await this.command("Developer: Reload Window");
    await loaded;
    await this.drawn();
  }

  /** Type into the input box that is open and confirm it. */
  async enter(text: string): Promise<void> {
    await this.#fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Choose from the list that is open. */
  async pick(label: string | RegExp): Promise<void> {
    await this.row(label).click();
  }

  /** The quick input: pickers and input boxes. */
  get quickInput(): Locator {
    return this.page.locator(".quick-input-widget");
  }

  /** Open the quick input by a key; again when something that came late took the focus from it. */
  async #open(key: string): Promise<void> {
    await until(
      async () => {
        await this.page.keyboard.press(key);
        return this.#input.waitFor({ timeout: 2_000 }).then(() => true, () => false);
      },
      `the quick input (${key})`,
    );
  }

  get #input(): Locator {
    return this.quickInput.locator(".quick-input-box input");
  }

  async #fill(text: string): Promise<void> {
    await this.#input.waitFor();
    await this.#input.fill(text);
  }

  /** A row of the list that is open. */
  row(label: string | RegExp): Locator {
    return this.quickInput.locator(".quick-input-list .monaco-list-row").filter({ hasText: label }).first();
  }

  /** Open a file of the folder by its name, in the editor. */
  async openFile(name: string): Promise<void> {
    await this.#open("Control+p");
    await this.#fill(name);
    await this.row(name).click();
    await this.tab(name).waitFor();
  }

  tab(name: string | RegExp): Locator {
    return this.page.locator(".tabs-container .tab").filter({ hasText: name }).first();
  }

  /** The lines of the active editor that hold `text`. Blanks are drawn as no-break spaces. */
  line(text: string): Locator {
    const pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ /g, "[ \\u00a0]"));
    return this.page.locator(".editor-group-container .view-line").filter({ hasText: pattern }).first();
  }

  /** Put the cursor at the beginning of a line, counted from 1. */
  async goToLine(line: number): Promise<void> {
    await this.#open("Control+g");
    await this.#fill(`:${line}`);
    await this.page.keyboard.press("Enter");
  }

  /** The document that VS Code's own preview of Markdown shows. */
  get preview(): FrameLocator {
    const frame = 'iframe.webview.ready[src*="extensionId=vscode.markdown-language-features"]';
    return this.page.frameLocator(frame).frameLocator("#active-frame");
  }

  /** What an extension offers above a line. */
  lens(text: string | RegExp): Locator {
    return this.page.locator(".editor-group-container .codelens-decoration a").filter({ hasText: text }).first();
  }

  /** The squiggles that are drawn in the active editor. */
  squiggles(severity: "error" | "warning"): Locator {
    return this.page.locator(`.editor-group-container .squiggly-${severity}`);
  }

  /** A row of the Problems view, which has to be shown. */
  problem(text: string | RegExp): Locator {
    return this.page.locator(".markers-panel .monaco-list-row").filter({ hasText: text }).first();
  }

  /** Choose a quick fix for where the cursor is. */
  async quickFix(title: string | RegExp, beforeChoosing: () => Promise<void> = async () => {}): Promise<void> {
    await this.page.keyboard.press("Control+.");
    const offered = this.page.locator(".action-widget .monaco-list-row").filter({ hasText: title }).first();
    await offered.waitFor();
    await beforeChoosing();
    await offered.click();
  }

  /** The diff editor's two sides. */
  get diff(): { original: Locator; modified: Locator } {
    const side = (name: string): Locator => this.page.locator(`.monaco-diff-editor .editor.${name} .view-lines`);
    return { original: side("original"), modified: side("modified") };
  }

  statusItem(text: string | RegExp): Locator {
    return this.page.locator(".statusbar-item").filter({ hasText: text }).first();
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator(".notification-toast").filter({ hasText: text }).first();
  }

  /** Press a button of a notification; waits until its fading in is over. */
  async press(notification: Locator, button: string): Promise<void> {
    await notification.getByRole("button", { name: button, exact: true }).click();
  }

  async closeNotifications(): Promise<void> {
    await this.command("Notifications: Clear All Notifications");
    await until(async () => (await this.page.locator(".notification-toast").count()) === 0, "no notifications");
  }

  /** Show a view container of the activity bar. */
  async showContainer(title: string): Promise<void> {
    const label = this.page.locator(`a.action-label[aria-label^="${title}"]`);
    const tab = this.page.locator(".activitybar .action-item").filter({ has: label });
    await tab.waitFor();
    const shown = this.page.locator(".activitybar .action-item.checked").filter({ has: label });
    if ((await shown.count()) === 0) await tab.click();
  }

  /** Drag the side bar's edge, as people do who chat in it. */
  async widenSideBar(width: number): Promise<void> {
    const box = await this.page.locator(".part.sidebar").boundingBox();
    if (!box) throw new Error("there is no side bar");
    const [x, y] = [box.x + box.width, box.y + box.height / 2];
    await this.page.mouse.move(x, y);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + width, y, { steps: 5 });
    await this.page.mouse.up();
  }

  /** Open the menu of something, and a submenu of it. */
  async openMenu(of: Locator, submenu: string): Promise<void> {
    await of.click({ button: "right" });
    await this.menuItem(submenu).hover();
  }

  menuItem(title: string): Locator {
    return this.page.getByRole("menuitem", { name: title, exact: true });
  }

  /** A row of a tree view, by what it says. */
  treeRow(text: string | RegExp): Locator {
    return this.page.locator(".sidebar .monaco-list-row").filter({ hasText: text }).first();
  }

  /** Close the editor that lies over everything else. */
  async closeModalEditor(): Promise<void> {
    const modal = this.page.locator(".monaco-modal-editor-block");
    await modal.locator(".codicon-close").first().click();
    await modal.waitFor({ state: "detached" });
  }

  /** The modal dialog that is open, if any. */
  get dialog(): Locator {
    return this.page.locator(".monaco-dialog-box");
  }
}
