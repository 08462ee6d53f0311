import test from 'ava';
import fc from 'fast-check';
import * as abi from '../../src/abi/abi.generated.js';
import { bucketsOf } from '../../src/compile/fingerprint.js';
import { type MigrateResult, migrateSessions, type SessionMemory } from '../../src/dataplane/addon.js';
import { nativeError } from './fixture.js';
import { packValue, type SessionValue } from './sweep-model.js';

const NOW = 5000;
const timeouts = new Uint16Array(16 * 4).fill(1000);

/** A pair of tables, filled and read as the data path does. */
class Table {
  readonly memory: SessionMemory;
  readonly #words: BigUint64Array;
  readonly #details: DataView;

  constructor(readonly buckets: number) {
    this.memory = { sessions: new ArrayBuffer(buckets * 64), details: new ArrayBuffer(buckets * 128) };
    this.#words = new BigUint64Array(this.memory.sessions);
    this.#details = new DataView(this.memory.details);
  }

  slotOf(tag: bigint): number | null {
    const slots = bucketsOf(tag, this.buckets).flatMap((bucket) => [0, 1, 2, 3].map((i) => bucket * 4 + i));
    return slots.find((slot) => this.#words[slot * 2] === tag && this.#words[slot * 2 + 1] !== 0n) ?? null;
  }

  valueOf(tag: bigint): bigint | null {
    const slot = this.slotOf(tag);
    return slot === null ? null : this.#words[slot * 2 + 1]!;
  }

  portOf(tag: bigint): number | null {
    const slot = this.slotOf(tag);
    if (slot === null) return null;
    const { tagCheck, clientPort } = abi.readSessionDetail(this.#details, slot * abi.sessionDetailSize);
    return tagCheck === Number(tag >> 32n) ? clientPort : null;
  }

  /** Into one of its buckets; false when both are full. */
  put(tag: bigint, value: bigint, port = 7): boolean {
    const known = this.slotOf(tag);
    const slots = bucketsOf(tag, this.buckets).flatMap((bucket) => [0, 1, 2, 3].map((i) => bucket * 4 + i));
    const slot = known ?? slots.find((one) => this.#words[one * 2] === 0n);
    if (slot === undefined) return false;
    this.#words.set([tag, value], slot * 2);
    if (known === null) {
      const detail = { ...emptyDetail, clientPort: port, tagCheck: Number(tag >> 32n) };
      abi.writeSessionDetail(this.#details, slot * abi.sessionDetailSize, detail);
    }
    return true;
  }

  get tags(): bigint[] {
    return [...this.#words].filter((tag, i) => i % 2 === 0 && tag !== 0n);
  }
}

const emptyDetail: abi.SessionDetail = {
  client: new Uint8Array(16),
  clientPort: 0,
  service: 1,
  createdTick: 0,
  tagCheck: 0,
  originNode: 0,
  protocol: 6,
};

function migration(from: Table, to: Table): () => MigrateResult {
  const copied = new ArrayBuffer(from.memory.sessions.byteLength);
  return () => migrateSessions({ from: from.memory, to: to.memory, nowTick: NOW, timeouts, copied });
}

const session = (over: Partial<SessionValue> = {}): bigint =>
  packValue({ backend: 5, service: 1, seen: NOW - 10, state: 2, ...over });

const nothing = { inserted: 0, updated: 0, kept: 0, expired: 0, noRoom: 0 };
const tags = fc.uniqueArray(fc.bigInt(1n, 2n ** 64n - 1n), { maxLength: 120 });

test('every live session is found in a table of any other size, with its detail; a second walk finds nothing to do', (t) => {
  fc.assert(
    fc.property(tags, fc.integer({ min: 16, max: 80 }), fc.integer({ min: 40, max: 200 }), (all, few, many) => {
      const [from, to] = [new Table(few), new Table(many)];
      const put = all.filter((tag, i) => from.put(tag, session({ backend: 1 + (i % 9) }), i + 1));
      const walk = migration(from, to);
      const { inserted, noRoom } = walk();
      t.is(inserted, put.length);
      t.is(noRoom, 0);
      for (const tag of put) {
        t.is(to.valueOf(tag), from.valueOf(tag));
        t.is(to.portOf(tag), all.indexOf(tag) + 1);
      }
      t.is(to.tags.length, put.length);
      t.deepEqual(walk(), nothing);
    }),
  );
});

test('a table is filled to 80 % with nothing left out, as the data path does', (t) => {
  const [from, to] = [new Table(4096), new Table(1000)];
  const random = (i: number): bigint =>
    BigInt.asUintN(64, BigInt(i) * 0x9e37_79b9_7f4a_7c15n * 0xbf58_476d_1ce4_e5b9n + 1n);
  for (let i = 1; i <= 3200; i++) t.true(from.put(random(i), session()));
  t.like(migration(from, to)(), { inserted: 3200, noRoom: 0 });
});

test('what finds no room is counted, and takes nobody’s place', (t) => {
  const [from, to] = [new Table(64), new Table(2)];
  for (let i = 1n; i <= 20n; i++) from.put(i * 0x1234_5678_9abc_def1n, session());
  const walk = migration(from, to);
  t.like(walk(), { inserted: 8, noRoom: 12 });
  t.like(walk(), { inserted: 0, noRoom: 12 });
});

test('what is expired, or of a service that is gone, is left behind', (t) => {
  const [from, to] = [new Table(16), new Table(32)];
  from.put(1n, session({ seen: NOW - 1000 }));
  from.put(2n, session({ seen: NOW - 1001 }));
  from.put(3n, session({ service: 16 }));
  from.put(4n, session({ seen: NOW + 2 }));
  t.like(migration(from, to)(), { inserted: 2, expired: 2 });
  t.deepEqual([...to.tags].sort(), [1n, 4n]);
});

test('what changed in the old table follows, while the new one has seen nothing of it', (t) => {
  const [from, to] = [new Table(16), new Table(32)];
  const walk = migration(from, to);
  from.put(1n, session({ state: 1 }));
  walk();
  for (const value of [session(), session({ seen: NOW }), session({ backend: 6, state: 1 }), session({ state: 3 })]) {
    from.put(1n, value);
    t.like(walk(), { updated: 1 });
    t.is(to.valueOf(1n), value);
  }
});

/** [in the old table; copied before; in the new table by then; after the next walk] */
const cases: readonly [string, bigint, bigint | null, bigint, bigint][] = [
  [
    'of the same connection the later time and the further state are true',
    session({ state: 2, seen: NOW - 4 }),
    session({ state: 1, seen: NOW - 8 }),
    session({ state: 3, seen: NOW - 6 }),
    session({ state: 3, seen: NOW - 4 }),
  ],
  [
    'a flow that the new program took for new belongs where it was',
    session({ backend: 5, seen: NOW - 1 }),
    null,
    session({ backend: 9, state: 1, seen: NOW }),
    session({ backend: 5, seen: NOW - 1 }),
  ],
  [
    'a session that selected another backend by the new program stays there',
    session({ backend: 5, seen: NOW - 3 }),
    session({ backend: 5, seen: NOW - 9 }),
    session({ backend: 9, state: 1, seen: NOW }),
    session({ backend: 9, state: 1, seen: NOW }),
  ],
  [
    'long after a crash the later one is true',
    session({ backend: 5, seen: NOW - 400 }),
    null,
    session({ backend: 9, seen: NOW - 2 }),
    session({ backend: 9, seen: NOW - 2 }),
  ],
];
for (const [name, old, before, fresh, expected] of cases) {
  test(`both tables have it: ${name}`, (t) => {
    const [from, to] = [new Table(16), new Table(32)];
    const walk = migration(from, to);
    if (before !== null) {
      from.put(1n, before);
      walk();
    }
    from.put(1n, old);
    to.put(1n, fresh);
    walk();
    t.is(to.valueOf(1n), expected);
    t.deepEqual(walk(), nothing);
  });
}

test('memory that is no table is refused', (t) => {
  const [from, to] = [new Table(16), new Table(32)];
  const good = { from: from.memory, to: to.memory, nowTick: NOW, timeouts, copied: new ArrayBuffer(16 * 64) };
  for (const bad of [
    { copied: new ArrayBuffer(64) },
    { to: { ...to.memory, details: from.memory.details } },
    { from: { ...from.memory, sessions: new ArrayBuffer(100) } },
    { nowTick: 2 ** 24 },
  ]) {
    t.is(nativeError(t, () => migrateSessions({ ...good, ...bad })).code, 'ERR_ARG');
  }
});
