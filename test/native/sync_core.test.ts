import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { type SyncCore, syncMac } from '../../src/dataplane/addon.js';
import { nativeError } from './fixture.js';
import {
  control,
  data,
  datagram,
  FROM,
  KEY,
  MAC,
  makeCore,
  makeTable,
  ms,
  nack,
  recordBytes,
  TestLog,
  type TestTable,
  type WireRow,
} from './sync-fixture.js';

const ESTABLISHED = 2;
const YOUNG = 1;
const CLOSING = 3;

const row = (tag: bigint, changes: Partial<WireRow> = {}): WireRow => ({
  tag,
  service: 1,
  backend: 2,
  state: ESTABLISHED,
  age: 0,
  ...changes,
});
const sentBy = (core: SyncCore, now: bigint) => core.poll(now);
const kindOf = (bytes: Uint8Array): number => bytes[5]!;
const sequenceOf = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(24, true);

interface Node {
  readonly core: SyncCore;
  readonly log: TestLog;
  readonly store: TestTable;
}

function node(id: number, options: { shift?: number; rate?: number; buckets?: number } = {}): Node {
  const store = makeTable({ ...options });
  const log = new TestLog();
  const core = makeCore({ table: store.table, log: log.buffer, node: id, recordsPerSecond: options.rate ?? 1_000_000 });
  return { core, log, store };
}

/** A receiver that has admitted node 2, boot 1. */
function receiver(): { core: SyncCore; store: TestTable; receive: (bytes: Uint8Array, now?: bigint) => void } {
  const store = makeTable();
  const core = makeCore({ table: store.table });
  core.admit(2, 1n);
  return { core, store, receive: (bytes, now = 0n) => core.receive(bytes, FROM, now) };
}

const only = (counts: Readonly<Record<string, bigint>>): Record<string, bigint> =>
  Object.fromEntries(Object.entries(counts).filter(([name, count]) => count !== 0n && !name.startsWith('bytes')));

test('the MAC is BLAKE2b as another implementation has it', (t) => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
  const text = Uint8Array.from({ length: 1384 }, (_, i) => i * 7);
  const script =
    'import sys,hashlib; d=sys.stdin.buffer.read(); print(hashlib.blake2b(d[32:],key=d[:32],digest_size=16).hexdigest())';
  const hex = execFileSync('python3', ['-c', script], { input: Buffer.concat([key, text]) });
  t.is(Buffer.from(syncMac(key, text)).toString('hex'), hex.toString().trim());
});

test('an established session goes out as these bytes', (t) => {
  const { core, log, store } = node(0x0a0b0c0d);
  store.put(5, { tag: 0x1122_3344_5566_7788n, service: 1, backend: 2, state: ESTABLISHED, seen: 4990 });
  core.poll(0n);
  log.write(5);
  const [sent] = sentBy(core, ms(1));
  const hex = Buffer.from(sent!.datagram.subarray(0, -MAC)).toString('hex');
  t.is(
    hex,
    [
      '53575331',
      '01',
      '01',
      '18',
      '24',
      '0d0c0b0a',
      '07000000',
      '0100000000000000',
      '0200000000000000',
      '0100',
      '0000',
      '18000000',
      '8877665544332211',
      '01000050',
      '020000b0',
      'c0000205',
      '9c40',
      '02',
      '0a',
    ].join(''),
  );
  t.deepEqual(sent!.datagram.subarray(-MAC), syncMac(KEY.key, sent!.datagram.subarray(0, -MAC)));
  t.is(sent!.to, null);
  t.is(log.tail, 1n);
});

test('a session comes from one node to another, which has other numbers for the same things', (t) => {
  const one = node(1);
  const two = node(2, { shift: 4 });
  two.core.admit(1, 1n);
  one.store.put(5, { tag: 77n, service: 3, backend: 8, state: ESTABLISHED, seen: 4990 });
  one.log.write(5);
  for (const { datagram: bytes } of sentBy(one.core, 0n)) two.core.receive(bytes, FROM, 0n);
  t.deepEqual(two.store.rows(), one.store.rows());
  t.deepEqual(two.core.peers(), [
    { node: 1, boot: 1n, datagrams: 1n, records: 1n, missed: 0n, repaired: 0n, givenUp: 0n },
  ]);
});

