import { InvalidArgumentError, Option } from 'commander';
import type { messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { TableWriter } from '../format/table.js';
import { parseMoment } from '../format/time.js';
import { meteringColumns, meteringRow, Totals } from '../views/metering.js';

interface Options {
  readonly loadBalancer?: string;
  readonly from: number;
  readonly until?: number;
}

const DAY_MS = 24 * 3_600_000;

export const registerMetering: Register = (program, io) => {
  const command = program
    .command('metering')
    .summary('what each LoadBalancer carried, hour by hour')
    .description(
      'Lists packets and bytes from clients, packets and bytes to clients as backends reported them, new sessions and ' +
        'the most sessions at a time, by LoadBalancer and hour (UTC), the hour under way last. ' +
        'A time is 2026-01-31, 2026-01-31T14:00Z, or how long ago: 90m, 12h, 7d. With --json one record a line.',
    )
    .option('-l, --load-balancer <name>', 'of this LoadBalancer alone')
    .addOption(
      new Option('--from <time>', 'hours that overlap the time from here')
        .argParser(moment)
        .default(Date.now() - DAY_MS, '24h'),
    )
    .option('--until <time>', 'to here; until now when left out', moment)
    .action(action<Options>(io, metering));
  examples(command, [
    'spillway metering --load-balancer web --from 7d',
    'spillway metering --from 2026-01-01 --until 2026-02-01 --json > january.jsonl',
  ]);
};

function moment(text: string): number {
  const ms = parseMoment(text, Date.now());
  if (ms === null) throw new InvalidArgumentError('Wanted: 2026-01-31, 2026-01-31T14:00Z, or 90m, 12h, 7d ago.');
  return ms;
}

async function metering(context: Context, { loadBalancer = '', from, until }: Options): Promise<void> {
  const print = context.json ? await jsonPrinter(context) : tablePrinter(context);
  const range = { from: timestamp(from), ...(until === undefined ? {} : { until: timestamp(until) }) };
  let pageToken = '';
  do {
    const request = { loadBalancer, ...range, pageToken };
    const answer = await context.call('metering', (agent, call) => agent.metering.list(request, call));
    await print.page(answer.records);
    pageToken = answer.nextPageToken;
  } while (pageToken !== '');
  await print.end();
}

function timestamp(ms: number): messages.Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

interface Printer {
  page(records: readonly messages.MeteringRecord[]): Promise<void>;
  end(): Promise<void>;
}

function tablePrinter(context: Context): Printer {
  const { paint } = context.io;
  const table = new TableWriter(meteringColumns, paint.bold);
  const totals = new Totals();
  return {
    async page(records) {
      for (const record of records) totals.add(record);
      if (records.length > 0) await context.print(table.write(records.map(meteringRow)));
    },
    async end() {
      if (totals.count === 0) context.note('nothing was metered in this time');
      else if (totals.count > 1) await context.print(table.write([totals.row(paint)]));
    },
  };
}

async function jsonPrinter(context: Context): Promise<Printer> {
  const toJson = await jsonOf('spillway.v1.MeteringRecord');
  return {
    page: (records) => context.print(records.map((record) => `${JSON.stringify(toJson(record))}\n`).join('')),
    end: () => Promise.resolve(),
  };
}
