/** What is sent again: datagrams that others ask for, and sessions that they have not heard of for long. */
import test from 'ava';
import type { SyncCore } from '../../src/dataplane/addon.js';
import { FROM, makeCore, makeTable, ms, nack, TestLog, type TestTable } from './sync-fixture.js';

const ESTABLISHED = 2;
const CLOSING = 3;
/** Datagrams that a node keeps. */
const KEPT = 8192;

interface Node {
  readonly core: SyncCore;
  readonly log: TestLog;
  readonly store: TestTable;
}

function node(options: { id?: number; rate?: number; buckets?: number } = {}): Node {
  const store = makeTable(options);
  const log = new TestLog();
  const { id = 1, rate: recordsPerSecond = 1_000_000 } = options;
  return { core: makeCore({ table: store.table, log: log.buffer, node: id, recordsPerSecond }), log, store };
}

/** Sends so many empty datagrams, one each second; returns them and the time by then. */
function quiet({ core }: Node, count: number): { sent: Uint8Array[]; seconds: number } {
  const sent: Uint8Array[] = [];
  let seconds = 0;
  while (sent.length < count) sent.push(...core.poll(ms(++seconds * 1000)).map(({ datagram }) => datagram.slice()));
  return { sent, seconds };
}

test('the oldest datagrams that are kept are sent again whole, though their places are taken in the same turn', (t) => {
  const one = node({ buckets: 2048 });
  const { core, log, store } = one;
  core.admit(2, 1n);
  const { sent, seconds } = quiet(one, KEPT);
  core.receive(nack({ node: 2, sequence: 1n }, { node: 1, boot: 1n, ranges: [[1n, 100]] }), FROM, ms(seconds * 1000));
  for (let slot = 0; slot < 8000; slot++) {
    store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: ESTABLISHED, seen: 5000 });
    log.write(slot);
  }
  const out = core.poll(ms(seconds * 1000 + 1));
  t.true(out.filter(({ to }) => to === null).length > 100, 'as many new ones as take all those places');
  const again = out.filter(({ to }) => to !== null).map(({ datagram }) => datagram);
  t.deepEqual(again, sent.slice(0, 100));
});

test('what somebody asks for again and again before it was its turn is sent once', (t) => {
  const one = node();
  const { core } = one;
  core.admit(2, 1n);
  const { seconds } = quiet(one, 1000);
  const ask = (sequence: bigint): void =>
    core.receive(nack({ node: 2, sequence }, { node: 1, boot: 1n, ranges: [[1n, 1000]] }), FROM, ms(seconds * 1000));
  for (let n = 1n; n <= 3n; n++) ask(n);
  for (let n = 1; n <= 20; n++) core.poll(ms((seconds + n) * 1000));
  t.is(core.counters()['retransmitted'], 1000n);
  ask(4n);
  core.poll(ms((seconds + 21) * 1000));
  t.true(core.counters()['retransmitted']! > 1000n, 'whoever lost that, too, may ask again');
});

test('a connection that one side closed stays known to others as long as it goes on', (t) => {
  const one = node({ buckets: 8 });
  const two = node({ id: 2, buckets: 8 });
  two.core.admit(1, 1n);
  let tick = 5000;
  for (let now = 1; now <= 200; now++) {
    one.store.setTick(tick);
    two.store.setTick(tick);
    one.store.put(1, { tag: 77n, service: 1, backend: 1, state: CLOSING, seen: tick });
    if (now === 1) one.log.write(1);
    for (const { datagram } of one.core.poll(ms(now * 1000))) two.core.receive(datagram, FROM, ms(now * 1000));
    t.true(tick - two.store.rows()[0]!.seen <= 4000 / 2, `heard of ${tick - two.store.rows()[0]!.seen} ticks ago`);
    tick += 100;
  }
  t.is(two.store.rows()[0]!.state, CLOSING);
});

test('old sessions are told again while new ones take the whole rate', (t) => {
  const one = node({ rate: 1000, buckets: 2048 });
  const two = node({ id: 2, buckets: 2048 });
  two.core.admit(1, 1n);
  const old = { tag: 1n, service: 1, backend: 1, state: ESTABLISHED };
  const run = (now: number): void => {
    for (const { datagram } of one.core.poll(ms(now))) two.core.receive(datagram, FROM, ms(now));
  };
  const seenThere = (): number => two.store.rows().find(({ tag }) => tag === old.tag)!.seen;
  one.core.poll(0n);
  one.store.put(0, { ...old, seen: 5000 });
  one.log.write(0);
  run(1);
  t.is(seenThere(), 5000);
  for (const { store } of [one, two]) store.setTick(7000);
  one.store.put(0, { ...old, seen: 7000 });
  let slot = 1;
  for (let now = 100; now <= 12_000; now += 100) {
    for (let n = 0; n < 200; n++, slot++) {
      const at = 1 + (slot % 8000);
      one.store.put(at, { ...old, tag: BigInt(slot + 1), seen: 7000 });
      one.log.write(at);
    }
    run(now);
  }
  t.true(one.log.head - one.log.tail > 1000n, 'the rate does not do for them');
  t.is(seenThere(), 7000);
});

test('where nothing else is to tell, old sessions take the whole rate', (t) => {
  const { core, log, store } = node({ rate: 1000, buckets: 512 });
  const put = (seen: number): void => {
    for (let slot = 0; slot < 2000; slot++) {
      store.put(slot, { tag: BigInt(slot + 1), service: 1, backend: 1, state: ESTABLISHED, seen });
    }
  };
  put(5000);
  for (let slot = 0; slot < 2000; slot++) log.write(slot);
  for (let now = 0; now <= 5000; now += 100) core.poll(ms(now));
  t.is(core.counters()['recordsSent'], 2000n);
  store.setTick(7000);
  put(7000);
  for (let now = 5100; now <= 15_400; now += 100) core.poll(ms(now));
  t.is(core.counters()['recordsSent'], 4000n, 'in one walk');
});
