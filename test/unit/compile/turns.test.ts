/** Schedulers that take slots in turn: exact shares, nobody ahead or behind by a whole turn, the same on every node. */
import test from 'ava';
import * as fc from 'fast-check';
import { maglevSlots } from '../../../src/compile/maglev.js';
import { fillSlots, slotCount } from '../../../src/compile/slots.js';
import type { PoolMember } from '../../../src/compile/tables.js';
import { turnCounts, turnsOf } from '../../../src/compile/turns.js';
import { holds } from '../../support/holds.js';

const members = (weights: readonly number[]): PoolMember[] =>
  weights.map((weight, i) => ({ backend: i + 1, seed: `be${i + 1}\x00203.0.113.${i + 1}`, weight }));

const weightsOf = (max: number, most: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max }), { minLength: 1, maxLength: most });

/** Turns of each member so far, less its share of the turns so far: the most that anybody is ahead or behind. */
function furthestFromShare(turns: Uint16Array, counts: readonly number[]): number {
  const had = counts.map(() => 0);
  let furthest = 0;
  turns.forEach((backend, i) => {
    had[backend - 1]!++;
    had.forEach((turnsHad, one) => {
      furthest = Math.max(furthest, Math.abs(turnsHad - ((i + 1) * counts[one]!) / turns.length));
    });
  });
  return furthest;
}

test('whoever has twice the weight has twice the turns, in the shortest sequence in which that holds', (t) => {
  holds(
    fc.property(weightsOf(100, 30), (weights) => {
      const turns = turnsOf(members(weights));
      const had = weights.map((_, i) => turns.filter((backend) => backend === i + 1).length);
      weights.forEach((weight, i) => {
        t.is(had[i]! * weights[0]!, had[0]! * weight);
      });
      t.is(
        had.reduce((a, b) => gcd(a, b)),
        1,
        'no shorter one would do',
      );
    }),
    { numRuns: 100 },
  );
});

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

test('after any number of turns nobody is a whole turn ahead of its share, or behind it', (t) => {
  let worst = 0;
  holds(
    fc.property(weightsOf(100, 12), (weights) => {
      const furthest = furthestFromShare(turnsOf(members(weights)), turnCounts(weights));
      worst = Math.max(worst, furthest);
      t.true(furthest < 1, `${furthest}`);
    }),
    { numRuns: 100 },
  );
  t.log(`at most ${worst.toFixed(3)} of a turn`);
});

test('turns are not taken in runs: 5 to 1 to 1 to 1 to 1', (t) => {
  t.deepEqual([...turnsOf(members([5, 1, 1, 1, 1]))], [1, 1, 2, 1, 3, 1, 4, 1, 5]);
  t.deepEqual([...turnsOf(members([50, 100]))], [2, 1, 2]);
  t.deepEqual([...turnsOf(members([7, 7, 7]))], [1, 2, 3]);
});

test('every node takes the same turns, in whatever order it names the backends; a number places nobody', (t) => {
  holds(
    fc.property(weightsOf(20, 15), fc.infiniteStream(fc.nat()), (weights, order) => {
      const inOrder = members(weights);
      const shuffled = inOrder
        .map((member) => ({ member, at: order.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ member }) => member);
      t.deepEqual(turnsOf(shuffled), turnsOf(inOrder));
      const renumbered = inOrder.map((member) => ({ ...member, backend: member.backend + 1000 }));
      t.deepEqual(
        turnsOf(renumbered).map((backend) => backend - 1000),
        turnsOf(inOrder),
      );
    }),
    { numRuns: 30 },
  );
});

test('nobody has no turns', (t) => {
  t.deepEqual(turnCounts([]), []);
  t.is(turnsOf([]).length, 0);
});

test('what no 65537 turns can divide exactly is divided to the nearest turn, and everybody has one', (t) => {
  holds(
    fc.property(weightsOf(2000, 60), (weights) => {
      const scaled = weights.map((weight) => weight * 2039 + 1);
      const counts = turnCounts(scaled);
      const total = scaled.reduce((a, b) => a + b, 0);
      if (total <= maglevSlots || scaled.length === 1) return;
      t.is(
        counts.reduce((a, b) => a + b, 0),
        maglevSlots,
      );
      counts.forEach((count, i) => {
        const quota = (maglevSlots * scaled[i]!) / total;
        t.true(count >= 1 && Math.abs(count - quota) <= Math.max(1, 2 - quota), `${count} of ${quota}`);
      });
    }),
  );
});

test('ten thousand backends of which half have a hundredth of the weight: each of them has its turn', (t) => {
  const counts = turnCounts(Array.from({ length: 10_000 }, (_, i) => (i % 2 ? 1 : 100)));
  t.is(
    counts.reduce((a, b) => a + b, 0),
    maglevSlots,
  );
  t.is(Math.min(...counts), 1);
  t.true(Math.max(...counts) - Math.min(...counts.filter((_, i) => i % 2 === 0)) <= 1);
});

test('the longest sequence for a thousand backends is there in milliseconds', (t) => {
  const many = members(Array.from({ length: 1000 }, (_, i) => 1 + ((i * 7919) % 131)));
  const times = [1, 2, 3].map(() => {
    const startedMs = performance.now();
    t.is(turnsOf(many).length, maglevSlots);
    return performance.now() - startedMs;
  });
  t.log(`${times.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  // 8 ms on a machine with nothing else to do.
  t.true(Math.min(...times) < 250);
});

test('a table holds its slots over and over: wherever a reader looks there is a member', (t) => {
  for (const order of ['turns', 'members'] as const) {
    for (const weights of [[1], [3, 1], [100, 50, 7], Array.from({ length: 600 }, (_, i) => 1 + (i % 100))]) {
      const row = { order, members: members(weights) };
      const table = fillSlots(row);
      const slots = slotCount(row);
      t.is(table.length, maglevSlots);
      t.true(table.every((backend, i) => backend !== 0 && backend === table[i % slots]));
    }
  }
});

test('members compared by load are named once each, whatever their weight; without any the table is empty', (t) => {
  const row = { order: 'members' as const, members: members([100, 1, 50]) };
  t.is(slotCount(row), 3);
  t.deepEqual([...fillSlots(row).subarray(0, 3)], [1, 2, 3]);
  for (const order of ['turns', 'members'] as const) {
    t.true(fillSlots({ order, members: [] }).every((backend) => backend === 0));
    t.is(slotCount({ order, members: [] }), 1);
  }
});
