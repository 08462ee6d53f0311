import test, { type ExecutionContext } from 'ava';
import { type BpfObject, RingReader } from '../../src/dataplane/addon.js';
import { loadSample, nativeError, runChild, waitUntil } from './fixture.js';

/** Has `emit` write count records; record n has (n mod 32) + 1 bytes, each of that value. */
function emit(object: BpfObject, count: number): void {
  const data = new Uint8Array(64);
  data[14] = count;
  if (object.program('emit').testRun({ data }).retval !== 2) throw new Error('the ring is full');
}

interface Seen {
  lengths: number[];
  batches: number[];
  lost: number;
}

function reader(t: ExecutionContext, object: BpfObject, options: { maxBatchBytes?: number; maxPendingBytes?: number }) {
  const seen: Seen = { lengths: [], batches: [], lost: 0 };
  const ring = new RingReader(object.map('events'), options, (records, count, lost) => {
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    let offset = 0;
    for (let index = 0; index < count; index++) {
      const length = view.getUint32(offset, true);
      const record = records.subarray(offset + 4, offset + 4 + length);
      if (!record.every((byte) => byte === length)) throw new Error(`record of ${length} bytes: ${record}`);
      seen.lengths.push(length);
      offset += 4 + Math.ceil(length / 8) * 8;
    }
    t.is(offset, records.length);
    seen.batches.push(count);
    seen.lost += lost;
  });
  t.teardown(() => ring.close());
  return { ring, seen };
}

test('records arrive whole and in order', async (t) => {
  const object = loadSample(t);
  const { seen } = reader(t, object, {});
  emit(object, 100);
  await waitUntil(() => seen.lengths.length >= 100, '100 records');
  t.deepEqual(
    seen.lengths,
    Array.from({ length: 100 }, (_, index) => (index % 32) + 1),
  );
  t.is(seen.lost, 0);
});

test('what is in the ring before the reader is delivered too, in batches of the size asked for', async (t) => {
  const object = loadSample(t);
  emit(object, 64);
  const { seen } = reader(t, object, { maxBatchBytes: 100 });
  await waitUntil(() => seen.lengths.length >= 64, '64 records');
  t.true(seen.batches.length >= 10);
  t.true(Math.max(...seen.batches) <= 8, '100 bytes hold at most 8 of the smallest');
});

test('a main thread that is too slow loses records, and is told how many', async (t) => {
  const object = loadSample(t);
  const { seen } = reader(t, object, { maxPendingBytes: 4096 });
  for (let round = 0; round < 100; round++) emit(object, 250);
  await waitUntil(() => seen.lengths.length + seen.lost >= 25_000, '25000 records seen or lost');
  t.is(seen.lengths.length + seen.lost, 25_000);
  t.true(seen.lost > 0);
});

test('nothing is delivered after close, which may be called from the callback', async (t) => {
  const object = loadSample(t);
  let calls = 0;
  const ring: RingReader = new RingReader(object.map('events'), { maxBatchBytes: 16 }, () => {
    calls++;
    ring.close();
  });
  emit(object, 200);
  await waitUntil(() => calls > 0, 'a batch');
  emit(object, 200);
  const { seen } = reader(t, object, {});
  await waitUntil(() => seen.lengths.length > 0, 'the next reader sees the rest');
  t.is(calls, 1);
  ring.close();
});

test('the reader outlives map and object', async (t) => {
  const object = loadSample(t);
  const map = object.map('events');
  let count = 0;
  const ring = new RingReader(map, {}, (_, records) => {
    count += records;
  });
  map.close();
  emit(object, 10);
  object.close();
  await waitUntil(() => count === 10, '10 records');
  ring.close();
  t.pass();
});

test('only ring buffers are read', (t) => {
  const object = loadSample(t);
  const error = nativeError(t, () => new RingReader(object.map('plain'), {}, () => {}));
  t.is(error.code, 'EINVAL');
  t.regex(error.log ?? '', /BPF_MAP_TYPE_RINGBUF/);
  const build = (...values: unknown[]) => nativeError(t, () => Reflect.construct(RingReader, values)).code;
  t.is(build(), 'ERR_ARG');
  t.is(
    build({}, {}, () => {}),
    'ERR_ARG',
  );
  t.is(build(object.map('events'), {}), 'ERR_ARG');
  t.is(
    build(object.map('events'), { maxBatchBytes: 0 }, () => {}),
    'ERR_ARG',
  );
  const closed = object.map('events');
  closed.close();
  t.is(
    build(closed, {}, () => {}),
    'ERR_CLOSED',
  );
});

test('what the callback throws is an uncaught exception', async (t) => {
  t.deepEqual(await runChild('ring-throws'), { uncaught: 'from the callback', batches: 2 });
});
