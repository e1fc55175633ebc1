/**
 * When a server that keeps crashing is left alone. Law: one crash is mended at once; several within
 * the window end the restarts until a person asks for one.
 */
export class CrashWindow {
  private times: number[] = [];

  constructor(
    private readonly limit = 5,
    private readonly windowMs = 180_000,
  ) {}

  /** Count a crash at `now`. Returns the milliseconds until a restart, or undefined for a loop. */
  record(now: number): number | undefined {
    this.times = [...this.times.filter((time) => now - time < this.windowMs), now];
    if (this.times.length >= this.limit) return undefined;
    return this.times.length === 1 ? 0 : 500 * 2 ** (this.times.length - 2);
  }

  get count(): number {
    return this.times.length;
  }

  reset(): void {
    this.times = [];
  }
}
