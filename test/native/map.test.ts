import test from 'ava';
import { type BpfMap, possibleCpus } from '../../src/dataplane/addon.js';
import { asU32, asU64, loadSample, nativeError, u32, u64 } from './fixture.js';

const NOEXIST = 1;
const EXIST = 2;

test('elements are set, read and removed one by one', (t) => {
  const map = loadSample(t).map('table');
  const key = u32(1, 2);
  t.is(map.lookup(key), null);
  t.is(nativeError(t, () => map.update(key, u32(5), EXIST)).code, 'ENOENT');
  map.update(key, u32(5));
  t.deepEqual(asU32(map.lookup(key)!), [5]);
  const exists = nativeError(t, () => map.update(key, u32(6), NOEXIST));
  t.is(exists.code, 'EEXIST');
  t.is(exists.errno, 17);
  t.regex(exists.message, /table/);
  t.true(map.delete(key));
  t.false(map.delete(key));
});

test('keys and values of another size are refused before the kernel reads past them', (t) => {
  const map = loadSample(t).map('table');
  t.is(nativeError(t, () => map.lookup(u32(1))).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.update(u32(1, 2), u32())).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.delete(u32(1, 2, 3))).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.updateBatch(u32(1, 2), u32(1), 2)).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.lookup([1, 2] as unknown as Uint8Array)).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.lookup(new Uint16Array(4) as unknown as Uint8Array)).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.readRange(0, 1)).code, 'ERR_ARG');
});

function asRecord(map: BpfMap): Map<string, number> {
  const { count, keys, values } = map.entries();
  checkSizes(map, count, keys, values);
  const record = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const key = asU32(keys.subarray(index * 8, index * 8 + 8)).join();
    record.set(key, asU32(values.subarray(index * 4, index * 4 + 4))[0]!);
  }
  return record;
}

function checkSizes(map: BpfMap, count: number, keys: Uint8Array, values: Uint8Array): void {
  if (keys.length !== count * map.info.keySize || values.length !== count * map.valueBytes)
    throw new Error(`${keys.length} and ${values.length} bytes for ${count} entries`);
}

test('a full hash is written and read in batches', (t) => {
  const map = loadSample(t).map('table');
  t.is(asRecord(map).size, 0);
  const count = map.info.maxEntries;
  const keys = new Uint32Array(2 * count).map((_, index) => (index % 2 === 0 ? index / 2 : 7));
  const values = new Uint32Array(count).map((_, index) => index * 3);
  map.updateBatch(new Uint8Array(keys.buffer), new Uint8Array(values.buffer), count);
  const record = asRecord(map);
  t.is(record.size, count);
  for (const index of [0, 1, 4095, 4096, 19_999]) t.is(record.get(`${index},7`), index * 3);
  const full = nativeError(t, () => map.updateBatch(u32(1, 1, 2, 2), u32(1, 2), 2));
  t.is(full.code, 'E2BIG');
});

test('a map type without batch operations gives the same', (t) => {
  const map = loadSample(t).map('prefixes');
  map.updateBatch(u32(32, 1, 32, 2, 16, 3), u32(10, 20, 30), 3);
  t.deepEqual([...asRecord(map).entries()].sort(), [
    ['16,3', 30],
    ['32,1', 10],
    ['32,2', 20],
  ]);
  map.delete(u32(32, 2));
  t.is(asRecord(map).size, 2);
});

test('entries of an array are all its elements', (t) => {
  const map = loadSample(t).map('mapped');
  map.update(u32(99), u32(1, 2, 3));
  const { count, keys, values } = map.entries();
  t.is(count, 100);
  t.deepEqual(asU32(keys), [...Array(100).keys()]);
  t.deepEqual(asU32(values).slice(-3), [1, 2, 3]);
});

test('a stretch of an array is read packed, whatever its stride in the kernel', (t) => {
  const object = loadSample(t);
  const plain = object.map('plain');
  const numbers = new BigUint64Array(65536).map((_, index) => BigInt(index) * 5n);
  const keys = new Uint32Array(65536).map((_, index) => index);
  plain.updateBatch(new Uint8Array(keys.buffer), new Uint8Array(numbers.buffer), 65536);
  t.deepEqual(plain.readRange(0, 65536), new Uint8Array(numbers.buffer));
  t.deepEqual(asU64(plain.readRange(4095, 3)), [20475n, 20480n, 20485n]);
  t.deepEqual(asU64(plain.readRange(65535, 1)), [65535n * 5n]);
  t.is(plain.readRange(65536, 0).length, 0);
  t.is(nativeError(t, () => plain.readRange(65535, 2)).code, 'ERR_ARG');

  const mapped = object.map('mapped');
  mapped.update(u32(3), u32(1, 2, 3));
  mapped.update(u32(4), u32(4, 5, 6));
  t.deepEqual(asU32(mapped.readRange(2, 3)), [0, 0, 0, 1, 2, 3, 4, 5, 6]);
  t.is(mapped.readRange(0, 100).length, 1200);
});

