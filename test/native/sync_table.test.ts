import test from 'ava';
import fc from 'fast-check';
import { SessionModel } from '../support/model/session_table.js';
import { nativeError } from './fixture.js';
import { packValue } from './sweep-model.js';
import {
  backendWire,
  dictionary,
  makeTable,
  packRecords,
  type Row,
  recordBytes,
  serviceWire,
  type WireRow,
} from './sync-fixture.js';

const YOUNG = 1;
const ESTABLISHED = 2;
const CLOSING = 3;

const row = (changes: Partial<WireRow> = {}): WireRow => ({
  tag: 0x1234_5678_9abc_def0n,
  service: 1,
  backend: 2,
  state: ESTABLISHED,
  age: 0,
  ...changes,
});

/** The rules of README.md, once more. */
function later(a: Row, b: Row): Row {
  const key = (r: Row) => [r.state % 4 === YOUNG ? 0 : 1, r.seen, r.backend, r.state === CLOSING ? 1 : 0];
  const [x, y] = [key(a), key(b)];
  for (const [i, own] of x.entries()) if (own !== y[i]) return own > y[i]! ? a : b;
  return b;
}

const wireRow = fc.record({
  tag: fc.integer({ min: 1, max: 6 }).map((n) => BigInt(n) * 0x1111_0001_1111_0001n),
  service: fc.integer({ min: 1, max: 3 }),
  backend: fc.integer({ min: 1, max: 4 }),
  state: fc.constantFrom(YOUNG, ESTABLISHED, CLOSING),
  age: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 127 })),
  v6: fc.boolean(),
});

