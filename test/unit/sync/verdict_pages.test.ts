import test from 'ava';
import * as fc from 'fast-check';
import type { Verdicts } from '../../../src/cluster/types.js';
import { pagesOf, VerdictReader, VerdictSender } from '../../../src/sync/verdict_pages.js';
import { decodeControl, encodeControl } from '../../../src/sync/wire.js';
import { holds } from '../../support/holds.js';
import { SimClock } from '../../support/sync/sim_clock.js';

const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }), { maxLength: 700 });
const verdicts = fc
  .record({ configDigest: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), ids, bad: fc.nat(700) })
  .map(({ configDigest, ids, bad }) => ({
    configDigest,
    unhealthy: new Set(ids.slice(0, bad)),
    unknown: new Set(ids.slice(bad)),
  }));

test('pages fit a datagram, and put together in any order, with repetitions, they are what was said', (t) => {
  holds(
    fc.property(verdicts, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (said, dice) => {
      const pages = pagesOf(said, 5n);
      for (const page of pages) t.true(encodeControl({ verdicts: page }).byteLength < 1300);
      const shuffled = [...pages, ...pages.slice(0, 2)]
        .map((page) => ({ page, at: dice.next().value as number }))
        .sort((a, b) => a.at - b.at);
      const reader = new VerdictReader();
      for (const { page } of shuffled) reader.take(page, 1000);
      t.deepEqual(reader.verdicts(1000), said);
    }),
    { numRuns: 50 },
  );
});

test('an edition of which a page is missing changes nothing; an older one is not taken after a newer', (t) => {
  const reader = new VerdictReader();
  const [first, second] = [1n, 2n].map((edition) =>
    pagesOf(
      {
        configDigest: edition,
        unhealthy: new Set(Array.from({ length: 400 }, (_, i) => BigInt(i) + edition)),
        unknown: new Set(),
      },
      edition,
    ),
  );
  for (const page of first!) reader.take(page, 0);
  t.is(reader.verdicts(0)!.configDigest, 1n);
  for (const page of second!.slice(1)) t.false(reader.take(page, 100));
  t.is(reader.verdicts(100)!.configDigest, 1n);
  t.true(reader.take(second![0]!, 200));
  t.is(reader.verdicts(200)!.configDigest, 2n);
  for (const page of first!) t.false(reader.take(page, 300));
  t.is(reader.verdicts(300)!.configDigest, 2n);
});

test('verdicts that change faster than their pages go out reach the others all the same, the newest last', async (t) => {
  const reader = new VerdictReader();
  const clock = new SimClock();
  let whole = 0;
  const sender = new VerdictSender({
    clock,
    send: (body) => {
      if (reader.take(decodeControl(body)!.verdicts!, clock.monotonicMs())) whole++;
    },
  });
  const fails = (count: number): Verdicts => ({
    configDigest: 1n,
    unhealthy: new Set(Array.from({ length: count }, (_, i) => BigInt(i + 1))),
    unknown: new Set(),
  });
  // 3,000 backends of a site that goes dark, ten in each millisecond.
  for (let count = 10; count <= 3000; count += 10) {
    sender.set(fails(count));
    await clock.advance(1);
  }
  t.true(whole >= 5, `${whole} editions while they changed`);
  await clock.advance(250);
  t.deepEqual(reader.verdicts(clock.monotonicMs()), fails(3000), 'two passes of 20 pages later at the latest');
  sender.close();
});

test('pages that no sender makes are ignored', (t) => {
  const reader = new VerdictReader();
  const page = { configDigest: 1n, edition: 1n, page: 0, pages: 1, unhealthy: [], unknown: [] };
  t.false(reader.take({ ...page, pages: 0 }, 0));
  t.false(reader.take({ ...page, page: 1 }, 0));
  t.false(reader.take({ ...page, pages: 4_000_000_000, page: 7 }, 0));
  t.is(reader.verdicts(0), null);
});
