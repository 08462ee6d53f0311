import test from 'ava';
import { CapacityError } from '../../../src/base/errors.js';
import { IdSpace } from '../../../src/compile/ids.js';

test('numbers are given out from 1, lowest free first, and last as long as their identity', (t) => {
  const ids = new IdSpace('limits.backends', 10);
  t.deepEqual(
    [10n, 20n, 30n].map((identity) => ids.assign(identity)),
    [1, 2, 3],
  );
  t.is(ids.assign(20n), 2);
  ids.release(20n);
  t.is(ids.find(20n), undefined);
  t.is(ids.assign(40n), 2);
  t.is(ids.assign(20n), 4);
  t.is(ids.size, 4);
});

test('what the kernel holds already keeps its number', (t) => {
  const ids = new IdSpace('limits.backends', 10);
  ids.adopt(10n, 2);
  t.deepEqual(
    [20n, 10n, 30n].map((identity) => ids.assign(identity)),
    [1, 2, 3],
  );
});

test('only what is kept stays', (t) => {
  const ids = new IdSpace('limits.backends', 10);
  for (const identity of [10n, 20n, 30n]) ids.assign(identity);
  ids.retain((identity, id) => identity === 10n || id === 3);
  t.deepEqual([ids.find(10n), ids.find(20n), ids.find(30n)], [1, undefined, 3]);
});

test('a full space says which setting to raise, and gives out again what was released', (t) => {
  const ids = new IdSpace('limits.backends', 3);
  ids.assign(10n);
  ids.assign(20n);
  const error = t.throws(() => ids.assign(30n), { instanceOf: CapacityError });
  t.is(error?.setting, 'limits.backends');
  t.is(error?.limit, 2);
  ids.release(10n);
  t.is(ids.assign(30n), 1);
});
