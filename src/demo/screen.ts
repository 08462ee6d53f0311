import type { WriteStream } from 'node:tty';
import picocolors from 'picocolors';

/** What the demo says as it goes. Colour and the line that changes are for terminals only. */
export class Screen {
  private readonly terminal: boolean;
  readonly paint: ReturnType<typeof picocolors.createColors>;
  private steps = 0;
  private doingSince: number | null = null;

  constructor(
    private readonly out: WriteStream,
    env: NodeJS.ProcessEnv,
  ) {
    this.terminal = out.isTTY === true && env['TERM'] !== 'dumb';
    this.paint = picocolors.createColors(this.terminal && (env['NO_COLOR'] ?? '') === '');
  }

  line(text = ''): void {
    this.clear();
    this.out.write(`${text}\n`);
  }

  /** The heading of a step, and in a few words why. */
  step(title: string, why: string): void {
    this.steps += 1;
    this.line();
    this.line(`${this.paint.bold(`${this.steps}. ${title}`)}  ${this.paint.dim(why)}`);
  }

  /** What is under way: gone when it is done, and where nobody watches never shown. The clock of `saw` starts. */
  doing(text: string): void {
    this.clear();
    this.doingSince = performance.now();
    if (this.terminal) this.out.write(this.paint.dim(`   … ${text}`));
  }

  /** What was looked at and found good, with the time since `doing` if that is news. */
  saw(text: string): void {
    const took = this.doingSince === null ? '' : `  ${this.paint.dim(seconds(performance.now() - this.doingSince))}`;
    this.line(`   ${this.paint.green('✔')} ${text}${took}`);
    this.doingSince = null;
  }

  /** What belongs to the line before. */
  show(text: string): void {
    for (const line of text.split('\n')) this.line(`     ${line}`.trimEnd());
  }

  note(text: string): void {
    for (const line of text.split('\n')) this.line(`     ${this.paint.dim(line)}`);
  }

  failed(text: string): void {
    for (const [i, line] of text.split('\n').entries()) {
      this.line(i === 0 ? `   ${this.paint.red('✘')} ${this.paint.red(line)}` : `     ${line}`);
    }
  }

  private clear(): void {
    if (this.terminal) this.out.write('\r\x1b[K');
  }
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function mebibytes(bytes: number): string {
  return `${count(Math.round(bytes / 1024 / 1024))} MiB`;
}

/** @param align of each column: l or r. */
export function table(align: string, rows: readonly (readonly string[])[]): string {
  const widths = [...align].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, i: number): string =>
    align[i] === 'r' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
