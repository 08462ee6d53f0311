import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Meter } from '../../../src/metering/meter.js';
import { HOUR_MS } from '../../../src/metering/types.js';

/** Run in a mount namespace with a small tmpfs at the folder given: hours end while it is full, then while it is not. */
const folder = `${process.argv[2]!}/metering`;
const startMs = Date.UTC(2026, 0, 2, 21);
let nowMs = startMs;
let packets = 0n;

async function open(): Promise<Meter> {
  const meter = await Meter.open({
    folder,
    keepDays: 3,
    reporters: 8,
    counters: {
      generation: 'g',
      most: 4,
      known: () => true,
      read: () => (id) =>
        id === 1 ? { packets, bytes: packets * 60n, sessions: 1n } : { packets: 0n, bytes: 0n, sessions: 0n },
    },
    now: () => nowMs,
    monotonic: () => nowMs - startMs,
    onDamage: (text) => said.push(text),
    onRefusal: (error) => said.push(error.message),
  });
  meter.own({ services: new Map([[1, 'web']]), vips: new Map([['192.0.2.1', 'web']]) });
  await meter.persist().catch(() => {});
  return meter;
}

const said: string[] = [];
async function hour(meter: Meter): Promise<void> {
  packets += 7n;
  nowMs += HOUR_MS;
  meter.sample();
  await meter.persist().catch(() => {});
}

writeFileSync(`${process.argv[2]!}/room`, Buffer.alloc(4096));
const first = await open();
await hour(first);
const filler = `${process.argv[2]!}/filler`;
try {
  writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024));
} catch {
  // Full now.
}
await hour(first);
const full = first.problems();
await hour(first);
rmSync(filler);
await hour(first);
const day = `${folder}/2026-01-02.jsonl`;
const mode = statSync(day).mode & 0o777;
const last = `${folder}/2026-01-03.jsonl`;
const tear = (): void => writeFileSync(last, readFileSync(last).subarray(0, -20));
// As a crash tears it: the checkpoint has the line still.
tear();
const second = await open();
const completed = readFileSync(last, 'utf8').endsWith('}\n') && said.length === 1;
await hour(second);
await second.persist();
// And as nobody but a disk can.
tear();
writeFileSync(`${folder}/2025-12-01.jsonl`, '');
const third = await open();
const { records } = await third.list({ loadBalancer: null, fromMs: 0, untilMs: 1e15, atLeast: 100 });
console.log(
  JSON.stringify({
    full,
    said,
    mode,
    completed,
    after: third.problems(),
    files: readdirSync(folder).sort(),
    packets: records.map(({ packetsIn }) => Number(packetsIn)),
    flowed: Number(packets),
  }),
);
