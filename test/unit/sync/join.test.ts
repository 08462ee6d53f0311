import test from 'ava';
import { compareTables, RANGES } from '../../../src/sync/compare.js';
import { peerHandlers } from '../../../src/sync/handlers.js';
import { candidatesOf, join } from '../../../src/sync/join.js';
import { PeerState } from '../../../src/sync/peer_book.js';
import { type PeerClient, TransferError } from '../../../src/sync/ports.js';
import { Repair } from '../../../src/sync/repair.js';
import type { Beacon } from '../../../src/sync/wire.js';
import { listeningLog } from '../../support/sync/listening_log.js';
import { MemoryTable, tagOf } from '../../support/sync/memory_table.js';
import { SimClock } from '../../support/sync/sim_clock.js';

const none = new AbortController().signal;

function peer(
  name: string,
  fields: { life?: string; sessions?: number; admitted?: boolean; refusal?: string } = {},
): PeerState {
  const { life = 'ACTIVE', sessions = 10, admitted = true, refusal = '' } = fields;
  const state = new PeerState(name.charCodeAt(name.length - 1), 1n, { address: name, port: 1 }, 0);
  state.beacon = { name, life, sessions: BigInt(sessions) } as Beacon;
  [state.alive, state.admitted, state.refusal] = [true, admitted, refusal];
  return state;
}

/** Answers from a table at once; what it is given instead of a table, it throws. */
function clientOf(source: MemoryTable | TransferError): PeerClient {
  if (source instanceof TransferError) {
    const fail = async () => Promise.reject(source);
    return {
      digest: fail,
      purge: fail,
      fetch: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
      close: () => {},
    };
  }
  return { ...peerHandlers({ table: source, boot: 1n, purge: async () => 0 }), close: () => {} };
}

class World {
  readonly clock = new SimClock();
  readonly table = new MemoryTable();
  readonly log = listeningLog();
  readonly asked: string[] = [];

  constructor() {
    this.clock.settle = () => new Promise((resolve) => setImmediate(resolve));
  }

  async join(
    peers: readonly PeerState[],
    sources: Readonly<Record<string, MemoryTable | TransferError>>,
    timeoutMs = 5000,
  ) {
    const { clock, table, log } = this;
    const settling = {
      ...clock,
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      after: (ms: number, run: () => void) => clock.after(ms, run, true),
    };
    let done = false;
    const result = join({
      ...{ table, clock: settling, log, timeoutMs, openedMs: clock.monotonicMs(), signal: none },
      peers: () => peers,
      onProgress: () => {},
      connect: ({ name }) => {
        this.asked.push(name);
        return clientOf(sources[name]!);
      },
    }).finally(() => {
      done = true;
    });
    for (let i = 0; i < 200 && !done; i++) await clock.advance(100);
    return result;
  }
}

test('who serves comes before who drains, then who has most; who joins itself is asked only when it has something', (t) => {
  const peers = [
    peer('a', { life: 'JOINING', sessions: 900 }),
    peer('b', { sessions: 5 }),
    peer('c', { sessions: 7 }),
    peer('d', { life: 'DRAINING', sessions: 99 }),
    peer('e', { life: 'JOINING', sessions: 0 }),
    peer('f', { sessions: 1000, admitted: false }),
    peer('g', { life: 'STOPPED', sessions: 0 }),
  ];
  t.deepEqual(
    candidatesOf(peers).map(({ name }) => name),
    ['c', 'b', 'd', 'g', 'a'],
  );
});

test('a peer that refuses is passed over, and the next best is taken', async (t) => {
  const world = new World();
  const sources = { b: new TransferError('b: no', false), c: new MemoryTable().fill(300) };
  const result = await world.join([peer('b', { sessions: 50 }), peer('c')], sources);
  t.like(result, { from: 'c', sessions: 300, reason: '' });
  t.deepEqual(world.asked, ['b', 'c']);
  t.regex(world.log.lines.join('\n'), /warn: sessions could not be fetched from b: b: no/);
});

test('when nobody answers, joining ends in time, with what each of them said', async (t) => {
  const world = new World();
  const { from, reason, durationMs } = await world.join([peer('b')], {
    b: new TransferError('b: connection refused', true),
  });
  t.is(from, null);
  t.is(reason, 'b: connection refused');
  t.true(durationMs >= 5000 && durationMs < 5500, `${durationMs} ms`);
});

