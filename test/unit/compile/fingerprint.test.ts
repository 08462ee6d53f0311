/** Fingerprint, buckets, filter: what the data path computes too, and how well it spreads. */
import test from 'ava';
import * as fc from 'fast-check';
import { ipToBytes } from '../../../src/base/ip.js';
import { bucketsOf, flowTag, maglevSlotOf, sourceTag } from '../../../src/compile/fingerprint.js';
import { maglevSlots } from '../../../src/compile/maglev.js';
import { buildVipFilter, vipFilterBit } from '../../../src/compile/vip-filter.js';
import { deriveKey } from '../../../src/dataplane/settings.js';
import { holds } from '../../support/holds.js';

const key = deriveKey(Buffer.from('one cluster'));
const vip = ipToBytes('192.0.2.10');

const flow = (client: string, sourcePort: number) => ({
  source: ipToBytes(client),
  destination: vip,
  sourcePort,
  destinationPort: 80,
  protocol: 6,
  v6: false,
});

/** Pearson's statistic over its degrees of freedom: about 1 for what looks like chance. */
function unevenness(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0) / (counts.length - 1);
}

test('another key, another choice', (t) => {
  const other = deriveKey(Buffer.from('another cluster'));
  t.not(flowTag(flow('198.51.100.7', 40_000), key), flowTag(flow('198.51.100.7', 40_000), other));
  t.deepEqual(deriveKey(Buffer.from('one cluster')), key);
  t.notDeepEqual(deriveKey(null), deriveKey(null));
});

test('flows that differ in a port alone spread evenly over buckets and Maglev slots', (t) => {
  const first = Array<number>(256).fill(0);
  const second = Array<number>(256).fill(0);
  const slots = Array<number>(256).fill(0);
  for (let port = 1; port <= 60_000; port++) {
    const tag = flowTag(flow('198.51.100.7', port), key);
    const [a, b] = bucketsOf(tag, 256);
    first[a]!++;
    second[b]!++;
    slots[Math.floor((maglevSlotOf(tag) * 256) / maglevSlots)]!++;
  }
  const measured = [first, second, slots].map(unevenness);
  t.log(measured.map((value) => value.toFixed(3)));
  for (const value of measured) t.true(value < 1.5, `${value}`);
});

test('clients that differ in the last byte alone spread evenly', (t) => {
  const slots = Array<number>(64).fill(0);
  for (let a = 0; a < 64; a++) {
    for (let b = 1; b < 255; b++) {
      const tag = sourceTag({ source: ipToBytes(`198.51.${a}.${b}`), v6: false }, key);
      slots[Math.floor((maglevSlotOf(tag) * 64) / maglevSlots)]!++;
    }
  }
  t.true(unevenness(slots) < 1.6, `${unevenness(slots)}`);
});

test('a million flows, and no two alike', (t) => {
  const tags = new BigUint64Array(1_000_000);
  for (let i = 0; i < tags.length; i++) {
    tags[i] = flowTag(flow(`198.51.${100 + (i >> 16)}.${(i >> 8) & 0xff}`, 1024 + (i & 0xff)), key);
  }
  tags.sort();
  t.true(tags.every((tag, i) => i === 0 || tag !== tags[i - 1]));
});

test('the two buckets of a flow are never the same one', (t) => {
  holds(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), fc.integer({ min: 2, max: 1 << 24 }), (tag, buckets) => {
      const [first, second] = bucketsOf(tag, buckets);
      t.not(first, second);
      t.true(first < buckets && second < buckets);
    }),
  );
});

test('the VIP filter has a bit for every VIP and few others', (t) => {
  const vips = Array.from({ length: 1000 }, (_, i) => `192.0.${i >> 8}.${i & 0xff}`);
  const filter = buildVipFilter(vips);
  const has = (ip: string): boolean => {
    const bit = vipFilterBit(ipToBytes(ip));
    return ((filter[bit >> 3]! >> (bit & 7)) & 1) === 1;
  };
  t.true(vips.every(has));
  const strangers = Array.from({ length: 20_000 }, (_, i) => `203.0.${i >> 8}.${i & 0xff}`);
  const taken = strangers.filter(has).length / strangers.length;
  t.log(`${(100 * taken).toFixed(2)} % of strangers pass a filter of 1000 VIPs`);
  t.true(taken < 0.1);
});
