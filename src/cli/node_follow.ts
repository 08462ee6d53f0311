import type { CallOptions } from '../api/client.js';
import type { Context } from './context.js';
import { CommandError } from './errors.js';
import { formatAge } from './format/time.js';
import { lifeWords } from './views/cluster.js';

/** The agent tells something every 250 ms; a restart of it takes some seconds. */
const silenceMs = 60_000;
const lookMs = 250;

interface Step {
  readonly life: keyof typeof lifeWords;
  readonly message: string;
}

interface Following<S extends Step> {
  readonly what: 'drain' | 'activate';
  /** Over all restarts of the agent. */
  readonly limitMs: number;
  readonly hint: string;
  call(passedMs: number, options: CallOptions): AsyncIterable<S>;
  /** True: it was the last one. */
  take(step: S): Promise<boolean>;
}

/**
 * Follows what a node does, over restarts of its agent, to its end or to a limit.
 * @throws CommandError in words of where the node was when last heard of, after the limit or a long silence.
 */
export async function followNode<S extends Step>(
  context: Context,
  { what, limitMs, hint, call, take }: Following<S>,
): Promise<void> {
  const startedAt = performance.now();
  let heardAt = startedAt;
  let last: S | null = null;
  const end = new AbortController();
  const watch = setInterval(() => {
    const now = performance.now();
    if (now - startedAt >= limitMs || now - heardAt >= silenceMs) end.abort();
  }, lookMs);
  const gaveUp = (cause?: unknown): CommandError => {
    const now = performance.now();
    const where = last === null ? 'the agent did not tell where the node is' : whereOf(last);
    const silent = now - heardAt > 2000 ? `, and nothing was heard of the agent for ${formatAge(now - heardAt)}` : '';
    const message = `${what} gave up after ${formatAge(now - startedAt)}: ${where}${silent}`;
    return new CommandError(message, { code: 'DEADLINE_EXCEEDED', hint, cause });
  };
  try {
    await context.outlivingRestarts(
      () => last !== null && !end.signal.aborted,
      async () => {
        for await (const step of call(performance.now() - startedAt, { signal: end.signal })) {
          heardAt = performance.now();
          last = step;
          if (await take(step)) return;
        }
        throw new CommandError(`the agent ended before it said that the node is ${what}d`, {
          code: 'UNAVAILABLE',
          hint: 'See where it is with "spillway node".',
        });
      },
    );
  } catch (error) {
    throw end.signal.aborted ? gaveUp(error) : error;
  } finally {
    clearInterval(watch);
  }
}

function whereOf({ life, message }: Step): string {
  return `the node is ${lifeWords[life]}${message === '' ? '' : ` (${message})`}`;
}
