import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import { interfaceBlock, packetBlock, sectionBlock } from '../format/pcapng.js';
import { formatTime } from '../format/time.js';
import { counted } from '../format/units.js';
import { duration } from '../globals.js';
import { type Rates, ratesBetween, type Sample, sample, samplePair } from '../rates.js';
import { clearScreen } from '../screen.js';
import { formatReasons } from '../views/drops.js';
import { clientVersion } from './version.js';

interface Options {
  readonly watch?: boolean;
  readonly interval: number;
  readonly zero?: boolean;
  readonly write?: string;
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
    .option('--write <file>', 'the last sample of each reason as pcapng, its reason as comment; once')
    .option('-z, --zero', 'with reasons that never occurred')
    .action(action<Options>(io, drops));
  examples(command, [
    'spillway drops',
    'spillway drops --watch --interval 5s',
    'spillway drops --zero   # the whole list',
    'spillway drops --write drops.pcapng   # what they look like, for Wireshark',
  ]);
};

async function drops(context: Context, options: Options): Promise<void> {
  const summary = true;
  if (options.write !== undefined) return writeSamples(context, options.write, await sample(context, { summary }));
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

async function writeSamples(context: Context, path: string, { status }: Sample): Promise<void> {
  const samples = status.reasons.filter(({ lastSample }) => lastSample !== null && lastSample.frame.length > 0);
  const blocks = samples.map(({ reason, lastSample }) => {
    const { at, frame, length } = lastSample!;
    const atNs = at === null ? 0n : at.seconds * 1_000_000_000n + BigInt(at.nanos);
    return packetBlock({ atNs, interface: 0, data: frame, originalLength: length, comment: `drop: ${reason}` });
  });
  const head = [sectionBlock(`spillway ${clientVersion()}`), interfaceBlock('spillway', 128)];
  try {
    writeFileSync(path, Buffer.concat([...head, ...blocks]), { mode: 0o600 });
  } catch (error) {
    throw new CommandError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
  context.note(`${counted(samples.length, 'sample')} written to ${path}`);
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