test('records end in the same table in whatever order and however often they come', async (t) => {
  const streams = fc.array(wireRow, { minLength: 1, maxLength: 30 }).chain((rows) =>
    fc.tuple(
      fc.constant(rows),
      fc.array(fc.nat({ max: rows.length - 1 }), { maxLength: 20 }).chain((again) => {
        const indices = [...rows.keys(), ...again];
        return fc.shuffledSubarray(indices, { minLength: indices.length, maxLength: indices.length });
      }),
      fc.integer({ min: 1, max: 9 }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(streams, async ([rows, order, chunk]) => {
      const shuffled = order.map((index) => rows[index]!);
      const want = new Map<bigint, Row>();
      for (const { age, v6: _, ...rest } of rows) {
        const seen = { ...rest, seen: 5000 - age };
        const known = want.get(rest.tag);
        want.set(rest.tag, known === undefined ? seen : later(seen, known));
      }
      const expected = [...want.values()]
        .map(({ service: _, ...rest }) => rest)
        .sort((a, b) => (a.tag < b.tag ? -1 : 1));
      const one = makeTable();
      await one.table.import(packRecords(rows), 1);
      const other = makeTable({ shift: 3, buckets: 77 });
      for (let at = 0; at < shuffled.length; at += chunk) {
        await other.table.import(packRecords(shuffled.slice(at, at + chunk)), 1);
      }
      t.deepEqual(
        one.rows().map(({ service: _, ...rest }) => rest),
        expected,
      );
      t.deepEqual(
        other.rows().map(({ service: _, ...rest }) => rest),
        expected,
      );
    }),
    { numRuns: 300 },
  );
});

test('a session is inserted with whom it belongs to, its age and where it came from', async (t) => {
  const { table, rows, words, details } = makeTable({ tick: 5000 });
  const records = packRecords([row({ age: 100, port: 4321 })]);
  t.deepEqual(await table.import(records, 77), { applied: 1, stale: 0, unknown: 0, noRoom: 0 });
  t.deepEqual(rows(), [{ tag: row().tag, service: 1, backend: 2, state: ESTABLISHED, seen: 4900 }]);
  const slot = words.indexOf(row().tag) / 2;
  t.deepEqual(
    [...new Uint8Array(details.buffer, slot * 32, 18)],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7, 4321 >> 8, 4321 & 255],
  );
  t.is(details.getUint16(slot * 32 + 18, true), 1, 'service');
  t.is(details.getUint32(slot * 32 + 24, true), 0x1234_5678, 'tag_check');
  t.is(details.getUint16(slot * 32 + 28, true), 77, 'origin');
  t.is(details.getUint8(slot * 32 + 30), 6, 'protocol');
  t.deepEqual(await table.import(records, 77), { applied: 0, stale: 1, unknown: 0, noRoom: 0 });
});

test('numbers of one node are found as the numbers of another by what they are called', async (t) => {
  const from = makeTable();
  from.put(3, { tag: 99n, service: 4, backend: 7, state: ESTABLISHED, seen: 4990 });
  from.put(9, { tag: 98n, service: 1, backend: 1, state: CLOSING, seen: 4000 });
  const to = makeTable({ shift: 5, tick: 100 });
  const { records, count, cursor } = await from.table.export({ cursor: 0, limit: 100, ranges: 1, wanted: null });
  t.deepEqual([count, cursor], [2, null]);
  await to.table.import(records, 1);
  t.deepEqual(
    to.rows(),
    [
      { tag: 98n, service: 1, backend: 1, state: CLOSING, seen: (100 - 1024) & 0xffffff },
      { tag: 99n, service: 4, backend: 7, state: ESTABLISHED, seen: 90 },
    ],
    'an age of 1000 ticks is told as 1024: never newer than it is',
  );
});

test('a session of a listener or backend that this node does not know is left out and counted', async (t) => {
  const { table, rows } = makeTable();
  const records = packRecords([
    row({ service: 50 }),
    row({ backend: 50 }),
    row({ state: 9 }),
    row({ tag: 0n }),
    row({ state: 0 }),
  ]);
  t.deepEqual(await table.import(records, 1), { applied: 0, stale: 0, unknown: 5, noRoom: 0 });
  t.deepEqual(rows(), []);
});

test('a session that is over by the time it comes is left out', async (t) => {
  const { table, rows } = makeTable({ timeout: 50 });
  t.deepEqual(await table.import(packRecords([row({ age: 51 })]), 1), { applied: 0, stale: 1, unknown: 0, noRoom: 0 });
  t.is((await table.import(packRecords([row({ age: 50 })]), 1)).applied, 1);
  t.is(rows().length, 1);
});

test('what has been confirmed stays against what was seen once, however much later', async (t) => {
  const { table, rows } = makeTable();
  await table.import(packRecords([row({ age: 120 }), row({ age: 0, state: YOUNG, backend: 4 })]), 1);
  t.deepEqual(
    rows().map(({ backend, state }) => [backend, state]),
    [[2, ESTABLISHED]],
  );
});

test('an expired session gives way to any other of its tag', async (t) => {
  const { table, rows, setTick } = makeTable({ timeout: 100 });
  await table.import(packRecords([row()]), 1);
  setTick(5101);
  await table.import(packRecords([row({ state: YOUNG, backend: 1 })]), 1);
  t.deepEqual(
    rows().map(({ backend, state }) => [backend, state]),
    [[1, YOUNG]],
  );
});

test('a full table takes the place of young sessions before idle ones, and never of busy established ones', async (t) => {
  const { table, put, rows } = makeTable({ buckets: 2 });
  for (let slot = 0; slot < 8; slot++)
    put(slot, { tag: BigInt(slot + 1) << 20n, service: 1, backend: 1, state: ESTABLISHED, seen: 4999 });
  t.deepEqual(await table.import(packRecords([row()]), 1), { applied: 0, stale: 0, unknown: 0, noRoom: 1 });
  put(6, { tag: 7n << 20n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 - 2001 });
  put(2, { tag: 3n << 20n, service: 1, backend: 1, state: YOUNG, seen: 5000 });
  t.is((await table.import(packRecords([row({ tag: 77n })]), 1)).applied, 1);
  t.false(rows().some(({ tag }) => tag === 3n << 20n));
  t.is((await table.import(packRecords([row({ tag: 78n })]), 1)).applied, 1);
  t.false(rows().some(({ tag }) => tag === 7n << 20n));
  t.is((await table.import(packRecords([row({ tag: 79n })]), 1)).noRoom, 1);
  t.is(rows().length, 8);
});

test('a table is filled to 80 % with no session lost', async (t) => {
  const { table, rows } = makeTable({ buckets: 4096 });
  const count = Math.floor(4096 * 4 * 0.8);
  const mix = (n: number): bigint => (BigInt(n + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn;
  const records = packRecords(Array.from({ length: count }, (_, n) => row({ tag: mix(n), v6: n % 3 === 0 })));
  t.deepEqual(await table.import(records, 1), { applied: count, stale: 0, unknown: 0, noRoom: 0 });
  t.is(rows().length, count);
});

test('tables are equal by digest when the established sessions are, whatever their place, age and numbers', async (t) => {
  const rows = Array.from({ length: 300 }, (_, n) =>
    row({ tag: (BigInt(n + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn, backend: (n % 8) + 1 }),
  );
  const one = makeTable({ buckets: 128 });
  const other = makeTable({ buckets: 333, shift: 2 });
  await one.table.import(packRecords(rows), 1);
  await other.table.import(packRecords(rows.toReversed().map((each) => ({ ...each, age: 99 }))), 1);
  const [a, b] = [await one.table.digest(64), await other.table.digest(64)];
  t.deepEqual(a, b);
  t.is(
    a.counts.reduce((sum, count) => sum + count, 0),
    300,
  );
  const whole = await one.table.digest(1);
  t.is(
    whole.sums[0],
    a.sums.reduce((sum, each) => BigInt.asUintN(64, sum + each), 0n),
  );

  const changed = rows[17]!;
  await other.table.import(
    packRecords([{ ...changed, backend: 9 }, row({ tag: 4n, state: YOUNG }), row({ tag: 5n, state: CLOSING })]),
    1,
  );
  const after = await other.table.digest(64);
  const differing = [...a.sums.keys()].filter((range) => a.sums[range] !== after.sums[range]);
  t.deepEqual(differing, [Number(changed.tag >> 58n)]);
});

test('the digest of one session is what README.md says', async (t) => {
  const { table } = makeTable();
  await table.import(packRecords([row()]), 1);
  const mask = 0xffff_ffff_ffff_ffffn;
  let h = row().tag ^ ((((BigInt(serviceWire(1)) << 32n) | BigInt(backendWire(2))) * 0x9e37_79b9_7f4a_7c15n) & mask);
  for (let round = 0; round < 2; round++) h = ((h ^ (h >> 32n)) * 0xd6e8_feb8_6659_fd93n) & mask;
  t.deepEqual(await table.digest(1), { counts: Uint32Array.of(1), sums: BigUint64Array.of(h ^ (h >> 32n)) });
});

test('a table goes over in pieces, in ranges or whole', async (t) => {
  const rows = Array.from({ length: 500 }, (_, n) =>
    row({ tag: (BigInt(n + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn, v6: n % 2 === 0 }),
  );
  const from = makeTable({ buckets: 200 });
  await from.table.import(packRecords(rows), 1);
  const to = makeTable({ buckets: 200 });
  let cursor: number | null = 0;
  let pieces = 0;
  while (cursor !== null) {
    const piece: Awaited<ReturnType<typeof from.table.export>> = await from.table.export({
      cursor,
      limit: 64,
      ranges: 1,
      wanted: null,
    });
    t.true(piece.count <= 64);
    await to.table.import(piece.records, 1);
    cursor = piece.cursor;
    pieces++;
  }
  t.true(pieces >= 8);
  t.deepEqual(to.rows(), from.rows());

  const part = makeTable({ buckets: 200 });
  const wanted = Uint8Array.of(0b0000_0101, 0);
  await part.table.import((await from.table.export({ cursor: 0, limit: 1000, ranges: 16, wanted })).records, 1);
  t.deepEqual(
    part.rows(),
    from.rows().filter(({ tag }) => tag >> 60n === 0n || tag >> 60n === 2n),
  );
  t.true(part.rows().length > 20);
});

test('ages of up to two hours are told to six percent, never newer than they are', async (t) => {
  const { table, put } = makeTable({ timeout: 65535, tick: 0x800000 });
  for (const age of [0, 1, 127, 128, 129, 1000, 4192, 4193, 20000, 31744]) {
    put(0, { tag: 42n, service: 1, backend: 1, state: ESTABLISHED, seen: 0x800000 - age });
    const { records, count } = await table.export({ cursor: 0, limit: 10, ranges: 1, wanted: null });
    t.is(count, 1);
    const to = makeTable({ timeout: 65535, tick: 0x800000 });
    await to.table.import(records, 1);
    const told = 0x800000 - to.rows()[0]!.seen;
    t.true(told >= age && told <= age * 1.0625, `${age} was told as ${told}`);
    if (age < 128) t.is(told, age);
  }
  put(0, { tag: 42n, service: 1, backend: 1, state: ESTABLISHED, seen: 0x800000 - 31745 });
  t.is((await table.export({ cursor: 0, limit: 10, ranges: 1, wanted: null })).count, 0);
  t.is((await table.digest(1)).counts[0], 0, 'what cannot be told is not compared');
});

test('of names that two numbers share the first is found, and they are counted', async (t) => {
  const { table, rows } = makeTable();
  const names = dictionary();
  names.backendWire[5] = names.backendWire[2]!;
  names.serviceWire[3] = names.serviceWire[1]!;
  t.is(table.setDictionary(names), 2);
  await table.import(packRecords([row()]), 1);
  t.deepEqual(
    rows().map(({ service, backend }) => [service, backend]),
    [[1, 2]],
  );
  names.backendPool[5] = 2;
  t.is(table.setDictionary(names), 1, 'a backend of another pool may have the same name');
});

test('what is no table, no dictionary and no records is refused, and nothing is merged', (t) => {
  const { table, rows } = makeTable();
  const good = packRecords([row()]);
  const refused = (call: () => unknown): string => nativeError(t, call).code;
  t.is(
    refused(() => table.import(good.subarray(0, good.length - 1), 1)),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.import(new Uint8Array(7), 1)),
    'ERR_ARG',
  );
  const huge = Uint8Array.from(good);
  new DataView(huge.buffer).setUint32(0, 0xffff_ffff, true);
  t.is(
    refused(() => table.import(huge, 1)),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.digest(3)),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.digest(0)),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.digest(2 ** 17)),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.export({ cursor: 257, limit: 1, ranges: 1, wanted: null })),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.export({ cursor: 0, limit: 1, ranges: 16, wanted: new Uint8Array(1) })),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.setDictionary({ ...dictionary(), servicePool: new Uint16Array(1) })),
    'ERR_ARG',
  );
  t.is(
    refused(() => table.setClock({ tick: 2 ** 24, monotonicNs: 0n, tickNs: 1 })),
    'ERR_ARG',
  );
  t.deepEqual(rows(), []);
  t.is(recordBytes(row()).length, 24);
});

