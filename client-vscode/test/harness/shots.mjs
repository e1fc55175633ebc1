/** Pictures of every state in every theme: `node shots.mjs <folder> [scene...]`. */
import { join } from "node:path";
import { onStage } from "./stage.mjs";

const [folder = "shots", ...only] = process.argv.slice(2);
const SCENES = [
  "loading",
  "emptyStart",
  "emptyKey",
  "emptyServer",
  "fresh",
  "conversation",
  "streaming",
  "asking",
  "waiting",
  "paused",
  "compacting",
  "silent",
  "readOnly",
  "notices",
  "panels",
  "restarting",
  "stopped",
  "refused",
  "markdown",
  "folds",
  "files",
  "editing",
  "pending",
  "scrolled",
];
const prepare = {
  async folds(page) {
    for (const button of await page.locator(".tool-title, .thinking .fold-summary").all()) await button.click();
  },
  async files(page) {
    await page.locator("textarea").fill("Look at @re");
    await page.locator(".popup li").first().waitFor();
    await page.keyboard.press("ArrowDown");
  },
  async editing(page) {
    await page.locator(".scroller").press("Home");
    await page.locator(".prompt-tools button").first().click();
  },
  async pending(page) {
    await page.evaluate(() => window.host.tell({ type: "connection", state: "restarting" }));
    await page.locator("textarea").fill("Also fix the deadline");
    await page.keyboard.press("Enter");
  },
  async scrolled(page) {
    await page.locator(".scroller").hover();
    await page.mouse.wheel(0, -500);
  },
  async panels(page) {
    for (const button of await page.locator(".panel > .fold-summary").all()) await button.click();
  },
  async paused(page) {
    await page.locator(".banner .fold-summary").click();
  },
};
const scene = {
  folds: "conversation",
  files: "conversation",
  editing: "conversation",
  pending: "conversation",
  scrolled: "conversation",
};

await onStage(async (page, address) => {
  for (const theme of ["light", "dark", "contrast"]) {
    for (const name of SCENES.filter((each) => only.length === 0 || only.includes(each))) {
      await page.goto(`${address}?theme=${theme}&scene=${scene[name] ?? name}`);
      await page.locator("#root > *").first().waitFor();
      await page.waitForTimeout(150);
      await prepare[name]?.(page);
      await page.waitForTimeout(250);
      await page.screenshot({ path: join(folder, `${name}-${theme}.png`), animations: "disabled" });
    }
  }
});
