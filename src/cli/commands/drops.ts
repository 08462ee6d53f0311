import { setTimeout as delay } from 'node:timers/promises';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatTime } from '../format/time.js';
import { duration } from '../globals.js';
import { type Rates, ratesBetween, type Sample, sample, samplePair } from '../rates.js';
import { clearScreen } from '../screen.js';
import { formatReasons } from '../views/drops.js';

interface Options {
  readonly watch?: boolean;
  readonly interval: number;
  readonly zero?: boolean;
}

export const registerDrops: Register = (program, io) => {
  const command = program
    .command('drops')
    .summary('dropped and passed packets by reason, with rate and last sample')
    .description(
      'Counts packets that were dropped, or left to the host, by reason; with the rate over an interval and the last ' +
        'packet that was sampled.',
    )
    .option('-w, --watch', 'again each interval; with --json one document a line')
    .option('-i, --interval <duration>', 'over which rates are measured', duration, 1000)
    .option('-z, --zero', 'with reasons that never occurred')
    .action(action<Options>(io, drops));
  examples(command, [
    'spillway drops',
    'spillway drops --watch --interval 5s',
    'spillway drops --zero   # the whole list',
  ]);
};

async function drops(context: Context, options: Options): Promise<void> {
  const summary = true;
  const show = await printer(context, options);
  let [before, after] = await samplePair(context, { summary, intervalMs: options.interval });
  await show(after, ratesBetween(before, after));
  if (options.watch !== true) return;
  await context.outlivingRestarts(
    () => true,
    async () => {
      for (;;) {
        await delay(options.interval);
        before = after;
        after = await sample(context, { summary });
        await show(after, ratesBetween(before, after));
      }
    },
  );
}

async function printer(context: Context, options: Options): Promise<(now: Sample, rates: Rates) => Promise<void>> {
  const { paint, stdout } = context.io;
  if (context.json) {
    const toJson = await jsonOf('spillway.v1.ReasonCount');
    return async ({ status }, rates) => {
      const rows = status.reasons
        .filter((row) => options.zero === true || row.packets > 0n)
        .map((row) => ({ ...(toJson(row) as object), packetsPerSecond: rates.ofReason(row) }));
      if (options.watch === true) await context.print(`${JSON.stringify(rows)}\n`);
      else await context.printJson(rows);
    };
  }
  return async ({ status }, rates) => {
    const nowMs = Date.now();
    const head = options.watch !== true ? '' : stdout.isTTY === true ? clearScreen : `== ${formatTime(nowMs)}\n`;
    const table = formatReasons(status.reasons, { rates, nowMs, paint, zero: options.zero ?? false });
    await context.print(`${head}${table === '' ? 'no packet was dropped or passed yet\n' : table}`);
  };
}
