/**
 * The chat view without VS Code: a stand-in for its webview API plays a scene (`?scene=waiting`) in
 * a theme (`?theme=dark`), and `window.host` lets a script send more and read what the view said.
 */

import type { ToHost, ToView } from "../../src/chat/messages";
import { scenes } from "./scenes";

const asked = new URLSearchParams(location.search);
const said: ToHost[] = [];
const tell = (message: ToView) => window.postMessage(message);
const files = ["src/retry.py", "src/requests.py", "tests/test_retry.py", "docs/retry.md"];

document.documentElement.className = asked.get("theme") ?? "dark";
Object.assign(window, {
  host: { said, tell },
  acquireVsCodeApi: () => ({
    postMessage(message: ToHost) {
      said.push(structuredClone(message));
      if (message.type === "ready") for (const step of scenes[asked.get("scene") ?? "conversation"] ?? []) tell(step);
      if (message.type === "findFiles") {
        tell({ type: "files", files: files.filter((path) => path.includes(message.query)) });
      }
    },
  }),
});
