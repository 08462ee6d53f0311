import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { clearSlot, type SweepOptions, sweepSessions } from '../../src/dataplane/addon.js';
import { nativeError } from './fixture.js';
import { modelSweep, packValue, type Slot } from './sweep-model.js';

function table(slots: readonly Slot[]): ArrayBuffer {
  return BigUint64Array.from(slots.flatMap(({ tag, value }) => [tag, value])).buffer;
}

function slotsOf(buffer: ArrayBuffer): Slot[] {
  const words = new BigUint64Array(buffer);
  return Array.from({ length: words.length / 2 }, (_, index) => ({
    tag: words[2 * index]!,
    value: words[2 * index + 1]!,
  }));
}

function bitmap(ids: readonly number[]): Uint8Array {
  const bits = new Uint8Array(8192);
  for (const id of ids) bits[id >> 3]! |= 1 << (id & 7);
  return bits;
}

const defaults = {
  nowTick: 1000,
  timeouts: new Uint16Array(65536 * 4).fill(100),
  expire: true,
  purgeBackends: null,
  purgeServices: null,
};

async function sweep(slots: readonly Slot[], options: Partial<SweepOptions> = {}) {
  const sessions = table(slots);
  const result = await sweepSessions({ ...defaults, ...options, sessions });
  return { result, after: slotsOf(sessions) };
}

const session = (seen: number, state = 2, backend = 5, service = 9): Slot => ({
  tag: 77n,
  value: packValue({ backend, service, seen, state }),
});
const FREE: Slot = { tag: 0n, value: 0n };

test('a session is kept while its idle time is within the timeout, and freed whole after it', async (t) => {
  const { result, after } = await sweep([session(900), session(899), FREE, session(1000)]);
  t.is(result.expired, 1);
  t.deepEqual(after, [session(900), FREE, FREE, session(1000)]);
  t.is(result.byState[2], 2);
  t.is(result.byService[9], 2);
  t.is(result.byBackend[5], 2);
  t.is(result.unfinished.length, 0);
});

test('each state of each service has its own timeout', async (t) => {
  const timeouts = new Uint16Array(65536 * 4);
  timeouts[9 * 4 + 1] = 10;
  timeouts[9 * 4 + 2] = 500;
  timeouts[9 * 4 + 3] = 50;
  const { result } = await sweep([session(960, 1), session(960, 2), session(960, 3), session(940, 3)], { timeouts });
  t.is(result.expired, 2);
  t.deepEqual([...result.byState.subarray(0, 4)], [0, 0, 1, 1]);
});

test('sessions of a service without timeouts are cleared, whatever their age', async (t) => {
  const timeouts = new Uint16Array(65536 * 4);
  const { result, after } = await sweep([session(1000)], { timeouts });
  t.is(result.purged, 1);
  t.is(result.expired, 0);
  t.deepEqual(after, [FREE]);
});

test('a client kept to its backend lives as long as the listener says, and before it is confirmed as a young session', async (t) => {
  const timeouts = new Uint16Array(65536 * 4);
  timeouts[9 * 4] = 500;
  timeouts[9 * 4 + 1] = 10;
  const slots = [session(510, 4), session(490, 4), session(995, 5), session(980, 5)];
  const { result, after } = await sweep(slots, { timeouts });
  t.deepEqual(after, [slots[0], FREE, slots[2], FREE]);
  t.deepEqual([result.expired, result.byService[9], result.byBackend[5]], [2, 0, 0]);
  t.deepEqual([result.sourcesByService[9], result.sourcesByBackend[5]], [2, 2]);
  timeouts[9 * 4] = 0;
  t.deepEqual((await sweep(slots, { timeouts })).after[0], FREE, 'persistence was switched off');
});

test('sessions open are those young and established', async (t) => {
  const { result } = await sweep([session(990, 1), session(990, 2), session(990, 3), session(990, 4)]);
  t.deepEqual([result.byBackend[5], result.openByBackend[5]], [3, 2]);
});

test('the tick wraps around, and a stamp of the near future is not old', async (t) => {
  const { result } = await sweep([session(0xfffff0), session(0xffff00), session(20)], { nowTick: 15 });
  t.is(result.expired, 1);
  t.is(result.byState[2], 2);
});

test('sessions of purged backends and services go, without asking for expiry', async (t) => {
  const slots = [session(1, 2, 5, 9), session(1, 2, 6, 9), session(1, 2, 65535, 1), session(1, 2, 6, 2)];
  const { result, after } = await sweep(slots, {
    expire: false,
    purgeBackends: bitmap([5, 65535]),
    purgeServices: bitmap([2]),
  });
  t.is(result.purged, 3);
  t.is(result.expired, 0);
  t.deepEqual(after, [FREE, slots[1], FREE, FREE]);
});