test('words of a per-CPU array are summed over the CPUs', (t) => {
  const map = loadSample(t).map('counters');
  const cpus = possibleCpus();
  t.is(map.valueBytes, 32 * cpus);
  const perCpu = [...Array(cpus).keys()].flatMap((cpu) => [1, cpu, 1000 * cpu, 2n ** 60n]);
  map.update(u32(6000), u64(...perCpu));
  const sums = map.sumRange(5999, 3);
  const triangle = BigInt((cpus * (cpus - 1)) / 2);
  t.deepEqual([...sums.subarray(0, 4)], [0n, 0n, 0n, 0n]);
  const total = BigInt.asUintN(64, BigInt(cpus) << 60n);
  t.deepEqual([...sums.subarray(4, 8)], [BigInt(cpus), triangle, 1000n * triangle, total]);
  t.is(map.sumRange(0, 65536).length, 65536 * 4);
  t.is(map.readRange(6000, 1).length, map.valueBytes);
  t.is(nativeError(t, () => loadSample(t).map('plain').sumRange(0, 1)).code, 'ERR_ARG');
});

test('what a program counts per CPU is in the sum', (t) => {
  const object = loadSample(t);
  object.program('touch').testRun({ data: new Uint8Array(64), repeat: 1000 });
  t.deepEqual([...object.map('counters').sumRange(5, 1)], [1000n, 0n, 0n, 10_000n]);
});

test('a mapped array is one memory for the kernel and for us', (t) => {
  const object = loadSample(t);
  const map = object.map('mapped');
  const buffer = map.mmap();
  t.is(buffer.byteLength, 100 * 16);
  t.is(map.mmap(), buffer);
  const words = new Uint32Array(buffer);
  words[7 * 4] = 1234;
  object.program('touch').testRun({ data: new Uint8Array(64) });
  t.is(words[7 * 4 + 1], 1235);
  t.deepEqual(asU32(map.lookup(u32(7))!), [1234, 1235, 0]);
  map.update(u32(99), u32(1, 2, 3));
  t.deepEqual([...words.subarray(99 * 4)], [1, 2, 3, 0]);
});

test('a mapping outlives its map and its object', (t) => {
  const object = loadSample(t);
  const map = object.map('mapped');
  const words = new Uint32Array(map.mmap());
  object.close();
  map.close();
  words.fill(9);
  t.is(words[399], 9);
});

test('an array without BPF_F_MMAPABLE is not mapped', (t) => {
  const error = nativeError(t, () => loadSample(t).map('plain').mmap());
  t.is(error.code, 'EINVAL');
  t.is(error.syscall, 'mmap');
});

/** Keys of `prefixes`: 32 bits each, so that none covers another. */
const fullKeys = (count: number): Uint8Array =>
  u32(...Array.from({ length: count }, (_, i) => [32, i * 0x0101_0101]).flat());

test('a trie is read page by page, each entry once, until the cursor says that it is the end', (t) => {
  const map = loadSample(t).map('prefixes');
  for (const [count, limit] of [
    [0, 10],
    [1, 1],
    [30, 10],
    [31, 10],
    [99, 1000],
  ] as const) {
    if (count > 0) map.updateBatch(fullKeys(count), new Uint8Array(count * 4), count);
    const seen: number[] = [];
    let pages = 0;
    let cursor: Uint8Array | null = null;
    do {
      const page: ReturnType<BpfMap['entriesFrom']> = map.entriesFrom(cursor, limit);
      t.true(page.count <= limit);
      checkSizes(map, page.count, page.keys, page.values);
      for (let i = 0; i < page.count; i++) seen.push(asU32(page.keys.subarray(i * 8, i * 8 + 8))[1]! / 0x0101_0101);
      cursor = page.cursor;
      pages++;
    } while (cursor !== null);
    t.deepEqual(
      seen.sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    );
    t.true(pages <= Math.floor(count / limit) + 1);
  }
});

test('many entries are removed at once, and those that are not there do not matter', (t) => {
  const map = loadSample(t).map('prefixes');
  map.updateBatch(fullKeys(50), new Uint8Array(200), 50);
  const keys = fullKeys(60);
  map.deleteBatch(keys.subarray(8, 3 * 8), 2);
  t.is(map.entries().count, 48);
  map.deleteBatch(keys, 60);
  t.is(map.entries().count, 0);
  map.deleteBatch(keys, 60);
  map.deleteBatch(new Uint8Array(0), 0);
});

test('pages and removals in a row are refused where they make no sense', (t) => {
  const object = loadSample(t);
  t.is(nativeError(t, () => object.map('table').entriesFrom(null, 10)).code, 'ERR_ARG');
  const map = object.map('prefixes');
  t.is(nativeError(t, () => map.entriesFrom(u32(1), 10)).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.entriesFrom(null, 0)).code, 'ERR_ARG');
  t.is(nativeError(t, () => map.deleteBatch(u32(1, 2), 2)).code, 'ERR_ARG');
  map.close();
  t.is(nativeError(t, () => map.entriesFrom(null, 10)).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => map.deleteBatch(u32(1, 2), 1)).code, 'ERR_CLOSED');
});
