/** The page of a chat view: a strict content security policy around one script and one style sheet. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

/** Fill a webview. The state is what VS Code gives back to bring a tab of the editor back after a reload. */
export function fill(webview: vscode.Webview, extension: vscode.Uri, sessionId: string | undefined): void {
  const [dist, media] = ["dist", "media"].map((name) => vscode.Uri.joinPath(extension, name)) as [vscode.Uri, vscode.Uri];
  webview.options = { enableScripts: true, enableForms: false, localResourceRoots: [dist, media] };
  const nonce = randomBytes(16).toString("base64url");
  const resource = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString();
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data: blob:`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const state = JSON.stringify({ sessionId }).replaceAll("<", "\\u003c");
  const keep = `const api = acquireVsCodeApi(); api.setState(${state}); globalThis.acquireVsCodeApi = () => api;`;
  webview.html = `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Holdfast</title>
  <link rel="stylesheet" href="${resource("chat.css")}">
</head>
<body>
  <div id="root"></div>
  <script nonce="${nonce}">{ ${keep} }</script>
  <script nonce="${nonce}" src="${resource("chat.js")}"></script>
</body>
</html>`;
}
