/** The browser in which VS Code is drawn: Debian's Chromium, without a window and with its own profile. */

import { chromium as playwright, type BrowserContext } from "playwright-core";
import { chromium } from "./places.ts";

const FLAGS = [
  "--no-sandbox", // containers and CI run as root, where Chromium's own sandbox does not start
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-precise-memory-info",
];

/** Where nobody listens. Chromium's own services (updates, accounts) end there, unlike the page's
 * requests, which are recorded before they get that far. */
const NOWHERE = "127.0.0.1:9";

/** Start it. It reaches this machine and nothing else. */
export async function startBrowser(profile: string): Promise<BrowserContext> {
  return playwright.launchPersistentContext(profile, {
    executablePath: chromium,
    headless: true,
    viewport: { width: 1280, height: 800 },
    colorScheme: "dark",
    permissions: ["clipboard-read", "clipboard-write"],
    args: [...FLAGS, `--proxy-server=${NOWHERE}`, "--proxy-bypass-list=127.0.0.1;localhost"],
  });
}
