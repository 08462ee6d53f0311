/**
 * Datagrams that must change nothing, and such that are signed and make no sense. SPILLWAY_FUZZ_DATAGRAMS: how many;
 * scripts/test-asan takes a million. SPILLWAY_FUZZ_SEED: again what failed.
 */
import test from 'ava';
import { type SyncCore, syncMac } from '../../src/dataplane/addon.js';
import {
  BACKENDS,
  control,
  data,
  FROM,
  HEADER,
  KEY,
  MAC,
  makeCore,
  makeTable,
  ms,
  nack,
  SERVICES,
  TestLog,
  type TestTable,
  type WireRow,
} from './sync-fixture.js';

const COUNT = Number(process.env['SPILLWAY_FUZZ_DATAGRAMS'] ?? 100_000);
const SEED = Number(process.env['SPILLWAY_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const BATCH = 4096;
const BUCKETS = 16;

type Random = (below: number) => number;

function randomOf(seed: number): Random {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** What one node receives in some seconds of its life: sessions, messages, requests of a peer that it admitted. */
function recorded(random: Random): Uint8Array[] {
  const rows = (count: number): WireRow[] =>
    Array.from({ length: count }, () => ({
      tag: (BigInt(random(0x7fff_ffff) + 1) << 33n) | BigInt(random(0x7fff_ffff)),
      service: 1 + random(SERVICES),
      backend: 1 + random(BACKENDS),
      state: 1 + random(4),
      age: random(256),
      v6: random(3) === 0,
    }));
  const all: Uint8Array[] = [];
  for (let sequence = 1n; sequence <= 40n; sequence++) all.push(data({ node: 2, sequence }, rows(random(37))));
  for (let sequence = 1n; sequence <= 20n; sequence++) {
    if (sequence % 3n === 0n) all.push(nack({ node: 2, sequence }, { node: 1, boot: 1n, ranges: [[sequence, 2]] }));
    else all.push(control({ node: 2, sequence, last: 40n }, new Uint8Array(random(200))));
  }
  return all;
}

const swap = (bytes: Uint8Array, change: (copy: Uint8Array, view: DataView) => void): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  change(copy, new DataView(copy.buffer));
  return copy;
};

function flip(bytes: Uint8Array, random: Random): Uint8Array {
  return swap(bytes, (copy) => {
    for (let flips = 1 + random(3); flips > 0; flips--) {
      const bit = random(copy.length * 8);
      copy[bit >> 3]! ^= 1 << (bit & 7);
    }
  });
}

/** Also with a header that knows that it is shorter. */
function truncate(bytes: Uint8Array, random: Random): Uint8Array {
  const short = bytes.slice(0, random(bytes.length));
  if (short.length >= HEADER + MAC && random(2) === 0) {
    new DataView(short.buffer).setUint32(36, short.length - HEADER - MAC, true);
  }
  return short;
}

function splice(one: Uint8Array, other: Uint8Array): Uint8Array {
  const mixed = new Uint8Array(other.length);
  mixed.set(other);
  mixed.set(one.subarray(0, HEADER));
  new DataView(mixed.buffer).setUint32(36, mixed.length - HEADER - MAC, true);
  return mixed;
}

function randomBytes(length: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random(256);
  return bytes;
}

function sign(bytes: Uint8Array, key = KEY.key): Uint8Array {
  bytes.set(syncMac(key, bytes.subarray(0, bytes.length - MAC)), bytes.length - MAC);
  return bytes;
}

const STRANGER = new Uint8Array(32).fill(0x55);

/** Of none of these may anything be left. */
function intruder(all: readonly Uint8Array[], random: Random): Uint8Array {
  const one = all[random(all.length)]!;
  switch (random(8)) {
    case 0:
      return one;
    case 1:
      return sign(
        swap(one, (_, view) => view.setBigUint64(24, BigInt(1000 + random(1000)), true)),
        STRANGER,
      );
    case 2:
      return truncate(one, random);
    case 3:
      return splice(one, all[random(all.length)]!);
    case 4:
      return randomBytes(random(300), random);
    /* Signed with the right key, by a boot of before: recorded then. */
    case 5:
      return sign(swap(one, (_, view) => view.setBigUint64(16, 0n, true)));
    case 6:
      return sign(swap(one, (copy) => (copy[4] = 2 + random(200))));
    default:
      return flip(one, random);
  }
}

/**
 * Signed with the right key: as a node with a fault would send it, or whoever has the key. Numbers from the end of time
 * silence their own boot, so they come last: `wild`.
 */
function nonsense(all: readonly Uint8Array[], random: Random, sequence: bigint, wild: boolean): Uint8Array {
  const changed = swap(all[random(all.length)]!, (copy, view) => {
    const isControl = copy[5] === 2;
    for (let changes = random(6); changes > 0; changes--) {
      const at = random(4) === 0 ? 5 + random(HEADER - 5) : HEADER + random(Math.max(copy.length - HEADER - MAC, 1));
      copy[at] = random(3) === 0 ? 255 : random(256);
    }
    if (!wild) {
      view.setBigUint64(24, sequence, true);
      if (isControl) view.setBigUint64(HEADER, sequence, true);
    }
    if (random(8) !== 0) view.setUint32(36, copy.length - HEADER - MAC, true);
    if (random(8) !== 0) view.setUint32(12, KEY.id, true);
  });
  const short = random(10) === 0 ? truncate(changed, random) : changed;
  return short.length < MAC ? short : sign(short);
}

class Batch {
  readonly #bytes = new Uint8Array(BATCH * 2048);
  readonly #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #count = 0;

  add(datagram: Uint8Array): void {
    this.#view.setUint32(this.#length, datagram.length, true);
    this.#bytes.set(datagram, this.#length + 4);
    this.#length += 4 + datagram.length;
    this.#count++;
  }

  receive(core: SyncCore, nowNs: bigint): boolean {
    const taken = core.receiveAll(this.#bytes.subarray(0, this.#length), FROM, nowNs) === this.#count;
    this.#length = 0;
    this.#count = 0;
    return taken;
  }
}

function begin(all: readonly Uint8Array[]): { core: SyncCore; store: TestTable } {
  const store = makeTable({ buckets: BUCKETS });
  const core = makeCore({ table: store.table, log: new TestLog().buffer });
  core.admit(2, 1n);
  for (const datagram of all) core.receive(datagram, FROM, 0n);
  core.events();
  core.poll(0n);
  return { core, store };
}

const memoryOf = ({ sessions, details }: TestTable): string =>
  `${Buffer.from(sessions).toString('hex')} ${Buffer.from(details.buffer).toString('hex')}`;

test(`${COUNT} datagrams of strangers, replayed, cut, flipped, mixed, of another time: nothing changes but what was dropped`, (t) => {
  t.log(`SPILLWAY_FUZZ_SEED=${SEED}`);
  const random = randomOf(SEED);
  const all = recorded(random);
  const { core, store } = begin(all);
  const before = { memory: memoryOf(store), peers: core.peers(), counters: core.counters() };
  t.true(store.rows().length > 30);
  const batch = new Batch();
  let left = COUNT;
  while (left > 0) {
    const size = Math.min(left, BATCH);
    for (let n = 0; n < size; n++) batch.add(intruder(all, random));
    if (!batch.receive(core, ms(1))) t.fail('a batch was not taken whole');
    left -= size;
  }
  t.is(memoryOf(store), before.memory);
  t.deepEqual(core.peers(), before.peers);
  t.deepEqual(core.events(), { control: [], lost: [], unannounced: 0 });
  const after = core.counters();
  const grown = Object.entries(after).filter(([name, count]) => count !== before.counters[name]);
  const dropped = grown.filter(([name]) => name.startsWith('dropped'));
  t.deepEqual(
    grown.map(([name]) => name),
    [
      'datagramsReceived',
      'bytesReceived',
      'droppedMalformed',
      'droppedVersion',
      'droppedUnauthenticated',
      'droppedReplayed',
    ],
  );
  t.is(
    dropped.reduce((sum, [name, count]) => sum + count - before.counters[name]!, 0n),
    BigInt(COUNT),
  );
  t.deepEqual(core.poll(ms(2)), [], 'and nobody was sent anything');
});

test(`${COUNT} datagrams that are signed and make no sense: the table stays one, and nothing grows without bound`, (t) => {
  t.log(`SPILLWAY_FUZZ_SEED=${SEED}`);
  const random = randomOf(SEED + 1);
  const all = recorded(random);
  const { core, store } = begin(all);
  const batch = new Batch();
  let sequence = 100n;
  let now = 1;
  for (let left = COUNT; left > 0; left -= BATCH) {
    const size = Math.min(left, BATCH);
    for (let n = 0; n < size; n++) {
      /* Mostly the next one; at times one from far ahead, or from long ago. */
      const jump = random(200);
      sequence += BigInt(jump === 0 ? random(40_000) : jump < 20 ? 2 : 1);
      batch.add(nonsense(all, random, jump === 1 ? BigInt(random(100_000)) : sequence, left < COUNT / 10));
    }
    if (!batch.receive(core, ms(now))) t.fail('a batch was not taken whole');
    now += 20;
    const sent = core.poll(ms(now));
    if (sent.length > 9000 || core.events().control.length > 1024) t.fail('more than there may be');
  }
  const { recordsReceived, recordsApplied, recordsStale, recordsUnknown, recordsNoRoom, ...counters } = core.counters();
  t.is(recordsReceived, recordsApplied! + recordsStale! + recordsUnknown! + recordsNoRoom!);
  for (const [name, count] of Object.entries({ recordsApplied, recordsStale, recordsUnknown, recordsNoRoom }))
    t.true(count! > 0n, name);
  for (const name of [
    'droppedMalformed',
    'droppedUnadmitted',
    'droppedReplayed',
    'missed',
    'givenUp',
    'retransmitted',
  ]) {
    t.true(counters[name]! > 0n, name);
  }
  t.true(counters['missed']! >= counters['repaired']! + counters['givenUp']!);
  const rows = store.rows();
  t.true(rows.length <= BUCKETS * 4);
  t.is(new Set(rows.map(({ tag }) => tag)).size, rows.length, 'no tag twice');
  for (const { tag, service, backend, state, seen } of rows) {
    const [first, second] = store.bucketsOf(tag);
    const bucket = Math.floor(store.words.indexOf(tag) / 8);
    if (bucket !== first && bucket !== second) t.fail(`tag ${tag} is where nobody looks for it`);
    if (service < 1 || service > SERVICES || backend < 1 || backend > BACKENDS || state < 1 || state > 5)
      t.fail(`a session that cannot be: ${state}`);
    if (seen > 5000) t.fail('seen in the future');
  }
});
