/**
 * Who talks to whom. Law: nothing that a test starts may reach beyond this machine; whatever tries
 * is written down, by three witnesses: the requests of the browser's pages, a proxy that refuses
 * (the editor, its extensions and the server are told to use it), and the sockets of all processes.
 */

import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContext } from "playwright-core";
import type { Processes } from "./processes.ts";

const SAMPLE_MS = 250;
const LOCAL_URL = /^(?:(?:http|ws)s?:\/\/(?:127\.0\.0\.1|localhost)[:/]|data:|blob:|vscode-|about:|chrome-)/;
/** The name under which webviews load the extension's files: VS Code's service worker answers. */
const WEBVIEW_FILE = /^https:\/\/vscode-remote\+127-[\da-f-]+\.vscode-resource\.vscode-cdn\.net\//;

export class NetworkGuard {
  /** Every attempt to leave this machine, as "witness: target". */
  readonly attempts = new Set<string>();
  readonly #proxy = http.createServer((request, response) => {
    this.attempts.add(`proxy: ${request.method} ${request.url}`);
    response.writeHead(403).end();
  });
  #timer: NodeJS.Timeout | undefined;

  async start(): Promise<void> {
    this.#proxy.on("connect", (request, socket) => {
      this.attempts.add(`proxy: CONNECT ${request.url}`);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await new Promise<void>((resolve) => this.#proxy.listen(0, "127.0.0.1", resolve));
  }

  get proxy(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}`;
  }

  /** What makes programs use the proxy for everything but this machine. */
  get environment(): NodeJS.ProcessEnv {
    const variables: NodeJS.ProcessEnv = { NODE_USE_ENV_PROXY: "1" };
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
      variables[name] = variables[name.toLowerCase()] = this.proxy;
    }
    variables["NO_PROXY"] = variables["no_proxy"] = "127.0.0.1,localhost,::1";
    return variables;
  }

  watchBrowser(context: BrowserContext): void {
    const note = (url: string): void => {
      if (!LOCAL_URL.test(url) && !WEBVIEW_FILE.test(url)) this.attempts.add(`browser: ${url.slice(0, 160)}`);
    };
    context.on("request", (request) => note(request.url()));
    context.on("page", (page) => page.on("websocket", (socket) => note(socket.url())));
    for (const page of context.pages()) page.on("websocket", (socket) => note(socket.url()));
  }

  /** Look at the TCP sockets of all our processes from now on. */
  watchSockets(processes: Processes): void {
    this.#timer = setInterval(() => {
      for (const line of outsideConnections(processes)) this.attempts.add(`socket: ${line}`);
    }, SAMPLE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#proxy.close();
    this.#proxy.closeAllConnections();
  }
}

/** Connections of these processes, open or being tried, to anything but this machine. */
function outsideConnections(processes: Processes): string[] {
  const remote = new Map<string, string>();
  for (const table of ["tcp", "tcp6"]) {
    for (const line of linesOf(`/proc/net/${table}`).slice(1)) {
      const [, , address = "", state = "", , , , , , inode = ""] = line.trim().split(/\s+/);
      const listening = state === "0A";
      if (!listening && inode !== "0" && !isLocal(address)) remote.set(`socket:[${inode}]`, address);
    }
  }
  if (remote.size === 0) return [];
  return processes.ids().flatMap((id) =>
    socketsOf(id)
      .filter((name) => remote.has(name))
      .map((name) => `${remote.get(name)} by ${processes.commandLine(id).slice(0, 80)}`),
  );
}

/** Tell by an address of /proc/net whether it is a loopback or an unspecified one. */
function isLocal(address: string): boolean {
  const [host = ""] = address.split(":");
  const v4 = host.length === 8 ? host : host.startsWith("0000000000000000FFFF0000") ? host.slice(24) : "";
  if (v4) return v4.endsWith("7F") || v4 === "00000000";
  return /^0+(?:01000000)?$/.test(host);
}

function socketsOf(id: number): string[] {
  try {
    return fs.readdirSync(`/proc/${id}/fd`).flatMap((fd) => {
      try {
        return [fs.readlinkSync(`/proc/${id}/fd/${fd}`)];
      } catch {
        return []; // closed in between
      }
    });
  } catch {
    return []; // the process has ended
  }
}

function linesOf(file: string): string[] {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trimEnd().split("\n") : [];
}
