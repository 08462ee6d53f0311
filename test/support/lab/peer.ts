/**
 * A Node.js program of these tests on a host of a lab, called over the IPC channel that `scripts/lab exec` hands down.
 * The program calls `serve`; the test holds a `Peer`. The program ends when the test does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

// biome-ignore lint/suspicious/noExplicitAny: a bound that any table of methods fits
export type Methods = Record<string, (argument: any) => unknown>;

interface Question {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** In the program: answers calls until the test goes away. */
export function serve(methods: Methods): void {
  process.on('disconnect', () => process.exit());
  process.on('message', async ({ id, method, argument }: Question) => {
    const reply: Reply = await Promise.resolve(argument)
      .then((value) => methods[method]!(value))
      .then(
        (result) => ({ id, result }),
        (error: unknown) => ({ id, error: (error as Error).stack ?? String(error) }),
      );
    if (process.connected) process.send!(reply);
  });
}

/** In the test: calls the program. */
export class Peer<M extends Methods> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #where: string;
  #nextId = 1;
  #gone: string | null = null;

  constructor(command: readonly string[], script: string) {
    const program = fileURLToPath(new URL(script, import.meta.url));
    this.#where = `${command.join(' ')} ${script}`;
    const [file, ...before] = command;
    this.#child = spawn(file!, [...before, process.execPath, '--enable-source-maps', program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (reply: Reply) => this.#settle(reply));
    this.#child.once('exit', (code, signal) => this.#end(`ended with ${signal ?? code}`));
    this.#child.once('error', (error) => this.#end(error.message));
  }

  call<Name extends keyof M & string>(
    method: Name,
    ...[argument]: Parameters<M[Name]>
  ): Promise<Awaited<ReturnType<M[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== null) {
        reject(new Error(`${this.#where}: ${this.#gone}`));
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, method, argument } satisfies Question);
    });
  }

  async close(): Promise<void> {
    if (this.#gone !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  #settle({ id, result, error }: Reply): void {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) call?.resolve(result as never);
    else call?.reject(new Error(`${this.#where}: ${error}`));
  }

  #end(why: string): void {
    this.#gone = why;
    for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#where}: ${why}`));
    this.#waiting.clear();
  }
}
