/** The lookup table: fair, in proportion to weights, and calm when one of its backends changes. */
import test from 'ava';
import * as fc from 'fast-check';
import { fillMaglev, maglevSlots } from '../../../src/compile/maglev.js';
import type { PoolMember } from '../../../src/compile/tables.js';
import { fillTable } from '../../../src/dataplane/maglev-fill.js';
import { holds } from '../../support/holds.js';

const members = (count: number, weight: (i: number) => number = () => 100): PoolMember[] =>
  Array.from({ length: count }, (_, i) => ({
    backend: i + 1,
    seed: `be${i + 1}\x00203.0.113.${i + 1}`,
    weight: weight(i),
  }));

function shares(table: Uint16Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const backend of table) counts.set(backend, (counts.get(backend) ?? 0) + 1);
  return counts;
}

/** Share of the table, in percent, that changed between backends that are both others than `own`. */
function othersMoved(before: Uint16Array, after: Uint16Array, own: number): number {
  const moved = before.reduce(
    (n, backend, slot) => n + (backend !== after[slot] && backend !== own && after[slot] !== own ? 1 : 0),
    0,
  );
  return (100 * moved) / maglevSlots;
}

test('100 backends of equal weight: every share is within 1 % of the mean', (t) => {
  const counts = [...shares(fillMaglev(members(100))).values()];
  const mean = maglevSlots / 100;
  t.is(counts.length, 100);
  t.log(`mean ${mean}, from ${Math.min(...counts)} to ${Math.max(...counts)}`);
  for (const count of counts) t.true(Math.abs(count - mean) <= mean * 0.01);
});

test('shares are in proportion to weights', (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 100 });
  holds(
    fc.property(weights, (each) => {
      const total = each.reduce((sum, weight) => sum + weight, 0);
      const counts = shares(fillMaglev(members(each.length, (i) => each[i]!)));
      each.forEach((weight, i) => {
        const fair = (maglevSlots * weight) / total;
        const count = counts.get(i + 1) ?? 0;
        /* The last round of turns is cut off somewhere: two slots more or less. */
        t.true(Math.abs(count - fair) <= Math.max(2, fair * 0.01), `weight ${weight} of ${total}: ${count} of ${fair}`);
      });
    }),
    { numRuns: 30 },
  );
});

test('every node fills the same table, in whatever order it names the backends', (t) => {
  const weights = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 40 });
  holds(
    fc.property(weights, fc.infiniteStream(fc.nat()), (each, order) => {
      const inOrder = members(each.length, (i) => each[i]!);
      const shuffled = inOrder
        .map((member) => ({ member, at: order.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ member }) => member);
      t.deepEqual(fillMaglev(shuffled), fillMaglev(inOrder));
    }),
    { numRuns: 20 },
  );
});

test('a backend is placed by its name and address, not by its number', (t) => {
  const table = fillMaglev(members(10));
  const renumbered = fillMaglev(members(10).map((member) => ({ ...member, backend: member.backend + 1000 })));
  t.deepEqual(
    renumbered.map((backend) => backend - 1000),
    table,
  );
});

test('the native filling gives the same table', async (t) => {
  for (const each of [
    members(1),
    members(100),
    members(37, (i) => (i * 13) % 101),
    members(3, (i) => [100, 1, 50][i]!),
  ]) {
    const native = await fillTable(each);
    const slots = new Uint16Array(native.buffer, native.byteOffset, maglevSlots);
    t.deepEqual(Buffer.from(slots.buffer, slots.byteOffset, slots.byteLength), Buffer.from(fillMaglev(each).buffer));
  }
});

test('weight 0 gets nothing; with nobody left the table is empty', (t) => {
  t.false(shares(fillMaglev(members(3, (i) => (i === 1 ? 0 : 100)))).has(2));
  t.deepEqual([...shares(fillMaglev(members(2, () => 0)))], [[0, maglevSlots]]);
  t.deepEqual([...shares(fillMaglev([]))], [[0, maglevSlots]]);
});

test('a table filled before is filled wholly anew', (t) => {
  const out = new Uint16Array(maglevSlots).fill(9999);
  t.deepEqual(fillMaglev(members(5), out), fillMaglev(members(5)));
});

test('removing, adding or reweighting one backend moves at most 1 % of the table between the others', (t) => {
  for (const count of [3, 10, 50, 100, 200]) {
    const before = fillMaglev(members(count));
    const removed = [1, Math.ceil(count / 2), count].map((own) =>
      othersMoved(before, fillMaglev(members(count).filter(({ backend }) => backend !== own)), own),
    );
    const added = othersMoved(before, fillMaglev(members(count + 1)), count + 1);
    const reweighted = [99, 50, 1, 0].map((weight) =>
      othersMoved(before, fillMaglev(members(count, (i) => (i === 0 ? weight : 100))), 1),
    );
    const text = (moved: readonly number[]): string => moved.map((percent) => percent.toFixed(2)).join(' / ');
    t.log(
      `${count} backends, % moved between others: removed ${text(removed)}, added ${text([added])}, weight 100 to 99/50/1/0 ${text(reweighted)}`,
    );
    t.true(Math.max(...removed, added, ...reweighted) <= 1);
  }
});

test('a change of weight gives and takes in proportion', (t) => {
  const before = fillMaglev(members(10));
  const after = fillMaglev(members(10, (i) => (i === 0 ? 50 : 100)));
  const lost = before.filter((backend, slot) => backend === 1 && after[slot] !== 1).length;
  const won = after.filter((backend, slot) => backend === 1 && before[slot] !== 1).length;
  const fairLoss = maglevSlots / 10 - (maglevSlots * 50) / 950;
  t.log(`lost ${lost} slots, fair ${Math.round(fairLoss)}; won ${won}`);
  t.true(lost - won >= fairLoss * 0.98 && lost - won <= fairLoss * 1.02);
  t.true(won < maglevSlots * 0.01);
});
