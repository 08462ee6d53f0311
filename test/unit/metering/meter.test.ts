import test from 'ava';
import { CapacityError, UnavailableError } from '../../../src/base/errors.js';
import { dayOf, Journal } from '../../../src/metering/journal.js';
import { lineOf, parseLine } from '../../../src/metering/line.js';
import type { Meter } from '../../../src/metering/meter.js';
import { HOUR_MS, type MeteringRecord, noUsage, type Report } from '../../../src/metering/types.js';
import { Random } from '../../support/random.js';
import { FakeDisk } from './fake_disk.js';
import { folder, startMs, World } from './world.js';

const hour = Date.UTC(2026, 0, 2, 3);
const file = `${folder}/2026-01-02.jsonl`;

async function begun(): Promise<World> {
  const world = new World(1);
  world.owners = new Map([
    [1, 'a'],
    [2, 'a'],
    [3, 'b'],
  ]);
  world.rows = new Set(world.owners.keys());
  await world.start();
  return world;
}

const all = (meter: Meter) => meter.list({ loadBalancer: null, fromMs: 0, untilMs: 1e15, atLeast: 1e9 });
const linesOf = (world: World): (MeteringRecord | null)[] => world.lines().map(parseLine);

test('an hour that ends is a line for each LoadBalancer, its listeners summed; idle ones too', async (t) => {
  const world = await begun();
  world.traffic(1, 10);
  world.traffic(2, 5);
  world.pass(20_000);
  await world.tick();
  world.meter!.peak([0, 4, 3, 2]);
  world.meter!.peak([0, 1, 1, 5]);
  world.pass(9_995);
  world.traffic(3, 7);
  world.pass(10);
  await world.tick();
  t.deepEqual(world.lines(), [
    '{"loadBalancer":"a","hour":"2026-01-02T03:00:00Z","packetsIn":"15","bytesIn":"1500","packetsOut":"0","bytesOut":"0","newSessions":"3","peakSessions":"7","seconds":30}',
    '{"loadBalancer":"b","hour":"2026-01-02T03:00:00Z","packetsIn":"7","bytesIn":"700","packetsOut":"0","bytesOut":"0","newSessions":"1","peakSessions":"5","seconds":30}',
  ]);
  const { records } = await all(world.meter!);
  t.is(records.length, 4, 'and the hour under way');
  t.like(records[2], { loadBalancer: 'a', hourMs: hour + HOUR_MS, packetsIn: 0n, meteredMs: 5 });
});

test('what flowed without an agent is in the hour in which it is back, and those seconds are in none', async (t) => {
  const world = await begun();
  world.traffic(1, 3);
  await world.tick();
  world.kill();
  world.traffic(1, 40);
  world.pass(2 * HOUR_MS);
  await world.start();
  const { records } = await all(world.meter!);
  const brief = records.map(({ loadBalancer, hourMs, packetsIn, meteredMs }) => [
    loadBalancer,
    hourMs,
    packetsIn,
    meteredMs,
  ]);
  t.deepEqual(brief, [
    ['a', hour, 3n, 0],
    ['a', hour + 2 * HOUR_MS, 40n, 0],
  ]);
});

test('a clock that jumps ends one hour and begins another; set back, an hour goes on with a second line', async (t) => {
  const world = await begun();
  world.traffic(1, 1);
  world.pass(5000, { jumpMs: 5 * HOUR_MS });
  await world.tick();
  world.traffic(1, 2);
  world.pass(5000, { jumpMs: -5 * HOUR_MS });
  await world.tick();
  world.traffic(1, 4);
  world.pass(HOUR_MS);
  await world.tick();
  const a = (await all(world.meter!)).records.filter(({ loadBalancer }) => loadBalancer === 'a');
  t.deepEqual(
    a.map(({ hourMs, packetsIn }) => [hourMs, packetsIn]),
    [
      [hour, 5n],
      [hour + HOUR_MS, 0n],
      [hour + 5 * HOUR_MS, 2n],
    ],
  );
  t.is(
    a.reduce((sum, { meteredMs }) => sum + meteredMs, 0),
    10_000 + HOUR_MS,
  );
});

