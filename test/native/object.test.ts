import test from 'ava';
import { BpfMap, BpfObject, BpfProgram } from '../../src/dataplane/addon.js';
import { asU32, loadSample, nativeError, objectPath, pinDirectory, u32, u64 } from './fixture.js';

const frame = new Uint8Array(64);

test('globals keep their value in the object file unless rodata replaces them by name', (t) => {
  t.is(loadSample(t).program('sum').testRun({ data: frame }).retval, 1 + 2 + 3);
  const changed = loadSample(t, { rodata: { big: u64(40) } });
  t.is(changed.program('sum').testRun({ data: frame }).retval, 1 + 2 + 40);
  const both = loadSample(t, { rodata: { numbers: u32(100, 200), big: u64(40) } });
  t.is(both.program('sum').testRun({ data: frame }).retval, 340);
});

test('rodata of another size, or of an unknown name, is refused and named', (t) => {
  const size = nativeError(t, () => loadSample(t, { rodata: { big: u32(1) } }));
  t.is(size.code, 'EINVAL');
  t.regex(size.message, /big has 8 bytes, not 4/);
  const name = nativeError(t, () => loadSample(t, { rodata: { absent: u32(1) } }));
  t.is(name.code, 'ENOENT');
  t.regex(name.message, /absent/);
});

test('a program that the verifier refuses throws with the verifier log', (t) => {
  const error = nativeError(t, () => BpfObject.load(objectPath('refused')));
  t.is(error.code, 'EACCES');
  t.is(error.errno, 13);
  t.is(error.syscall, 'bpf_object__load');
  t.regex(error.log ?? '', /invalid access to packet/);
});

test('only the programs asked for are loaded', (t) => {
  const object = BpfObject.load(objectPath('refused'), { programs: ['accepted'] });
  t.deepEqual(object.programNames, ['accepted']);
  t.is(nativeError(t, () => object.program('refused')).code, 'ENOENT');
  t.is(nativeError(t, () => BpfObject.load(objectPath('refused'), { programs: ['nonsense'] })).code, 'ENOENT');
});

test('sizes of maps follow maxEntries', (t) => {
  const object = loadSample(t, { maxEntries: { table: 7 } });
  t.is(object.map('table').info.maxEntries, 7);
  t.is(nativeError(t, () => loadSample(t, { maxEntries: { absent: 7 } })).code, 'ENOENT');
});

test('names of maps are without the maps of globals, which can be had by name', (t) => {
  const object = loadSample(t);
  t.deepEqual([...object.mapNames].sort(), ['counters', 'events', 'mapped', 'plain', 'prefixes', 'table']);
  t.deepEqual(asU32(object.map('.rodata').lookup(u32(0))!).slice(0, 2), [1, 2]);
  t.is(nativeError(t, () => object.map('absent')).code, 'ENOENT');
});

test('a pinned map is reused by a new object, with its content', (t) => {
  const directory = pinDirectory(t);
  const first = loadSample(t);
  first.map('mapped').update(u32(7), u32(41, 0, 0));
  first.map('mapped').pin(`${directory}/mapped`);
  first.close();

  const second = loadSample(t, { reuse: { mapped: `${directory}/mapped` } });
  second.program('touch').testRun({ data: frame });
  const pinned = BpfMap.openPinned(`${directory}/mapped`);
  t.deepEqual(asU32(pinned.lookup(u32(7))!), [41, 42, 0]);
  t.is(second.map('mapped').info.id, pinned.info.id);
});

test('a pinned map of another shape is refused with the fields that differ', (t) => {
  const directory = pinDirectory(t);
  loadSample(t, { maxEntries: { plain: 10 } })
    .map('plain')
    .pin(`${directory}/plain`);
  const entries = nativeError(t, () => loadSample(t, { reuse: { plain: `${directory}/plain` } }));
  t.is(entries.code, 'EINVAL');
  t.regex(entries.message, /max entries is 10 where the object has 65536/);
  const value = nativeError(t, () =>
    loadSample(t, { reuse: { table: `${directory}/plain` }, maxEntries: { table: 10 } }),
  );
  t.regex(value.message, /type is 2 where the object has 1, key size is 4 .* 8, value size is 8 .* 4$/);
  t.notThrows(() => loadSample(t, { reuse: { plain: `${directory}/plain` }, maxEntries: { plain: 10 } }));
  t.is(nativeError(t, () => loadSample(t, { reuse: { plain: `${directory}/absent` } })).code, 'ENOENT');
});

test('a pin of another kind is refused', (t) => {
  const directory = pinDirectory(t);
  const object = loadSample(t);
  object.program('sum').pin(`${directory}/program`);
  object.map('plain').pin(`${directory}/map`);
  t.is(nativeError(t, () => BpfMap.openPinned(`${directory}/program`)).code, 'EINVAL');
  t.is(nativeError(t, () => BpfProgram.openPinned(`${directory}/map`)).code, 'EINVAL');
  t.is(nativeError(t, () => object.map('plain').pin(`${directory}/map`)).code, 'EEXIST');
  t.is(BpfProgram.openPinned(`${directory}/program`).testRun({ data: frame }).retval, 6);
});

test('handles outlive their object, and refuse to work once they are closed themselves', (t) => {
  const object = loadSample(t);
  const map = object.map('plain');
  const program = object.program('sum');
  object.close();
  object.close();
  map.update(u32(1), u64(5));
  t.is(program.testRun({ data: frame }).retval, 6);
  t.is(nativeError(t, () => object.map('plain')).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => object.mapNames).code, 'ERR_CLOSED');
  map.close();
  map.close();
  program.close();
  t.is(nativeError(t, () => map.lookup(u32(1))).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => map.mmap()).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => map.info).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => program.testRun({ data: frame })).code, 'ERR_CLOSED');
});

test('a file that is no object, and arguments of another type, are refused', (t) => {
  const missing = nativeError(t, () => BpfObject.load('/nonexistent.bpf.o'));
  t.is(missing.code, 'ENOENT');
  t.regex(missing.log ?? '', /nonexistent/);
  const text = nativeError(t, () => BpfObject.load(new URL(import.meta.url).pathname));
  t.regex(text.code, /^LIBBPF_400\d$/);
  const load = BpfObject.load as (...values: unknown[]) => unknown;
  for (const values of [[], [7], ['']]) t.is(nativeError(t, () => load(...values)).code, 'ERR_ARG');
  const options = [
    7,
    { rodata: 7 },
    { rodata: { big: 'x' } },
    { maxEntries: { table: -1 } },
    { maxEntries: { table: 1.5 } },
    { reuse: { table: 1 } },
    { frags: 'yes' },
    { programs: 'sum' },
    { programs: [7] },
  ];
  for (const value of options) t.is(nativeError(t, () => load(objectPath('sample'), value)).code, 'ERR_ARG');
  t.is(nativeError(t, () => Reflect.construct(BpfObject, [])).code, 'ERR_ARG');
  t.is(nativeError(t, () => Reflect.construct(BpfMap, [])).code, 'ERR_ARG');
});

test('what a getter of the options throws reaches the caller', (t) => {
  const options = {
    get frags(): boolean {
      throw new RangeError('from the getter');
    },
  };
  t.throws(() => BpfObject.load(objectPath('sample'), options), { instanceOf: RangeError, message: 'from the getter' });
});