test('a session that is established within five milliseconds is told once, as that', (t) => {
  const { core, log, store } = node(1);
  core.poll(0n);
  store.put(5, { tag: 77n, service: 3, backend: 8, state: YOUNG, seen: 5000 });
  store.put(6, { tag: 78n, service: 3, backend: 8, state: YOUNG, seen: 5000 });
  log.write(5);
  log.write(6);
  t.deepEqual(sentBy(core, ms(1)), []);
  store.put(5, { tag: 77n, service: 3, backend: 8, state: ESTABLISHED, seen: 5000 });
  log.write(5);
  const first = sentBy(core, ms(2));
  t.deepEqual(
    first.map(({ datagram: bytes }) => bytes.at(-MAC - 2)),
    [ESTABLISHED],
  );
  const second = sentBy(core, ms(6));
  t.deepEqual(
    second.map(({ datagram: bytes }) => bytes.at(-MAC - 2)),
    [YOUNG],
    'the other one is young still',
  );
  t.is(core.counters()['recordsSent'], 2n);
});

test('a datagram holds 56 sessions of IPv4', (t) => {
  const { core, log, store } = node(1);
  core.poll(0n);
  for (let slot = 0; slot < 100; slot++) {
    store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
    log.write(slot);
  }
  const sizes = sentBy(core, ms(1)).map(({ datagram: bytes }) => bytes.length);
  t.deepEqual(sizes, [1400, 56 + 44 * 24]);
});

test('what is not signed with a key in use changes nothing', (t) => {
  const { core, store, receive } = receiver();
  const other = { id: KEY.id, key: new Uint8Array(32) };
  const bytes = data({ node: 2, sequence: 1n }, [row(5n)]);
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 1n, count4: 1 }, recordBytes(row(5n)), other));
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 1n, count4: 1, key: 99 }, recordBytes(row(5n))));
  for (let bit = 0; bit < bytes.length * 8; bit += 7) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    receive(flipped);
  }
  for (let length = 0; length < bytes.length; length++) receive(bytes.subarray(0, length));
  t.deepEqual(store.rows(), []);
  t.is(core.peers()[0]!.datagrams, 0n);
  const { droppedMalformed, droppedUnauthenticated, droppedVersion, datagramsReceived } = core.counters();
  t.is(droppedMalformed! + droppedUnauthenticated! + droppedVersion!, datagramsReceived!);
  t.true(droppedMalformed! > 0n && droppedUnauthenticated! > 0n && droppedVersion! > 0n);
  receive(bytes);
  t.is(store.rows().length, 1);
});

test('a datagram counts once, and none from before its sender was admitted counts at all', (t) => {
  const { core, store, receive } = receiver();
  const first = data({ node: 2, sequence: 5n }, [row(5n)]);
  receive(first);
  receive(first);
  t.is(core.counters()['droppedReplayed'], 1n);
  receive(data({ node: 2, sequence: 4n }, [row(4n)]));
  t.is(store.rows().length, 2, 'overtaken by the first that was seen');
  core.receive(data({ node: 3, sequence: 1n }, [row(6n)]), FROM, 0n);
  t.is(core.counters()['droppedUnadmitted'], 1n);
  receive(control({ node: 3, sequence: 9n, last: 70n }, Uint8Array.of(1)));
  core.admit(3, 1n);
  receive(data({ node: 3, sequence: 70n }, [row(6n)]));
  t.is(core.counters()['droppedReplayed'], 2n, 'it was sent before the answer that let its sender in');
  receive(data({ node: 3, sequence: 71n }, [row(6n)]));
  t.is(store.rows().length, 3);
  receive(control({ node: 3, sequence: 9n, last: 70n }, Uint8Array.of(1)));
  t.is(core.counters()['droppedReplayed'], 3n);
});