const usage = (packetsOut: bigint, vip = '192.0.2.97') => ({
  vip,
  packetsIn: 1n,
  bytesIn: 60n,
  packetsOut,
  bytesOut: packetsOut * 100n,
});
const report = (sequence: bigint, change: Partial<Report> = {}): Report => ({
  reporter: 'host',
  epoch: '1',
  sequence,
  usage: [usage(10n)],
  ...change,
});

async function outOf(meter: Meter, name = 'a'): Promise<bigint> {
  const { records } = await all(meter);
  return records.filter(({ loadBalancer }) => loadBalancer === name).reduce((sum, one) => sum + one.packetsOut, 0n);
}

test('a report is counted once: when it comes again, late, after a restart of the agent, in another epoch', async (t) => {
  const world = await begun();
  await world.meter!.report(report(1n));
  await world.meter!.report(report(1n));
  await world.meter!.report(report(2n));
  await world.meter!.report(report(1n));
  t.is(await outOf(world.meter!), 20n);
  world.kill();
  await world.start();
  await world.meter!.report(report(2n));
  t.is(await outOf(world.meter!), 20n);
  await world.meter!.report(report(1n, { epoch: '2' }));
  await world.meter!.report(report(2n, { epoch: '1' }));
  t.is(await outOf(world.meter!), 30n, 'a report of the epoch before that comes late was counted');
  await world.meter!.report(report(9n, { epoch: '2' }));
  t.is(await outOf(world.meter!), 40n, 'what this agent has not seen is new');
});

test('a report that is acknowledged is on disk; while the disk is full it is refused, and counted when it comes again', async (t) => {
  const world = await begun();
  world.disk.full = true;
  const error = await t.throwsAsync(world.meter!.report(report(1n)), { instanceOf: UnavailableError });
  t.regex(error!.message, /the disk is full: free some space/);
  await t.throwsAsync(world.meter!.report(report(1n)), { instanceOf: UnavailableError }, 'still not on disk');
  t.regex(world.meter!.problems().join(), /kept in memory/);
  world.disk.full = false;
  await world.meter!.report(report(1n));
  t.deepEqual(world.meter!.problems(), []);
  world.kill();
  await world.start();
  t.is(await outOf(world.meter!), 10n);
});

test('VIPs of others are left out and named; one that is gone finds its LoadBalancer for an hour', async (t) => {
  const world = await begun();
  const mixed = report(1n, { usage: [usage(5n), usage(7n, '198.51.100.9'), usage(1n, '198.51.100.9')] });
  t.deepEqual(await world.meter!.report(mixed), ['198.51.100.9']);
  t.is(await outOf(world.meter!), 5n);
  world.owners = new Map([[3, 'b']]);
  world.own();
  t.deepEqual(await world.meter!.report(report(2n)), []);
  t.is(await outOf(world.meter!), 15n);
  world.pass(HOUR_MS + 1);
  world.own();
  t.deepEqual(await world.meter!.report(report(3n)), ['192.0.2.97']);
  t.is(await outOf(world.meter!), 15n);
});

test('what was reported of a VIP outlives a restart, and begins anew with another LoadBalancer', async (t) => {
  const world = await begun();
  await world.meter!.report(report(1n));
  world.kill();
  await world.start();
  t.like(
    world.meter!.reported().find(({ vip }) => vip === '192.0.2.97'),
    { loadBalancer: 'a', packetsIn: 1n, bytesIn: 60n, packetsOut: 10n, bytesOut: 1000n },
  );
  world.meter!.own({ services: world.owners, vips: new Map([['192.0.2.97', 'b']]) });
  t.like(world.meter!.reported(), [{ loadBalancer: 'b', packetsOut: 0n }] as never);
});

test('no more reporters than allowed, for each that is forgotten could be counted twice; a silent week makes room', async (t) => {
  const world = await begun();
  for (let n = 0; n < 8; n++) await world.meter!.report(report(1n, { reporter: `host-${n}` }));
  await t.throwsAsync(world.meter!.report(report(1n, { reporter: 'one more' })), { instanceOf: CapacityError });
  await world.meter!.report(report(2n, { reporter: 'host-3' }));
  world.pass(7 * 24 * HOUR_MS + 1);
  await world.meter!.report(report(3n, { reporter: 'host-3' }));
  await world.meter!.report(report(1n, { reporter: 'one more' }));
  await world.meter!.report(report(3n, { reporter: 'host-3' }));
  t.is(await outOf(world.meter!), 110n);
});

