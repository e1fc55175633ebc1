/**
 * Screenshots. Law: each shows one state in the light and in the dark theme, and is to be looked at
 * by a person; the pictures of the README are these same ones.
 */

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { artifacts } from "./places.ts";

/** Where the README's pictures go, when they are to be made anew. */
const published = process.env["E2E_PICTURES"];
/** Colour transitions of the workbench are over after this. */
const FADE_MS = 350;

export class Pictures {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Save the window in both themes as NAME-light.png and NAME-dark.png; the dark one stays on. */
  async take(name: string, options: { publish?: boolean } = {}): Promise<void> {
    for (const theme of ["light", "dark"] as const) {
      await this.#switchTo(theme);
      const file = this.#file(`${name}-${theme}`);
      await this.#page.screenshot({ path: file, animations: "allow", caret: "initial" });
      if (published && options.publish) {
        fs.mkdirSync(published, { recursive: true });
        fs.copyFileSync(file, path.join(published, path.basename(file)));
      }
    }
  }

  /** Save the window as it is, for whoever looks for the cause of a failure. */
  async failure(name: string): Promise<void> {
    await this.#page.screenshot({ path: this.#file(`FAILED-${name.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 80)}`) });
  }

  async #switchTo(theme: "light" | "dark"): Promise<void> {
    const kind = theme === "light" ? "vs" : "vs-dark";
    const shown = this.#page.locator(`.monaco-workbench.${kind}`);
    if ((await shown.count()) > 0) return;
    await this.#page.emulateMedia({ colorScheme: theme });
    await shown.waitFor();
    await sleep(FADE_MS);
  }

  #file(name: string): string {
    fs.mkdirSync(artifacts, { recursive: true });
    return path.join(artifacts, `${name}.png`);
  }
}
