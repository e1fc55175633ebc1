/**
 * Bundles the harness, serves it under a strict content security policy and opens it in a browser.
 * The environment says where things are: CHROMIUM (the browser), PLAYWRIGHT_CORE (the module's
 * folder; otherwise it is looked for as usual).
 */
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Holdfast chat</title>
<link rel="stylesheet" href="themes.css"><link rel="stylesheet" href="main.css"><body><div id="root"></div>
<script src="harness.js"></script><script src="main.js"></script>`;
const TYPES = { js: "text/javascript", css: "text/css" };

async function bundled() {
  const { outputFiles } = await build({
    entryPoints: { main: join(here, "../../webview/main.tsx"), harness: join(here, "harness.ts") },
    bundle: true,
    write: false,
    outdir: "out",
    format: "iife",
    target: "es2022",
    minify: true,
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const files = new Map(outputFiles.map((file) => [file.path.split("/").at(-1), file.text]));
  return files.set("themes.css", await readFile(join(here, "themes.css"), "utf8"));
}

/** Run `play(page, address, context)` and close everything whatever happens. */
export async function onStage(play, browserArguments = []) {
  const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT_CORE ?? "playwright-core");
  const files = await bundled();
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1);
    const content = name === "" ? PAGE : files.get(name);
    const type = TYPES[name.split(".").at(-1)] ?? "text/html";
    response.writeHead(content === undefined ? 404 : 200, { "content-type": type, "content-security-policy": CSP });
    response.end(content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", ...browserArguments],
  });
  try {
    const context = await browser.newContext({
      viewport: { width: Number(process.env.WIDTH ?? 440), height: 860 },
      deviceScaleFactor: 1.5,
    });
    const page = await context.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(`${error}`));
    page.on(
      "console",
      (message) => message.type() === "error" && !message.text().includes("favicon") && problems.push(message.text()),
    );
    await play(page, `http://127.0.0.1:${server.address().port}/`, context);
    if (problems.length > 0) throw new Error(`the page reported:\n${[...new Set(problems)].join("\n")}`);
  } finally {
    await browser.close();
    server.close();
  }
}