test('slots that were claimed and not finished are listed and left alone', async (t) => {
  const claimed: Slot = { tag: 5n, value: 0n };
  const { result, after } = await sweep([session(1000), claimed, FREE, claimed]);
  t.deepEqual([...result.unfinished], [1, 3]);
  t.is(result.byState[0], 2);
  t.deepEqual(after[1], claimed);
});

test('counting alone changes nothing', async (t) => {
  const slots = [session(1), session(1000), FREE];
  const { result, after } = await sweep(slots, { expire: false });
  t.deepEqual(after, slots);
  t.is(result.byState[2], 2);
  t.is(result.expired + result.purged, 0);
});

test('random tables: the same as a plain model', async (t) => {
  const slot = fc.oneof(
    { weight: 1, arbitrary: fc.constant(FREE) },
    { weight: 1, arbitrary: fc.record({ tag: fc.bigInt(1n, 2n ** 64n - 1n), value: fc.constant(0n) }) },
    {
      weight: 8,
      arbitrary: fc.record({
        tag: fc.bigInt(1n, 2n ** 64n - 1n),
        value: fc
          .record({
            backend: fc.integer({ min: 1, max: 12 }),
            service: fc.integer({ min: 1, max: 6 }),
            seen: fc.oneof(fc.integer({ min: 0, max: 0xffffff }), fc.integer({ min: 0, max: 300 })),
            state: fc.integer({ min: 0, max: 15 }),
          })
          .map(packValue),
      }),
    },
  );
  const order = fc.record({
    nowTick: fc.oneof(fc.integer({ min: 0, max: 0xffffff }), fc.integer({ min: 0, max: 300 })),
    timeouts: fc
      .array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 200 })), {
        minLength: 28,
        maxLength: 28,
      })
      .map((numbers) => Uint16Array.from(numbers)),
    expire: fc.boolean(),
    purgeBackends: fc.option(fc.array(fc.integer({ min: 1, max: 12 })).map(bitmap)),
    purgeServices: fc.option(fc.array(fc.integer({ min: 1, max: 6 })).map(bitmap)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(slot, { minLength: 1, maxLength: 200 }), order, async (slots, options) => {
      const { result, after } = await sweep(slots, options);
      const model = modelSweep(slots, options);
      t.deepEqual(after, model.after);
      t.deepEqual([...result.byState], model.byState);
      t.deepEqual([...result.unfinished], model.unfinished);
      t.deepEqual([result.expired, result.purged], [model.expired, model.purged]);
      const counts = [
        'byService',
        'byBackend',
        'openByService',
        'openByBackend',
        'sourcesByService',
        'sourcesByBackend',
      ] as const;
      for (const name of counts) {
        t.deepEqual(new Map([...result[name].entries()].filter(([, count]) => count > 0)), sorted(model[name]), name);
      }
    }),
    { numRuns: 200 },
  );
});

const sorted = (counts: Map<number, number>): Map<number, number> => new Map([...counts].sort(([a], [b]) => a - b));

function tagged(t: ExecutionContext, slot: Slot, tag: bigint): { cleared: boolean; after: Slot } {
  const buffer = table([session(1), slot, session(2)]);
  const cleared = clearSlot(buffer, 1, tag);
  const after = slotsOf(buffer);
  t.deepEqual([after[0], after[2]], [session(1), session(2)]);
  return { cleared, after: after[1]! };
}

test('a slot is cleared only while it still belongs to the flow', (t) => {
  const other: Slot = { tag: 78n, value: 5n };
  t.deepEqual(tagged(t, session(1), 77n), { cleared: true, after: FREE });
  t.deepEqual(tagged(t, { tag: 77n, value: 0n }, 77n), { cleared: true, after: FREE });
  t.deepEqual(tagged(t, other, 77n), { cleared: false, after: other });
  t.deepEqual(tagged(t, FREE, 0n), { cleared: false, after: FREE });
});

test('wrong arguments are refused', async (t) => {
  const refused = (options: unknown) => nativeError(t, () => sweepSessions(options as SweepOptions)).code;
  const sessions = table([FREE]);
  t.is(refused(null), 'ERR_ARG');
  t.is(refused({ ...defaults }), 'ERR_ARG');
  t.is(refused({ ...defaults, sessions: new ArrayBuffer(24) }), 'ERR_ARG');
  t.is(refused({ ...defaults, sessions, nowTick: 2 ** 24 }), 'ERR_ARG');
  t.is(refused({ ...defaults, sessions, timeouts: new Uint8Array(8) }), 'ERR_ARG');
  t.is(refused({ ...defaults, sessions, purgeBackends: 'x' }), 'ERR_ARG');
  t.is(nativeError(t, () => clearSlot(sessions, 1, 1n)).code, 'ERR_ARG');
  t.is(nativeError(t, () => clearSlot(sessions, 0, 1 as unknown as bigint)).code, 'ERR_ARG');
  t.false(clearSlot(sessions, 0, 2n ** 64n));
});
