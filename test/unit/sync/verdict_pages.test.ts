import test from 'ava';
import * as fc from 'fast-check';
import { pagesOf, VerdictReader } from '../../../src/sync/verdict_pages.js';
import { encodeControl } from '../../../src/sync/wire.js';
import { holds } from '../../support/holds.js';

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

test('pages that no sender makes are ignored', (t) => {
  const reader = new VerdictReader();
  const page = { configDigest: 1n, edition: 1n, page: 0, pages: 1, unhealthy: [], unknown: [] };
  t.false(reader.take({ ...page, pages: 0 }, 0));
  t.false(reader.take({ ...page, page: 1 }, 0));
  t.false(reader.take({ ...page, pages: 4_000_000_000, page: 7 }, 0));
  t.is(reader.verdicts(0), null);
});