test('once a new boot of a node is admitted the old one is not heard any more', (t) => {
  const { core, store, receive } = receiver();
  receive(data({ node: 2, sequence: 1n }, [row(1n)]));
  receive(data({ node: 2, boot: 2n, sequence: 1n }, [row(2n)]));
  t.is(core.counters()['droppedUnadmitted'], 1n);
  core.admit(2, 2n);
  receive(data({ node: 2, sequence: 2n }, [row(3n)]));
  t.is(core.counters()['droppedReplayed'], 1n);
  receive(data({ node: 2, boot: 2n, sequence: 1n }, [row(2n)]));
  t.deepEqual(
    store.rows().map(({ tag }) => tag),
    [1n, 2n],
  );
  core.admit(2, 1n);
  t.is(core.peers()[0]!.boot, 2n, 'no way back');
});

test('the first number that is seen is no gap; the next ones that are missing are asked for, and given up in the end', (t) => {
  const { core, receive } = receiver();
  receive(data({ node: 2, sequence: 1000n }), 0n);
  t.is(core.counters()['missed'], 0n);
  receive(data({ node: 2, sequence: 1004n }), ms(1));
  t.is(core.counters()['missed'], 3n);
  const asks = (now: bigint) => sentBy(core, now).filter(({ datagram: bytes }) => kindOf(bytes) === 3);
  t.deepEqual(asks(ms(2)), [], 'it may have been overtaken');
  const [ask] = asks(ms(3));
  t.deepEqual(ask!.to, FROM);
  const view = new DataView(ask!.datagram.buffer, 40);
  t.deepEqual(
    [view.getUint32(0, true), view.getBigUint64(8, true), view.getBigUint64(16, true), view.getUint32(24, true)],
    [2, 1n, 1001n, 3],
  );
  receive(data({ node: 2, sequence: 1002n }, [row(1n)]), ms(4));
  t.is(core.counters()['repaired'], 1n);
  let asked = 1;
  for (let now = 4; now < 5000; now++) asked += asks(ms(now)).length > 0 ? 1 : 0;
  t.is(asked, 24);
  t.deepEqual(core.events().lost, [{ node: 2, boot: 1n, datagrams: 2 }]);
  t.is(core.counters()['givenUp'], 2n);
  receive(data({ node: 2, sequence: 1001n }, [row(2n)]), ms(5001));
  t.is(core.counters()['droppedReplayed'], 1n, 'what was held back for long is not news');
});

test('what a node sent between its answer and its admission is asked for', (t) => {
  const { core, store, receive } = receiver();
  receive(control({ node: 3, sequence: 9n, last: 70n }, Uint8Array.of(1)));
  receive(data({ node: 3, sequence: 71n }, [row(6n)]));
  t.is(core.counters()['droppedUnadmitted'], 1n);
  core.admit(3, 1n);
  receive(data({ node: 3, sequence: 72n }), ms(1));
  t.is(core.counters()['missed'], 1n);
  receive(data({ node: 3, sequence: 71n }, [row(6n)]), ms(2));
  t.is(core.counters()['repaired'], 1n);
  t.is(store.rows().length, 1);
});

