import { formatAge } from './format/time.js';

const quietMs = 2000;
/** Without a terminal: one line each so often. */
const lineMs = 10_000;

/**
 * Says on standard error what is waited for, once it has taken two seconds: on a terminal in one line that is rewritten
 * and removed, elsewhere in a line every ten seconds.
 */
export class Progress {
  private readonly startedAt = performance.now();
  private readonly timer: NodeJS.Timeout;
  private nextLineMs = quietMs;
  private shown = false;

  constructor(
    private readonly stderr: NodeJS.WriteStream,
    private readonly text: string,
  ) {
    this.timer = setInterval(() => this.show(), 500);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    if (this.shown && this.stderr.isTTY) this.stderr.write('\r\x1b[K');
  }

  private show(): void {
    const waitedMs = performance.now() - this.startedAt;
    if (waitedMs < this.nextLineMs) return;
    const line = `${this.text} (${formatAge(waitedMs)})`;
    this.shown = true;
    if (this.stderr.isTTY) {
      this.stderr.write(`\r${line.slice(0, (this.stderr.columns ?? 80) - 1)}\x1b[K`);
    } else {
      this.stderr.write(`${line}\n`);
      this.nextLineMs += lineMs;
    }
  }
}
