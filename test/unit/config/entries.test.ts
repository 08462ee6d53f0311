import test from 'ava';
import fc from 'fast-check';
import { CapacityError } from '../../../src/base/errors.js';
import { checkAccessListEntries } from '../../../src/config/capacity.js';
import type { Desired, Prefix } from '../../../src/config/desired.js';
import { changed, readEntries } from '../../../src/config/entries.js';
import { contains, formatPrefix, rangeOf, readPrefix } from '../../../src/config/prefix.js';
import { Violations } from '../../../src/config/violations.js';
import { clients, comparePrefixes, prefixOf } from './arbitrary.js';

const some = fc.array(clients, { maxLength: 12 });
const texts = (prefixes: readonly Prefix[]) => prefixes.map(formatPrefix);

function read(of: readonly string[]): readonly Prefix[] {
  const violations = new Violations();
  const entries = readEntries(of, { path: 'entries', violations });
  violations.throwIfAny();
  return entries;
}

test('entries are in the order of numbers, each once', (t) => {
  fc.assert(
    fc.property(some, (prefixes) => {
      const once = [...new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix])).values()];
      t.deepEqual(read(texts([...prefixes, ...prefixes.slice(0, 3)])), once.sort(comparePrefixes));
    }),
  );
});

test('adding and removing gives what reading the resulting set gives', (t) => {
  fc.assert(
    fc.property(some, some, some, fc.nat(), (before, added, removed, share) => {
      const entries = read(texts(before));
      const remove = read(texts([...removed, ...entries.filter((_, index) => (index + share) % 2 === 0)]));
      const gone = new Set(texts(remove));
      const add = read(texts(added).filter((text) => !gone.has(text)));
      const after = changed(entries, { add, remove });
      const had = new Set(texts(entries));
      const expected = new Set([...texts(entries).filter((text) => !gone.has(text)), ...texts(add)]);
      t.deepEqual(after.entries, read([...expected]));
      t.is(after.added, texts(add).filter((text) => !had.has(text)).length);
      t.is(after.removed, [...gone].filter((text) => had.has(text)).length);
    }),
    { numRuns: 500 },
  );
});

test('a prefix with bits behind its length is told the right one, and is never read', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (address, length) => {
      const bits = address.includes(':') ? length : length % 33;
      const found = readPrefix(`${address}/${bits}`);
      // IPv4 within IPv6 has its own rules: validate_features.test.ts.
      if (/:.*\.|^(0*:)*:?ffff:/i.test(address)) return;
      const right = prefixOf(address, bits);
      const message = 'problem' in found ? found.problem : '';
      if (message === '') t.deepEqual('problem' in found ? null : found.prefix, right);
      else t.true(message.includes(`: write "${formatPrefix(right)}", or `), message);
      const again = readPrefix(`${right.address}/${bits}`);
      t.deepEqual('problem' in again ? again : again.prefix, right);
    }),
    { numRuns: 1000 },
  );
});

test('a range holds the first and the last address of its prefix and none beside', (t) => {
  const range = rangeOf({ address: '198.51.100.64', bits: 27 });
  const one = (address: string) => rangeOf({ address, bits: address.includes(':') ? 128 : 32 });
  const within = ['198.51.100.63', '198.51.100.64', '198.51.100.95', '198.51.100.96', '::198.51.100.64'];
  t.deepEqual(
    within.map((address) => contains(range, one(address.replace('::198.51.100.64', '::c633:6440')))),
    [false, true, true, false, false],
  );
  t.deepEqual(rangeOf({ address: '::', bits: 0 }), { first: '0'.repeat(32), last: 'f'.repeat(32) });
});

test('more entries than the node takes are refused with the setting to raise', (t) => {
  const entries = read(['10.0.0.0/8', '2001:db8::/32', '198.51.100.7']);
  const list = { name: 'a', entries, description: '' };
  const state: Desired = { loadBalancers: [], backendGroups: [], accessLists: [list, list], addressPools: [] };
  t.notThrows(() => checkAccessListEntries(state, 6));
  const error = t.throws(() => checkAccessListEntries(state, 5), { instanceOf: CapacityError });
  t.like(error, { setting: 'limits.accessListEntries', limit: 5, wanted: 6 });
});

test('a list of 100,000 entries is read in well under a second, however it is ordered', (t) => {
  const many = Array.from({ length: 100_000 }, (_, index) => {
    const number = Math.imul(index, 0x9e37_79b1) >>> 0;
    return index % 2 === 0
      ? `${(number >>> 24) % 224}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`
      : `2001:db8:${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}::/64`;
  });
  const startedAt = performance.now();
  const entries = read(many);
  const tookMs = performance.now() - startedAt;
  t.log(`${Math.round(tookMs)} ms`);
  t.true(entries.length > 99_000);
  t.true(tookMs < 3000, 'no quadratic work, on a busy machine too');
});