test('a session goes where the data path would put it, and takes the place of whom it would', async (t) => {
  const sessions = fc.array(
    fc.record({
      tag: fc.bigInt(1n, 2n ** 64n - 1n),
      service: fc.integer({ min: 1, max: 3 }),
      backend: fc.integer({ min: 1, max: 8 }),
      state: fc.constantFrom(YOUNG, ESTABLISHED, ESTABLISHED, ESTABLISHED, CLOSING, 4, 5),
      age: fc.integer({ min: 0, max: 100 }),
      later: fc.oneof(
        { weight: 9, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 60 }) },
      ),
    }),
    { minLength: 1, maxLength: 80 },
  );
  await fc.assert(
    fc.asyncProperty(sessions, fc.integer({ min: 2, max: 9 }), async (all, buckets) => {
      let tick = 5000;
      const { table, words, setTick } = makeTable({ buckets, timeout: 100, tick });
      const model = new SessionModel(buckets, () => 100);
      for (const { later: passed, age, ...session } of all) {
        if (model.find(session.tag)) continue;
        tick += passed;
        setTick(tick);
        const detail = { client: '', clientPort: 0, protocol: 6, service: session.service, created: 0 };
        const fits = model.insert({ ...session, seen: tick - age, detail }, tick);
        const { applied, noRoom } = await table.import(packRecords([{ ...session, age }]), 1);
        t.deepEqual([applied, noRoom], fits ? [1, 0] : [0, 1]);
      }
      const want = model.buckets.flat().flatMap((entry) => (entry ? [entry.tag, packValue(entry)] : [0n, 0n]));
      t.deepEqual([...words], want);
    }),
    { numRuns: 300 },
  );
});
