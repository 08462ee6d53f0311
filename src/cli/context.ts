import { setTimeout as delay } from 'node:timers/promises';
import type { CallOptions, SpillwayClient } from '../api/client.js';
import { describeAgentError } from './agent_error.js';
import { CommandError, UsageError } from './errors.js';
import { formatJson } from './format/json.js';
import type { GlobalOptions } from './globals.js';
import { type Io, write } from './io.js';
import { Progress } from './progress.js';

const retryMs = 500;

/** What a command works with: its process, the global options, the agent. */
export class Context {
  private client: SpillwayClient | null = null;

  constructor(
    readonly io: Io,
    readonly globals: GlobalOptions,
  ) {}

  get json(): boolean {
    return this.globals.json;
  }

  async print(text: string): Promise<void> {
    await write(this.io.stdout, text);
  }

  async printJson(value: unknown): Promise<void> {
    await this.print(formatJson(value));
  }

  /** Beside the result, and never in its way: standard error. */
  note(text: string): void {
    this.io.stderr.write(`${this.io.paintError.dim(text)}\n`);
  }

  /** gRPC is loaded here and not before: help and completion answer without it. */
  async agent(): Promise<SpillwayClient> {
    if (this.client === null) {
      const { connect } = await import('../api/client.js');
      const { socket, tls, timeoutMs } = this.globals;
      try {
        this.client = connect(socket, { timeoutMs, ...(tls === null ? {} : { tls }) });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new CommandError(`cannot connect to ${socket}: ${reason}`, {
          hint: 'Check --socket and the TLS files.',
          cause: error,
        });
      }
    }
    return this.client;
  }

  /** One call, with progress when it takes long, and its error in words for an operator. */
  async call<T>(what: string, run: (agent: SpillwayClient, options: CallOptions) => Promise<T>): Promise<T> {
    const agent = await this.agent();
    const progress = new Progress(this.io.stderr, `waiting for ${this.globals.socket}: ${what}`);
    try {
      return await run(agent, { timeoutMs: this.globals.timeoutMs });
    } catch (error) {
      throw await this.describe(error);
    } finally {
      progress.stop();
    }
  }

  /**
   * Runs what watches, again and again while the agent is away: an upgrade in the middle must not end a watch. Before
   * the first answer (`begun`) an agent that is not there is a failure like any other.
   */
  async outlivingRestarts(begun: () => boolean, run: () => Promise<void>): Promise<void> {
    for (let away = false; ; away = true) {
      try {
        await run();
        return;
      } catch (caught) {
        const error = await this.describe(caught);
        if (!(error instanceof CommandError && error.code === 'UNAVAILABLE' && begun())) throw error;
        if (!away) this.note(`${error.message}; trying again`);
        await delay(retryMs);
      }
    }
  }

  /** An error of the client in words for an operator; others as they are. */
  async describe(error: unknown): Promise<unknown> {
    const { SpillwayError } = await import('../api/client.js');
    if (!(error instanceof SpillwayError)) return error;
    const { socket, timeoutMs, tls } = this.globals;
    return describeAgentError(error, { target: socket, timeoutMs, tls: tls !== null });
  }

  close(): void {
    this.client?.close();
  }
}

export function requireUsage(holds: boolean, message: string): asserts holds {
  if (!holds) throw new UsageError(message);
}
