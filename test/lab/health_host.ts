import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export function lab(verb: string, name: string): void {
  execFileSync(`${root}scripts/lab`, [verb, '--name', name], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export function onHost(name: string, host: string, ...command: readonly string[]): void {
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  execFileSync(`${root}scripts/lab`, ['exec', host, '--name', name, '--', ...command], { stdio: [...stdio] });
}

/** The options that its starter gave this program. Unlike JSON, bytes stay bytes. */
export function readOptions<T>(): T {
  return deserialize(Buffer.from(process.argv[2] ?? '', 'base64')) as T;
}

/** A program of these tests on a host of a lab, by its lines. */
export class LabHost {
  readonly lines: string[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #gone: Promise<void>;
  #stderr = '';

  constructor(name: string, host: string, script: string, options: unknown) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const command = [process.execPath, path, serialize(options).toString('base64')];
    this.#child = spawn(`${root}scripts/lab`, ['exec', host, '--name', name, '--', ...command]);
    this.#gone = new Promise((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stderr.on('data', (text) => {
      this.#stderr += text;
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.lines.push(line));
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Waits until `found` gives something else than null, for at most `withinMs`. */
  async until<T>(what: string, found: (lines: readonly string[]) => T | null, withinMs: number): Promise<T> {
    const deadlineMs = Date.now() + withinMs;
    for (;;) {
      const result = found(this.lines);
      if (result !== null) return result;
      if (Date.now() > deadlineMs || this.#child.exitCode !== null) {
        throw new Error(`${what}: not within ${withinMs} ms; it said:\n${this.lines.join('\n')}\n${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#gone;
    clearTimeout(kill);
  }
}
