import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Unexpected } from './expect.js';

export const root = fileURLToPath(new URL('../../../.', import.meta.url)).replace(/\/$/, '');
const script = `${root}/scripts/lab`;

/**
 * The network of namespaces. All that is started for it has a session of its own: Ctrl-C reaches the demo alone, which
 * then takes the lab down.
 */
export class Lab {
  /** Goes with the lab. */
  readonly directory: string;
  private ended = false;
  private readonly running = new Set<ChildProcess>();

  constructor(readonly name: string) {
    this.directory = `/run/spillway/${name}/demo`;
  }

  socketOf(host: string): string {
    return `/run/spillway/${this.name}/${host}.sock`;
  }

  /** Takes down what an earlier run has left under this name first. */
  async up(): Promise<void> {
    await this.run(['down', '--name', this.name]);
    await this.run(['up', '--name', this.name]);
    mkdirSync(this.directory);
  }

  /** Takes it down with all that runs in it. A step that was broken off may still go on: it starts nothing more. */
  async end(): Promise<void> {
    this.ended = true;
    for (const child of this.running) child.kill('SIGTERM');
    await Promise.all([...this.running].map((child) => once(child, 'close')));
    await this.script(['down', '--name', this.name]);
  }

  /** A command on a host, to its end. @returns its output. */
  exec(host: string, command: readonly string[]): Promise<string> {
    return this.run(['exec', host, '--name', this.name, '--', ...command]);
  }

  /** A process on a host, with a log in the lab's directory. Its pid is the program's own. */
  spawn(host: string, { command, ipc }: { command: readonly string[]; ipc: boolean }): ChildProcess {
    this.refuseAfterEnd();
    const file = openSync(this.logFile(host), 'a');
    const child = spawn(script, ['exec', host, '--name', this.name, '--', ...command], {
      stdio: ['ignore', file, file, ipc ? 'ipc' : 'ignore'],
      detached: true,
    });
    closeSync(file);
    child.on('error', () => {});
    return child;
  }

  /** The last lines that a host's process wrote. */
  logTail(host: string, lines = 5): string {
    return readFileSync(this.logFile(host), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** The last warnings and errors that an agent wrote. */
  warnings(host: string, most = 3): readonly string[] {
    if (!existsSync(this.logFile(host))) return [];
    const lines = this.logTail(host, Number.POSITIVE_INFINITY).split('\n');
    const levels = lines.map((line) => /"level":(\d+)/.exec(line)?.[1]);
    return lines.filter((line, i) => line !== '' && Number(levels[i] ?? 40) >= 40).slice(-most);
  }

  private logFile(host: string): string {
    return `${this.directory}/${host}.log`;
  }

  private async run(args: readonly string[]): Promise<string> {
    this.refuseAfterEnd();
    const output = await this.script(args);
    this.refuseAfterEnd();
    return output;
  }

  private script(args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(script, args, { detached: true } as object, (error, stdout, stderr) => {
        this.running.delete(child);
        if (error === null) resolve(stdout);
        else
          reject(
            new Unexpected(`scripts/lab ${args.join(' ')} to succeed`, `${stderr}${stdout}`.trim() || error.message),
          );
      });
      child.stdin?.end();
      this.running.add(child);
    });
  }

  private refuseAfterEnd(): void {
    if (this.ended) throw new Error('the lab was ended');
  }
}

/** The node that runs this, so that a host's PATH does not matter. */
export function program(name: string): readonly string[] {
  return [process.execPath, fileURLToPath(new URL(`${name}.js`, import.meta.url))];
}