test('without its state metering goes on from now: what the counters said is not counted again', async (t) => {
  const world = await begun();
  world.traffic(1, 100);
  await world.tick();
  world.kill();
  const path = `${folder}/state.json`;
  const bytes = world.disk.files.get(path)!;
  world.disk.files.set(path, bytes.subarray(0, 100));
  await world.start();
  t.regex(
    world.damage.join(),
    /state\.json is damaged \(it is no whole JSON: .*\), set aside as .*: metering goes on from now/,
  );
  t.true([...world.disk.files.keys()].some((name) => name.startsWith(`${path}.damaged-`)));
  world.traffic(1, 7);
  const { records } = await all(world.meter!);
  t.is(records.find(({ loadBalancer }) => loadBalancer === 'a')!.packetsIn, 7n);

  for (const change of [
    (text: string) => text.replace('"format":1', '"format":2'),
    (text: string) => text.replace('"hourMs":1', '"hourMs":2'),
  ]) {
    world.kill();
    world.damage.length = 0;
    const whole = world.disk.files.get(path)!.toString('utf8');
    world.disk.files.set(path, Buffer.from(change(whole)));
    await world.start();
    t.is(world.damage.length, 1, world.damage.join());
  }
});

test('a last line that was cut short is taken out and told; a whole one without its end is ended', async (t) => {
  const world = await begun();
  world.pass(HOUR_MS);
  await world.tick();
  world.kill();
  const whole = world.disk.files.get(file)!;
  world.disk.files.set(file, Buffer.concat([whole, Buffer.from('{"loadBalancer":"a","ho')]));
  await world.start();
  t.deepEqual(world.disk.files.get(file), whole);
  t.deepEqual(world.damage, [
    `${file} ended in the middle of a line: 23 bytes were taken out ({"loadBalancer":"a","ho)`,
  ]);
  world.kill();
  world.damage.length = 0;
  world.disk.files.set(file, whole.subarray(0, whole.length - 1));
  await world.start();
  t.deepEqual(world.disk.files.get(file), whole);
  t.deepEqual(world.damage, []);
});

test('a full disk in the middle of a line: nothing is lost, twice or torn once there is room', async (t) => {
  const world = await begun();
  world.traffic(1, 11);
  world.pass(HOUR_MS);
  world.meter!.sample();
  const persisting = world.meter!.persist();
  // The checkpoint is written before the line: the disk fills between them.
  while (!world.disk.files.get(`${folder}/state.json`)!.includes('"outbox":[["2026')) await Promise.resolve();
  world.disk.full = true;
  await t.throwsAsync(persisting, { instanceOf: UnavailableError });
  world.traffic(1, 5);
  world.pass(HOUR_MS);
  await world.tick();
  t.is((await all(world.meter!)).records.filter(({ packetsIn }) => packetsIn > 0n).length, 2, 'asked meanwhile');
  world.disk.full = false;
  await world.tick();
  t.true(world.filesAreWhole);
  t.deepEqual(
    linesOf(world).map((one) => [one!.loadBalancer, one!.packetsIn]),
    [
      ['a', 11n],
      ['b', 0n],
      ['a', 5n],
      ['b', 0n],
    ],
  );
});

test('a file that another hand changed keeps what it has, and gets its lines at the end', async (t) => {
  const world = await begun();
  world.pass(HOUR_MS);
  await world.tick();
  const other = '{"note":"by hand"}\n';
  world.disk.files.set(file, Buffer.from(other));
  world.traffic(1, 9);
  world.pass(HOUR_MS);
  await world.tick();
  t.true(world.disk.files.get(file)!.toString('utf8').startsWith(other));
  const { records } = await all(world.meter!);
  t.deepEqual(
    records.map(({ packetsIn }) => packetsIn).filter((count) => count > 0n),
    [9n],
  );
  t.regex(world.damage.join(), /1 line that are no records were left out/);
});

