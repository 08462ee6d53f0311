import type { Io } from './io.js';

export const clearScreen = '\x1b[H\x1b[2J';

/** Cuts a line with colours in it to so many visible characters. */
export function cutLine(line: string, width: number): string {
  let visible = 0;
  let out = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
  for (const [part] of line.matchAll(/\x1b\[[0-9;]*m|[^\x1b]/gu)) {
    if (part.startsWith('\x1b')) out += part;
    else if (visible++ < width) out += part;
  }
  return out;
}

/** The terminal's alternate screen; the operator's own is there again after `close`, also when the process is ended. */
export class Screen {
  private readonly restore = (): void => this.close();
  private open = true;

  constructor(
    private readonly io: Io,
    private readonly onQuit: () => void,
  ) {
    io.stdout.write('\x1b[?1049h\x1b[?25l');
    io.stdin.setRawMode(true);
    io.stdin.on('data', this.key).resume();
    process.on('exit', this.restore);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onQuit);
  }

  get rows(): number {
    return this.io.stdout.rows ?? 24;
  }

  /** Replaces the picture without flicker: each line is rewritten, then what is below it is cleared. */
  draw(text: string): void {
    const width = this.io.stdout.columns ?? 80;
    const lines = text.split('\n').slice(0, this.rows);
    this.io.stdout.write(`\x1b[H${lines.map((line) => `${cutLine(line, width)}\x1b[K`).join('\r\n')}\x1b[J`);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.io.stdin.off('data', this.key).setRawMode(false).pause();
    this.io.stdout.write('\x1b[?25h\x1b[?1049l');
    process.off('exit', this.restore);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.onQuit);
  }

  /** In raw mode Ctrl-C is a key like others. */
  private readonly key = (data: Buffer): void => {
    const keys = data.toString();
    if (/q/i.test(keys) || keys.includes('\u0003')) this.onQuit();
  };
}
