// Bundles the extension (dist/extension.js) and its chat view (dist/chat.js, dist/chat.css); with
// --tests also the unit tests, one file each.
import { build, context } from "esbuild";
import { existsSync, readdirSync, rmSync } from "node:fs";

const flags = new Set(process.argv.slice(2));
const production = flags.has("--production");
const common = {
  bundle: true,
  logLevel: "warning",
  minify: production,
  sourcemap: production ? false : "linked",
};
const host = { ...common, platform: "node", format: "cjs", target: "node20", external: ["vscode"] };

const extension = {
  ...host,
  entryPoints: { extension: "src/extension.ts" },
  outdir: "dist",
  // The JSON-RPC library's "module" builds are what tree shaking needs.
  mainFields: ["module", "main"],
};
const chat = {
  ...common,
  entryPoints: { chat: "webview/main.tsx" },
  outdir: "dist",
  platform: "browser",
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": production ? '"production"' : '"development"' },
};
const tests = () => ({
  ...host,
  entryPoints: ["test", "webview/test"]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
    .filter((path) => /\.test\.tsx?$/.test(path)),
  outdir: "dist-test",
  outbase: ".",
  jsx: "automatic",
  jsxImportSource: "preact",
  external: ["vscode", "node:*"],
});

if (flags.has("--tests")) {
  rmSync("dist-test", { recursive: true, force: true });
  await build(tests());
} else if (flags.has("--watch")) {
  for (const options of [extension, chat]) await (await context(options)).watch();
} else {
  await Promise.all([build(extension), build(chat)]);
}