test('records come in pages of whole hours, of a LoadBalancer or of all, within the time asked for', async (t) => {
  const world = await begun();
  for (let n = 1; n <= 30; n++) {
    world.traffic(1, n);
    world.pass(n === 1 ? 30_000 : HOUR_MS);
    await world.tick();
  }
  const { meter } = world;
  const found: MeteringRecord[] = [];
  let pages = 0;
  for (let nextMs: number | null = 0; nextMs !== null; pages++) {
    const page: Awaited<ReturnType<Meter['list']>> = await meter!.list({
      loadBalancer: 'a',
      fromMs: nextMs,
      untilMs: 1e15,
      atLeast: 7,
    });
    found.push(...page.records);
    ({ nextMs } = page);
  }
  t.is(pages, 5);
  t.deepEqual(
    found.map(({ packetsIn }) => Number(packetsIn)),
    Array.from({ length: 30 }, (_, n) => n + 1),
  );
  const some = await meter!.list({
    loadBalancer: null,
    fromMs: hour + 2.5 * HOUR_MS,
    untilMs: hour + 4 * HOUR_MS,
    atLeast: 100,
  });
  t.deepEqual(
    some.records.map(({ loadBalancer, hourMs }) => [loadBalancer, (hourMs - hour) / HOUR_MS]),
    [
      ['a', 2],
      ['b', 2],
      ['a', 3],
      ['b', 3],
    ],
  );
});

test('old files are removed, few at a time: a clock that is wrong for an hour costs no year', async (t) => {
  const world = await begun();
  world.keepDays = 10;
  for (let n = 1; n <= 20; n++) {
    const day = dayOf(startMs - n * 24 * HOUR_MS);
    world.disk.files.set(
      `${folder}/${day}.jsonl`,
      Buffer.from(lineOf({ loadBalancer: 'a', hourMs: Date.parse(day), ...noUsage })),
    );
  }
  world.disk.files.set(`${folder}/notes.txt`, Buffer.from('mine'));
  const days = () => [...world.disk.files.keys()].filter((path) => path.endsWith('.jsonl')).length;
  t.is(days(), 20);
  world.kill();
  await world.start();
  t.is(days(), 18);
  for (let n = 0; n < 6; n++) {
    world.kill();
    await world.start();
  }
  t.is(days(), 10);
  t.true(world.disk.files.has(`${folder}/notes.txt`));
});

test('a line reads as what was written, and nothing else is a line', (t) => {
  const random = new Random(7);
  for (let n = 0; n < 200; n++) {
    const record: MeteringRecord = {
      loadBalancer: `lb-${n}`,
      hourMs: hour + n * HOUR_MS,
      packetsIn: BigInt(random.word()) ** 2n,
      bytesIn: BigInt(random.word()),
      packetsOut: 0n,
      bytesOut: 2n ** 64n,
      newSessions: 1n,
      peakSessions: random.word(),
      meteredMs: random.below(3601) * 1000,
    };
    const line = lineOf(record);
    t.deepEqual(parseLine(line), record);
    for (let at = 0; at < line.length - 2; at += 7) t.is(parseLine(line.slice(0, at)), null);
  }
  for (const text of [
    '',
    '{}',
    '[]',
    'null',
    '{"loadBalancer":"a","hour":"x"}',
    '{"loadBalancer":"a","hour":"2026-01-02T03:00:00Z","seconds":1}',
  ]) {
    t.is(parseLine(text), null, text);
  }
});

test('lines longer than a reading are read whole', async (t) => {
  const disk = new FakeDisk(new Random(3));
  const journal = new Journal(folder, disk.process(null), () => t.fail());
  const records = Array.from({ length: 9000 }, (_, n) => ({ ...noUsage, loadBalancer: `lb-${n}`, hourMs: hour }));
  for (const entry of await journal.place(records, [])) await journal.write(entry);
  t.true(disk.files.get(file)!.length > 1.2 * 2 ** 20);
  const names: string[] = [];
  for await (const some of journal.read('2026-01-02', null))
    names.push(...some.map(({ loadBalancer }) => loadBalancer));
  t.deepEqual(
    names,
    records.map(({ loadBalancer }) => loadBalancer),
  );
});