test('a loss at the end of a burst is seen by the empty datagram that follows', (t) => {
  const { core, log, store } = node(2);
  const there = receiver();
  for (const { datagram: bytes } of sentBy(core, 0n)) there.receive(bytes, 0n);
  store.put(1, { tag: 1n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
  log.write(1);
  t.is(sentBy(core, ms(1)).length, 1, 'lost');
  t.deepEqual(sentBy(core, ms(5)), []);
  const follow = sentBy(core, ms(6));
  t.deepEqual(
    follow.map(({ datagram: bytes }) => [kindOf(bytes), bytes.length]),
    [[1, 56]],
  );
  there.receive(follow[0]!.datagram, ms(6));
  t.is(there.core.counters()['missed'], 1n);
  const times: number[] = [];
  for (let now = 7; now < 4000; now++) if (sentBy(core, ms(now)).length > 0) times.push(now);
  t.deepEqual(times, [26, 126, 1126, 2126, 3126]);
});

test('a beacon tells of a loss, too', (t) => {
  const { core, receive } = receiver();
  receive(data({ node: 2, sequence: 1n }));
  receive(control({ node: 2, sequence: 1n, last: 3n }, Uint8Array.of(1)));
  t.is(core.counters()['missed'], 2n);
  receive(data({ node: 2, sequence: 2n }));
  receive(data({ node: 2, sequence: 3n }));
  t.is(core.counters()['repaired'], 2n);
});

test('who asks gets the very same datagram, at the address it asked from', (t) => {
  const { core, log, store } = node(1);
  core.admit(2, 1n);
  core.poll(0n);
  store.put(1, { tag: 1n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
  log.write(1);
  const [sent] = sentBy(core, ms(1));
  const ask = nack({ node: 2, sequence: 1n }, { node: 1, boot: 1n, ranges: [[sequenceOf(sent!.datagram), 2]] });
  core.receive(ask, { address: '2001:db8::2', port: 9 }, ms(2));
  core.receive(ask, { address: '192.0.2.66', port: 9 }, ms(2));
  t.is(core.counters()['droppedReplayed'], 1n, 'a recorded one makes nobody send anything anywhere');
  const again = sentBy(core, ms(3));
  t.deepEqual(again, [{ to: { address: '2001:db8::2', port: 9 }, datagram: sent!.datagram }]);
  core.receive(nack({ node: 3, sequence: 1n }, { node: 1, boot: 1n, ranges: [[2n, 1]] }), FROM, ms(3));
  t.is(core.counters()['droppedUnadmitted'], 1n);
});

test('what comes late is as old as it is, not as old as it was when it was sent', (t) => {
  const store = makeTable();
  store.table.setClock({ tick: 5000, monotonicNs: 0n, tickNs: 250_000_000 });
  const core = makeCore({ table: store.table });
  core.admit(2, 1n);
  core.receive(data({ node: 2, sequence: 1n }), FROM, 0n);
  core.receive(data({ node: 2, sequence: 3n }, [row(9n, { backend: 5 })]), FROM, ms(250));
  core.receive(data({ node: 2, sequence: 2n }, [row(9n, { backend: 1 }), row(10n)]), FROM, ms(1250));
  t.deepEqual(
    store.rows().map(({ backend, seen }) => [backend, seen]),
    [
      [5, 5001],
      [2, 5001],
    ],
  );
});

test('records that are longer than we know are read as far as we know them; a later version is left alone', (t) => {
  const { core, store, receive } = receiver();
  const long = new Uint8Array(2 * 28 + 40);
  long.set(recordBytes(row(1n)), 0);
  long.set(recordBytes(row(2n)), 28);
  long.set(recordBytes(row(3n, { v6: true })), 56);
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 1n, bytes4: 28, bytes6: 40, count4: 2, count6: 1 }, long));
  t.deepEqual(
    store.rows().map(({ tag }) => tag),
    [1n, 2n, 3n],
  );
  receive(datagram({ kind: 1, version: 2, node: 2, boot: 1n, sequence: 2n }, new Uint8Array(0)));
  receive(datagram({ kind: 9, node: 2, boot: 1n, sequence: 2n }, new Uint8Array(0)));
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 2n, bytes4: 23, count4: 1 }, new Uint8Array(24)));
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 3n, count4: 2 }, new Uint8Array(24)));
  receive(datagram({ kind: 1, node: 2, boot: 1n, sequence: 4n, bodyBytes: 1 }, new Uint8Array(0)));
  receive(datagram({ kind: 2, node: 2, boot: 1n, sequence: 4n }, new Uint8Array(7)));
  receive(datagram({ kind: 3, node: 2, boot: 1n, sequence: 5n }, new Uint8Array(17)));
  t.deepEqual(only(core.counters()), {
    datagramsReceived: 8n,
    recordsReceived: 3n,
    recordsApplied: 3n,
    droppedVersion: 1n,
    droppedMalformed: 6n,
  });
});

