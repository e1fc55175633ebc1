/**
 * The server's work-done progress as VS Code notifications with a cancel button (the language client
 * by itself shows it in the status bar only, where nothing can be cancelled).
 */

import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

type Handler = NonNullable<Middleware["handleWorkDoneProgress"]>;
type Token = Parameters<Handler>[0];
type Bar = { report(message: string | undefined, percentage: number | undefined): void; end(): void };

export class ProgressBridge implements vscode.Disposable {
  private readonly bars = new Map<Token, Bar>();

  constructor(private readonly cancel: (token: Token) => void) {}

  readonly handle: Handler = (token, params, next) => {
    if (params.kind === "begin" && params.cancellable) this.bars.set(token, this.begin(token, params.title));
    const bar = this.bars.get(token);
    if (!bar || params.kind === "end") next(token, params);
    if (params.kind !== "end") return bar?.report(params.message, params.percentage);
    this.bars.delete(token);
    bar?.end();
  };

  /** End all bars: the server that would end them is gone. */
  dispose(): void {
    for (const bar of this.bars.values()) bar.end();
    this.bars.clear();
  }

  private begin(token: Token, title: string): Bar {
    const ended = Promise.withResolvers<void>();
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    let progress: vscode.Progress<{ message?: string | undefined; increment?: number }> | undefined;
    let shown = 0;
    void vscode.window.withProgress(options, (given, cancelled) => {
      progress = given;
      cancelled.onCancellationRequested(() => this.cancel(token));
      return ended.promise;
    });
    const report = (message: string | undefined, percentage = shown) => {
      progress?.report({ message, increment: Math.max(0, percentage - shown) });
      shown = Math.max(shown, percentage);
    };
    return { end: ended.resolve, report };
  }
}
