import { setTimeout as delay } from 'node:timers/promises';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { duration } from '../globals.js';
import { ratesBetween, type Sample, sample, samplePair } from '../rates.js';
import { Screen } from '../screen.js';
import { formatTop, type Top, type TopRow, topOf } from '../views/top.js';

interface Options {
  readonly interval: number;
  readonly once?: boolean;
}

const summary = false;

export const registerTop: Register = (program, io) => {
  const command = program
    .command('top')
    .summary('live rates of listeners and backends')
    .description(
      'Shows the busiest listeners and backends with their rates, renewed each interval; q quits. With --once, --json or ' +
        'without a terminal: once, with the rates over one interval.',
    )
    .option('-i, --interval <duration>', 'over which rates are measured', duration, 1000)
    .option('--once', 'print one table and end')
    .action(action<Options>(io, top));
  examples(command, ['spillway top', 'spillway top --once --interval 10s', "spillway top --json | jq '.total'"]);
};

async function top(context: Context, options: Options): Promise<void> {
  const { stdin, stdout } = context.io;
  if (stdout.isTTY === true && stdin.isTTY === true && options.once !== true && !context.json) {
    await live(context, options);
    return;
  }
  const [before, after] = await samplePair(context, { summary, intervalMs: options.interval });
  const rates = ratesBetween(before, after);
  const now = topOf(after.status, rates);
  if (context.json) await context.printJson(topJson(now, rates.seconds));
  else await context.print(picture(context, after, now, Number.POSITIVE_INFINITY));
}

async function live(context: Context, options: Options): Promise<void> {
  let before = await sample(context, { summary });
  const quit = new AbortController();
  const screen = new Screen(context.io, () => quit.abort());
  try {
    screen.draw(`measuring over ${options.interval / 1000} s; q quits`);
    while (!quit.signal.aborted) {
      await delay(options.interval, undefined, { signal: quit.signal });
      try {
        const after = await sample(context, { summary });
        screen.draw(picture(context, after, topOf(after.status, ratesBetween(before, after)), screen.rows));
        before = after;
      } catch (error) {
        // The agent may be restarting: the view outlives it.
        screen.draw(`${error instanceof Error ? error.message : String(error)}\ntrying again; q quits`);
      }
    }
  } catch (error) {
    if (!quit.signal.aborted) throw error;
  } finally {
    screen.close();
  }
}

function picture(context: Context, { status }: Sample, top: Top, rows: number): string {
  return formatTop(status, top, { nowMs: Date.now(), paint: context.io.paint, rows });
}

function topJson(top: Top, intervalSeconds: number) {
  const rate = ({ rate, listener, backend }: TopRow) => ({
    packetsPerSecond: rate.packets,
    bytesPerSecond: rate.bytes,
    newSessionsPerSecond: rate.newSessions,
    activeSessions: (backend ?? listener).traffic?.activeSessions ?? 0n,
  });
  const name = ({ listener }: TopRow) => ({ loadBalancer: listener.loadBalancer, listener: listener.listener });
  const { packets, bytes, newSessions } = top.total;
  return {
    intervalSeconds,
    total: { packetsPerSecond: packets, bytesPerSecond: bytes, newSessionsPerSecond: newSessions },
    dropsPerSecond: top.dropsPerSecond,
    listeners: top.listeners.map((row) => ({ ...name(row), ...rate(row) })),
    backends: top.backends.map((row) => ({
      ...name(row),
      backendGroup: row.listener.backendGroup,
      backend: row.backend?.name,
      ...rate(row),
    })),
  };
}