test('what does not fit, or is unknown, is said with the remedy', async (t) => {
  const world = new World();
  const full = new Set(Array.from({ length: 60 }, (_, i) => tagOf(i + 1)));
  world.table.refuses = (tag) => full.has(tag);
  const { sessions, reason } = await world.join([peer('b')], { b: new MemoryTable().fill(200) });
  t.is(sessions, 140);
  t.regex(reason, /^60 sessions of b found no room in this node's table: raise limits\.sessions/);
});

test('nodes that all join have nothing to wait for', async (t) => {
  const { from, reason } = await new World().join([peer('b', { life: 'JOINING', sessions: 0 })], {});
  t.deepEqual([from, reason], [null, 'the other nodes are joining, too, and have no sessions to give']);
});

test('what changed on the peer while the table was fetched is mended before joining ends', async (t) => {
  const world = new World();
  const source = new MemoryTable().fill(25_000);
  let imports = 0;
  world.table.onImport = () => {
    if (imports++ === 1) source.fill(40, { from: 100_000 });
    // Behind the cursor, it is seen by the comparison alone.
    if (imports === 2) for (const tag of [...source.sessions.keys()].slice(0, 30)) source.sessions.set(tag, 2);
  };
  const { sessions, mendedRanges } = await world.join([peer('b')], { b: source });
  t.is(sessions, 25_040);
  t.true(mendedRanges >= 20 && mendedRanges <= 70, `${mendedRanges} ranges`);
  t.deepEqual(new Map([...world.table.sessions].sort()), new Map([...source.sessions].sort()));
});

test('sessions on their way are no difference, those that are missing for good are', async (t) => {
  const clock = new SimClock();
  const table = new MemoryTable().fill(5000);
  const source = new MemoryTable().fill(5000);
  const lost = [3, 999, 4500].map(tagOf);
  for (const tag of lost) table.sessions.delete(tag);
  /* At each look, other ones are under way. */
  let made = 10_000;
  const client: PeerClient = {
    ...clientOf(source),
    digest: async (ranges) => {
      const digest = await table.digest(ranges);
      for (const tag of lost) {
        const range = Number(tag >> 52n);
        digest.counts[range]!++;
      }
      const ahead = new MemoryTable();
      for (const [tag, backend] of source.sessions) ahead.sessions.set(tag, backend);
      made += 1000;
      ahead.fill(800, { from: made });
      return { boot: 1n, ...(await ahead.digest(ranges)) };
    },
  };
  const settling = {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    after: (_: number, run: () => void) => clock.after(0, run, true),
  };
  clock.settle = () => new Promise((resolve) => setImmediate(resolve));
  let found: readonly number[] | null = null;
  void compareTables({ table, client, clock: settling, gapsMs: [1, 1], signal: none }).then(({ ranges }) => {
    found = ranges;
  });
  for (let i = 0; i < 20 && found === null; i++) await clock.advance(10);
  for (const tag of lost) t.true(found!.includes(Number(tag >> 52n)), 'what is missing is found');
  t.true(found!.length < RANGES * 0.05, `${found!.length} ranges, of some 730 that differed at each look`);
});

test('a difference that fetching does not mend is fetched more and more rarely, and again at once for a reason', async (t) => {
  const clock = new SimClock();
  clock.settle = () => new Promise((resolve) => setImmediate(resolve));
  const settling = {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    after: (ms: number, run: () => void) => clock.after(ms, run, true),
  };
  const table = new MemoryTable();
  table.refuses = () => true;
  const other = peer('b');
  const repair = new Repair({
    ...{ table, clock: settling, log: listeningLog(), peers: () => [other] },
    connect: () => clientOf(new MemoryTable().fill(50)),
  });
  await clock.advance(30 * 60_000);
  const { compared } = repair.counters();
  t.true(compared >= 4 && compared <= 9, `${compared} of 60 turns`);
  repair.request(other);
  await clock.advance(2000);
  t.is(repair.counters().compared, compared + 1);
  table.refuses = () => false;
  await clock.advance(20 * 60_000);
  t.is(table.sessions.size, 50);
  const mended = repair.counters().compared;
  await clock.advance(10 * 60_000);
  t.true(repair.counters().compared >= mended + 18, 'every turn again');
  await repair.close();
});
