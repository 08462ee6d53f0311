import test from 'ava';
import { TrafficWatch } from '../../../src/cluster/traffic.js';

/** Packets (and new sessions) so far, each 250 ms; true once it is said to be gone. */
function watch(before: number, packets: readonly number[], newSessions: readonly number[] = []): boolean[] {
  const traffic = new TrafficWatch(before);
  return packets.map((count, i) => {
    traffic.add({ atMs: 5000 + i * 250, packets: BigInt(count), newSessions: BigInt(newSessions[i] ?? 0) });
    return traffic.gone;
  });
}

test('traffic has gone when none came for a second', (t) => {
  t.deepEqual(watch(0, [7, 7, 7, 7, 7]), [false, false, false, false, true]);
});

test('traffic that stops late is waited for', (t) => {
  t.deepEqual(watch(400, [0, 100, 200, 200, 200, 200, 200]), [false, false, false, false, false, false, true]);
});

test('one packet a second is no traffic, two are', (t) => {
  t.true(watch(0, [0, 0, 1, 1, 1]).at(-1));
  t.false(watch(0, [0, 0, 1, 2, 2]).at(-1));
});

test('of much traffic a thousandth may stay', (t) => {
  t.true(watch(100_000, [0, 25, 50, 75, 100]).at(-1));
  t.false(watch(99_000, [0, 25, 50, 75, 100]).at(-1));
});

test('a new session is traffic, however few packets it has', (t) => {
  t.false(watch(100_000, [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]).at(-1));
});

test('the rate is that of the last second', (t) => {
  const traffic = new TrafficWatch(0);
  t.is(traffic.packetsPerSecond, 0);
  for (let i = 0; i <= 8; i++)
    traffic.add({ atMs: i * 250, packets: BigInt(i < 4 ? 0 : (i - 4) * 10), newSessions: 0n });
  t.is(traffic.packetsPerSecond, 40);
});