test('messages arrive with who sent them, and whether it was admitted; strangers cannot fill the queue', (t) => {
  const { core, receive } = receiver();
  receive(control({ node: 2, sequence: 4n }, Uint8Array.of(1, 2, 3)));
  receive(control({ node: 8, boot: 5n, sequence: 4n }, Uint8Array.of(4)));
  t.deepEqual(core.events(), {
    control: [
      { node: 2, boot: 1n, admitted: true, from: FROM, body: Uint8Array.of(1, 2, 3) },
      { node: 8, boot: 5n, admitted: false, from: FROM, body: Uint8Array.of(4) },
    ],
    lost: [],
    unannounced: 0,
  });
  for (let boot = 1n; boot <= 1000n; boot++) receive(control({ node: 9, boot, sequence: 1n }, new Uint8Array(100)));
  t.is(core.events().control.length, 64);
  t.is(core.counters()['droppedUnadmitted'], 936n);
});

test('a message goes to everyone or to one, and must fit', (t) => {
  const { core } = node(3);
  core.poll(0n);
  core.control(Uint8Array.of(1), null);
  core.control(Uint8Array.of(2), FROM);
  const sent = sentBy(core, ms(1));
  t.deepEqual(
    sent.map(({ to, datagram: bytes }) => [to, bytes[48]]),
    [
      [null, 1],
      [FROM, 2],
    ],
  );
  const other = receiver();
  for (const { datagram: bytes } of sent) other.core.receive(bytes, FROM, 0n);
  t.deepEqual(
    other.core.events().control.map(({ body }) => body[0]),
    [1, 2],
  );
  core.control(new Uint8Array(1400 - 64), null);
  t.is(sentBy(core, ms(2))[0]!.datagram.length, 1400);
  t.is(nativeError(t, () => core.control(new Uint8Array(1400 - 63), null)).code, 'ERR_ARG');
  for (let n = 0; n < 256; n++) core.control(Uint8Array.of(1), null);
  t.is(nativeError(t, () => core.control(Uint8Array.of(1), null)).code, 'ENOBUFS');
});

test('while keys change both are heard, and the first signs', (t) => {
  const fresh = { id: 8, key: new Uint8Array(32).fill(9) };
  const there = receiver();
  const { core } = node(2);
  there.receive(sentBy(core, 0n)[0]!.datagram);
  there.core.setKeys([KEY, fresh]);
  core.setKeys([fresh, KEY]);
  there.receive(sentBy(core, ms(1000))[0]!.datagram);
  t.is(there.core.peers()[0]!.datagrams, 2n);
  there.core.setKeys([KEY]);
  there.receive(sentBy(core, ms(2000))[0]!.datagram);
  t.is(there.core.counters()['droppedUnauthenticated'], 1n);
});

test('a log that was overwritten before it was read says how much is lost, and goes on', (t) => {
  const { core, log, store } = node(1, { buckets: 4128 });
  for (let slot = 0; slot < 16384 + 100; slot++) {
    store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
    log.write(slot);
  }
  for (let now = 0; now < 10; now++) core.poll(ms(now));
  t.is(core.counters()['logOverruns'], 100n);
  t.is(core.counters()['recordsSent'], 16384n);
  t.is(core.events().unannounced, 100);
  t.is(core.events().unannounced, 0);
  t.is(log.tail, log.head);
});

test('where the log is read late, a session is told once as it is, and again with what changes', (t) => {
  const { core, log, store } = node(1);
  const session = { tag: 1n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 };
  const told = (now: number): bigint => {
    core.poll(ms(now));
    return core.counters()['recordsSent']!;
  };
  store.put(1, session);
  for (let n = 0; n < 3; n++) log.write(1);
  t.is(told(0), 1n);
  log.write(1);
  t.is(told(1), 1n);
  const changes = [{ seen: 4999 }, { backend: 2 }, { state: 3 }, { tag: 2n }];
  for (const [i, change] of changes.entries()) {
    store.put(1, { ...session, ...change });
    for (let n = 0; n < 2; n++) log.write(1);
    t.is(told(2 + i), BigInt(2 + i), JSON.stringify(Object.keys(change)));
  }
});

