import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { OUT } from '../paths.js';

/** echo.c, running. */
export class Echo {
  readonly #gone: Promise<unknown>;

  private constructor(readonly child: ChildProcess) {
    this.#gone = once(child, 'exit');
  }

  /** @param command makes the words that run something where the backend is. */
  static async start(
    command: (...words: readonly string[]) => readonly string[],
    { name, tcpPort, udpPort, vips }: { name: string; tcpPort: number; udpPort: number; vips: readonly string[] },
  ): Promise<Echo> {
    const [file, ...words] = command(`${OUT}/failover/echo`, name, `${tcpPort}`, `${udpPort}`, ...vips);
    const child = spawn(file!, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const echo = new Echo(child);
    const [said] = (await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])) as [unknown];
    if (`${said}` !== 'ready\n') throw new Error(`echo server ${name} ended with ${String(said)}`);
    return echo;
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    await this.#gone;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal);
  }
}
