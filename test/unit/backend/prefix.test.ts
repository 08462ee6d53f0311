import test from 'ava';
import fc from 'fast-check';
import { formatPrefix, mappedBits, parsePrefix, prefixFromMapped } from '../../../src/backend/prefix.js';
import { ipToBytes } from '../../../src/base/ip.js';

test('an address is the longest prefix of its family; a prefix keeps its length', (t) => {
  t.deepEqual(parsePrefix('203.0.113.7'), { address: '203.0.113.7', bits: 32 });
  t.deepEqual(parsePrefix('203.0.113.0/24'), { address: '203.0.113.0', bits: 24 });
  t.deepEqual(parsePrefix('2001:DB8::1'), { address: '2001:db8::1', bits: 128 });
  t.deepEqual(parsePrefix('2001:db8::/32'), { address: '2001:db8::', bits: 32 });
  t.deepEqual(parsePrefix('0.0.0.0/0'), { address: '0.0.0.0', bits: 0 });
  t.deepEqual(parsePrefix('::/0'), { address: '::', bits: 0 });
});

test('what is no prefix is refused, and so are bits behind the length', (t) => {
  for (const text of [
    '',
    '10',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    'host',
    '10.0.0.1/24',
    '2001:db8::1/64',
    '10.0.0.0/',
  ]) {
    t.is(parsePrefix(text), null, text);
  }
});

test('a prefix comes back from the key that the map holds', (t) => {
  const ipv4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
  const ipv6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }));
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), ([host, length]) => {
      const prefix = parsePrefix(`${host}/${length}`);
      if (prefix === null) return;
      const again = prefixFromMapped(ipToBytes(prefix.address), mappedBits(prefix));
      t.is(formatPrefix(again), formatPrefix(prefix));
    }),
  );
  t.pass();
});