test('an entry that is counted and not yet written is waited for, but not for ever', (t) => {
  const { core, log, store } = node(1);
  store.put(1, { tag: 1n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
  log.announce();
  log.write(1);
  core.poll(0n);
  core.poll(ms(49));
  t.is(core.counters()['recordsSent'], 0n);
  core.poll(ms(50));
  t.is(core.counters()['recordsSent'], 1n);
  t.is(core.counters()['logOverruns'], 1n);
});

test('a restarted agent goes on where the last one stopped', (t) => {
  const { core, log, store } = node(1);
  store.put(1, { tag: 1n, service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
  log.write(1);
  core.poll(0n);
  log.write(1);
  const next = makeCore({ table: store.table, log: log.buffer, boot: 2n });
  next.poll(0n);
  t.is(next.counters()['recordsSent'], 1n);
});

test('over the rate sessions wait in the log, and when that is half full the rest is left out and counted', (t) => {
  const { core, log, store } = node(1, { rate: 1000, buckets: 3000 });
  for (let slot = 0; slot < 12000; slot++) {
    store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
    log.write(slot);
  }
  core.poll(0n);
  t.is(core.counters()['recordsSent'], 100n, 'a tenth of a second at once');
  t.is(core.counters()['rateLimited'], 12000n - 100n - 8192n);
  t.is(core.events().unannounced, 12000 - 100 - 8192);
  for (let now = 1; now <= 1000; now++) core.poll(ms(now));
  t.is(core.counters()['recordsSent'], 1100n);
});

test('young sessions take a quarter of the rate', (t) => {
  const { core, log, store } = node(1, { rate: 4000, buckets: 1024 });
  for (let slot = 0; slot < 4096; slot++) {
    store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: YOUNG, seen: 5000 });
    log.write(slot);
  }
  for (let now = 0; now <= 6; now++) core.poll(ms(now));
  t.is(core.counters()['recordsSent'], 100n);
  t.is(core.counters()['rateLimited'], 4096n - 100n);
});

test('a session that peers have not heard of for a quarter of its timeout is told again, by the node that saw it', (t) => {
  const one = node(1, { buckets: 8 });
  const two = node(2, { buckets: 8 });
  two.core.admit(1, 1n);
  let now = 0;
  let tick = 5000;
  const run = (): bigint => {
    const before = one.core.counters()['recordsSent']!;
    for (let n = 0; n < 20; n++) {
      now += 1000;
      for (const { datagram: bytes } of sentBy(one.core, ms(now))) two.core.receive(bytes, FROM, ms(now));
      sentBy(two.core, ms(now));
    }
    return one.core.counters()['recordsSent']! - before;
  };
  one.store.put(1, { tag: 77n, service: 1, backend: 1, state: ESTABLISHED, seen: tick });
  one.log.write(1);
  t.is(run(), 1n);
  const seen = (later: number): void => {
    tick += later;
    one.store.setTick(tick);
    two.store.setTick(tick);
    one.store.put(1, { tag: 77n, service: 1, backend: 1, state: ESTABLISHED, seen: tick });
  };
  seen(1000);
  t.is(run(), 0n, 'a quarter of 4000 ticks');
  seen(1);
  t.is(run(), 1n);
  t.is(run(), 0n);
  t.is(two.store.rows()[0]!.seen, tick);
  t.is(two.core.counters()['recordsSent'], 0n);
});

for (const silent of [false, true]) {
  test(`a connection from a port that was closed within the same tick is known to others within a second${silent ? ', though it says nothing' : ''}`, (t) => {
    const [one, two] = [node(1), node(2)];
    two.core.admit(1, 1n);
    const session = { tag: 77n, service: 1, backend: 1 };
    const run = (now: number): void => {
      for (const { datagram: bytes } of sentBy(one.core, ms(now))) two.core.receive(bytes, FROM, ms(now));
    };
    const states = [ESTABLISHED, CLOSING, YOUNG, ESTABLISHED];
    states.forEach((state, at) => {
      one.store.put(1, { ...session, state, seen: 5000 });
      if (state !== YOUNG) one.log.write(1);
      run(at + 1);
    });
    t.is(two.store.rows()[0]!.state, CLOSING, 'of one tick, what is closing stays');
    for (const { store } of [one, two]) store.setTick(5003);
    if (!silent) one.store.put(1, { ...session, state: ESTABLISHED, seen: 5003 });
    run(10);
    t.like(two.store.rows()[0], { state: ESTABLISHED, seen: 5003 });
    t.is(two.store.rows().length, 1);
    const before = one.core.counters()['recordsSent'];
    run(20);
    t.is(one.core.counters()['recordsSent'], before, 'once');
  });
}

interface Wire {
  readonly loss: number;
  readonly duplicates: number;
  readonly delayMs: number;
}

/** Nodes that announce as they like over a wire that loses, repeats and overtakes; then quiet until nothing moves. */
function simulate(seed: number, count: number, wire: Wire): { nodes: Node[]; lost: number; sent: number } {
  let state = seed >>> 0 || 1;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const nodes = Array.from({ length: count }, (_, i) => node(i + 1, { shift: i, buckets: 256 }));
  for (const [i, { core }] of nodes.entries())
    for (let other = 1; other <= count; other++) if (other !== i + 1) core.admit(other, 1n);
  const onTheWay: { at: number; to: number; from: number; bytes: Uint8Array }[] = [];
  const addressOf = (i: number) => ({ address: `192.0.2.${i + 1}`, port: 6000 });
  let lost = 0;
  let sent = 0;
  let tick = 5000;
  for (let now = 0; now < 6000; now++) {
    if (now % 250 === 0) {
      tick++;
      for (const { store } of nodes) store.setTick(tick);
    }
    for (const [i, { core, log, store }] of nodes.entries()) {
      /* Until they have heard of each other there is no loss: what was said before is fetched. */
      if (now > 50 && now < 1500 && random(3) === 0) {
        const slot = random(200);
        const tag = (BigInt(i * 1000 + slot + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn;
        const bucket = store.bucketsOf(tag)[0]! * 8;
        const places = [0, 2, 4, 6].map((at) => bucket + at);
        const free = places.find((at) => store.words[at] === 0n)! / 2;
        if (free >= 0 && !store.rows().some((known) => known.tag === tag)) {
          store.put(free, { tag, service: 1 + random(3), backend: 1 + random(8), state: ESTABLISHED, seen: tick });
          log.write(free);
        }
      }
      for (const { to, datagram: bytes } of sentBy(core, ms(now))) {
        for (let other = 0; other < count; other++) {
          if (other === i || (to !== null && to.address !== addressOf(other).address)) continue;
          sent++;
          /* At the end there is no loss: nobody is still asking when it is counted. */
          if (now > 50 && now < 5000 && random(100) < wire.loss) {
            lost++;
            continue;
          }
          for (let copy = random(100) < wire.duplicates ? 2 : 1; copy > 0; copy--) {
            onTheWay.push({ at: now + random(wire.delayMs + 1), to: other, from: i, bytes });
          }
        }
      }
    }
    for (let n = onTheWay.length - 1; n >= 0; n--) {
      const { at, to, from, bytes } = onTheWay[n]!;
      if (at > now) continue;
      onTheWay[n] = onTheWay.at(-1)!;
      onTheWay.pop();
      nodes[to]!.core.receive(bytes, addressOf(from), ms(now));
    }
  }
  return { nodes, lost, sent };
}

for (const [count, wire] of [
  [2, { loss: 0, duplicates: 0, delayMs: 0 }],
  [3, { loss: 10, duplicates: 10, delayMs: 8 }],
  [3, { loss: 50, duplicates: 5, delayMs: 3 }],
] as const) {
  test(`${count} nodes over a wire that loses ${wire.loss} %, repeats ${wire.duplicates} % and overtakes end with the same table`, async (t) => {
    for (let seed = 1; seed <= 3; seed++) {
      const { nodes, lost, sent } = simulate(seed * 7919, count, wire);
      const counts = nodes.map(({ core }) => core.counters());
      for (const [i, { core, store }] of nodes.entries()) {
        const { lost: reported } = core.events();
        t.is(BigInt(reported.reduce((sum, { datagrams }) => sum + datagrams, 0)), counts[i]!['givenUp']!);
        t.is(counts[i]!['missed'], counts[i]!['repaired']! + counts[i]!['givenUp']!);
        /* What was given up is fetched, as src/sync does. */
        for (const { node: from } of reported) {
          const all = { cursor: 0, limit: 100_000, ranges: 1, wanted: null };
          await store.table.import((await nodes[from - 1]!.store.table.export(all)).records, 1);
        }
      }
      const told = (store: TestTable): string[] =>
        store.rows().map(({ tag, service, backend, state }) => `${tag} ${service} ${backend} ${state}`);
      const want = told(nodes[0]!.store);
      t.true(want.length > 100);
      for (const { store } of nodes) {
        t.deepEqual(
          told(store).filter((each) => !want.includes(each)),
          [],
        );
        t.is(told(store).length, want.length);
      }
      const givenUp = counts.map((each) => each['givenUp']);
      t.log(`seed ${seed}: ${want.length} sessions, ${lost} of ${sent} datagrams lost, ${givenUp} given up`);
      if (wire.loss > 0) t.true(lost > 50 && counts.every((each) => each['repaired']! > 0n));
      else t.is(counts[0]!['missed'], 0n);
      if (wire.loss < 50) t.deepEqual(new Set(givenUp), new Set([0n]));
    }
  });
}

test('any bytes at all are taken without harm', (t) => {
  const { core, store } = receiver();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      core.receive(bytes, FROM, 0n);
      core.receive(
        datagram(
          {
            kind: (bytes[0] ?? 0) % 4,
            node: 2,
            boot: 1n,
            sequence: 2n ** 64n - 1n,
            count4: bytes[1] ?? 0,
            bodyBytes: bytes.length,
          },
          bytes,
        ),
        FROM,
        0n,
      );
      core.poll(0n);
    }),
    { numRuns: 500 },
  );
  t.true(store.rows().length <= 256);
});

test('wrong arguments are refused', (t) => {
  const { table } = makeTable();
  const refused = (options: Record<string, unknown>): string =>
    nativeError(t, () => makeCore({ table, ...options })).code;
  t.is(refused({ table: {} }), 'ERR_ARG');
  t.is(refused({ keys: [] }), 'ERR_ARG');
  t.is(refused({ keys: [{ id: 1, key: new Uint8Array(31) }] }), 'ERR_ARG');
  t.is(refused({ keys: Array.from({ length: 9 }, () => KEY) }), 'ERR_ARG');
  t.is(refused({ log: new ArrayBuffer(100) }), 'ERR_ARG');
  t.is(refused({ datagramBytes: 100 }), 'ERR_ARG');
  t.is(refused({ boot: -1n }), 'ERR_ARG');
  const core = makeCore({ table });
  t.is(nativeError(t, () => core.receive(new Uint8Array(9), { address: 'here', port: 1 }, 0n)).code, 'ERR_ARG');
  t.is(nativeError(t, () => core.poll(1 as unknown as bigint)).code, 'ERR_ARG');
  for (let id = 10; id < 266; id++) core.admit(id, 1n);
  t.is(nativeError(t, () => core.admit(266, 1n)).code, 'ERR_ARG');
  core.forget(10);
  core.admit(266, 1n);
  t.is(core.peers().length, 256);
});
