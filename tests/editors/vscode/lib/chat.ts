/**
 * The chat view, as a person meets it: by roles and names, never by classes. Law: this is the one
 * place in these tests that knows how the view is drawn.
 */

import type { Frame, FrameLocator, Locator, Page } from "playwright-core";
import { until } from "./waiting.ts";

export class Chat {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** The document of the chat view in the side bar. */
  get view(): FrameLocator {
    return this.#page
      .frameLocator('iframe.webview.ready[src*="purpose=webviewView"]')
      .frameLocator("#active-frame");
  }

  /** The view as a frame, to run measurements in it. */
  async frame(): Promise<Frame> {
    const found = await this.#page
      .frameLocator('iframe.webview.ready[src*="purpose=webviewView"]')
      .locator("#active-frame")
      .elementHandle({ timeout: 20_000 });
    const frame = await found?.contentFrame();
    if (!frame) throw new Error("the chat view has no document");
    return frame;
  }

  get composer(): Locator {
    return this.view.getByRole("textbox", { name: "Prompt" });
  }

  /** Type a prompt and send it with Enter. */
  async send(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** Wait until a new session is shown and the composer has the focus. */
  async isFresh(): Promise<void> {
    await this.view.getByRole("heading", { name: "What shall we work on?" }).waitFor();
    await this.composer.and(this.view.locator(":focus")).waitFor();
  }

  /** The conversation: everything above the composer. */
  get conversation(): Locator {
    return this.view.getByRole("log", { name: "Conversation" });
  }

  /** A prompt of the person, as it stands in the conversation. */
  prompt(text: string): Locator {
    return this.conversation.getByRole("region", { name: /^You/ }).filter({ hasText: text }).last();
  }

  /** Something in the conversation that says `text`; the last one. */
  says(text: string | RegExp): Locator {
    return this.conversation.getByText(text).last();
  }

  /** A tool call, by its title such as "Edit a.py". */
  card(title: string | RegExp): Locator {
    return this.conversation.getByRole("region", { name: title }).last();
  }

  /** What opens and closes a card. */
  cardTitle(title: string | RegExp): Locator {
    return this.card(title).getByRole("button").first();
  }

  /** A remark of the server between the words. */
  notice(text: string | RegExp): Locator {
    return this.conversation.getByRole("region", { name: "Notice" }).filter({ hasText: text }).last();
  }

  /** What holds the session up, right above the composer. */
  banner(text: string | RegExp): Locator {
    return this.view.getByRole("status").or(this.view.getByRole("alert")).filter({ hasText: text }).last();
  }

  /** What a screen reader was last told; nobody sees it. */
  announced(text: RegExp): Locator {
    return this.view.locator('[aria-live="polite"]').filter({ hasText: text });
  }

  /** A button by its whole name; the last one, nearest to the composer. */
  button(name: string): Locator {
    return this.view.getByRole("button", { name, exact: true }).last();
  }

  /** Go from the composer back to a button and press it, as somebody without a mouse does. */
  async pressByKeys(name: string): Promise<void> {
    await this.composer.focus();
    const there = this.button(name).and(this.view.locator(":focus"));
    await until(async () => {
      await this.#page.keyboard.press("Shift+Tab");
      return (await there.count()) > 0;
    }, `the focus on ${name}`);
    await this.#page.keyboard.press("Enter");
  }

  /** There while a turn is at work. */
  get stop(): Locator {
    return this.button("Stop (Esc)");
  }
}
