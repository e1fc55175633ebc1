/** Where things are in this checkout, and what must be there before a test can start. */

import fs from "node:fs";
import path from "node:path";

export const here = path.dirname(import.meta.dirname);
export const root = path.resolve(here, "../../..");

/** Screenshots and logs of failures; not under version control. */
export const artifacts = process.env["E2E_ARTIFACTS"] ?? path.join(root, "dist/e2e");

export const python = path.join(root, ".venv/bin/python");
export const holdfast = path.join(root, ".venv/bin/holdfast");
export const vsix = process.env["E2E_VSIX"] ?? path.join(root, "client-vscode/holdfast.vsix");
export const codeServer = path.join(here, "node_modules/code-server/out/node/entry.js");
export const chromium =
  process.env["CHROMIUM"] ??
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
    fs.existsSync(file),
  ) ??
  "/usr/bin/chromium";

/** Throw, naming the remedy, when something that the tests stand on is missing. */
export function checkPlaces(): void {
  for (const [file, remedy] of [
    [holdfast, "make setup"],
    [vsix, "make client"],
    [codeServer, "make e2e, which installs it"],
    [chromium, "apt-get install chromium fonts-dejavu-core, or set CHROMIUM"],
  ] as const) {
    if (!fs.existsSync(file)) throw new Error(`${file} is missing; try: ${remedy}`);
  }
}
