/** Any row of states over small pools: what holds of each, found by counting every address rather than by ranges. */
import test from 'ava';
import fc from 'fast-check';
import { type Addressed, allocate } from '../../../src/addresses/allocate.js';
import { InvalidError } from '../../../src/base/errors.js';
import { type Family, familyOf, type Ip } from '../../../src/base/ip.js';
import type { AddressPool, AddressRequest, Desired, LoadBalancer, Prefix } from '../../../src/config/desired.js';
import { backend, desiredOf, group, loadBalancer } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

/** Blocks of 8 addresses: 192.0.2.0/29, 192.0.2.8/29... */
const ip = (block: number, offset: number, family: Family): Ip =>
  family === 4
    ? `192.0.2.${block * 8 + offset}`
    : block * 8 + offset === 0
      ? '2001:db8::'
      : `2001:db8::${(block * 8 + offset).toString(16)}`;
const width = { 4: 32, 6: 128 } as const;
const families: readonly Family[] = [4, 6];

interface Shape {
  readonly prefixes: readonly (readonly [family: Family, shorter: number])[];
  readonly reserved: readonly number[];
  readonly scope: 'PUBLIC' | 'PRIVATE';
}
/** Pool i has the blocks 2i and 2i + 1, so that pools never overlap. */
function poolOf(i: number, { prefixes, reserved, scope }: Shape): AddressPool {
  const made = prefixes.map(
    ([family, bits], n): Prefix => ({ address: ip(2 * i + (n % 2), 0, family), bits: width[family] - bits }),
  );
  const holes = reserved.map((offset): Prefix => ({ address: ip(2 * i, offset, 4), bits: 32 }));
  return { name: `p${i}`, scope, prefixes: made, reserved: holes, description: '' };
}
const mostly = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const scope = mostly<Shape['scope']>('PUBLIC', 'PRIVATE');
const shape: fc.Arbitrary<Shape> = fc.record({
  prefixes: fc.uniqueArray(fc.tuple(fc.constantFrom<Family>(4, 6), mostly(3, 0, 1, 2)), {
    minLength: 1,
    maxLength: 4,
    selector: ([family]) => family,
  }),
  reserved: fc.array(fc.nat(7), { maxLength: 2 }),
  scope,
});

const request = (count: number): fc.Arbitrary<AddressRequest> =>
  fc.record({
    pool: mostly('', ...Array.from({ length: count }, (_, i) => `p${i}`)),
    scope,
    families: mostly<readonly Family[]>([4], [6], [4, 6]),
  });

const address = fc
  .tuple(fc.nat(5), fc.nat(7), fc.constantFrom<Family>(4, 6))
  .map(([block, offset, family]) => ip(block, offset, family));

const pools = fc.array(shape, { minLength: 1, maxLength: 3 });

/** Few names, so that they return. */
function stateOver(shapes: readonly Shape[]): fc.Arbitrary<Desired> {
  const asked = fc.record({
    name: fc.constantFrom(...'abcdef'),
    addressRequest: request(shapes.length),
    wish: fc.option(address, { freq: 3 }),
  });
  return fc
    .record({
      own: fc.uniqueArray(address, { maxLength: 1 }),
      backends: fc.uniqueArray(address, { maxLength: 1 }),
      owner: fc.constantFrom('a', 'own'),
      asking: fc.uniqueArray(asked, { maxLength: 6, selector: ({ name }) => name }),
    })
    .map(({ own, backends, owner, asking }) => {
      const balancers = asking
        .filter(({ name }) => own.length === 0 || name !== owner)
        .map(({ name, addressRequest, wish }) =>
          loadBalancer(name, wish === null ? [] : [wish], [], { addressRequest }),
        );
      const vips = own.filter((one) => !backends.includes(one));
      const explicit = own.length === 0 ? [] : [loadBalancer(owner, vips, [])];
      return desiredOf(
        [...balancers, ...explicit],
        [
          group(
            'g',
            'L2_DSR',
            backends.map((one) => backend(one, one)),
          ),
        ],
        { addressPools: shapes.map((one, i) => poolOf(i, one)) },
      );
    });
}

const state = pools.chain(stateOver);
/** The pools stay for the most part, or nearly everything would be refused. */
const history = fc.tuple(pools, pools).chain(([usual, other]) =>
  fc.array(fc.oneof({ weight: 6, arbitrary: stateOver(usual) }, { weight: 1, arbitrary: stateOver(other) }), {
    minLength: 1,
    maxLength: 10,
  }),
);

/** Every address that the pools allowed to `asked` may give, counted out. */
function givable({ addressPools }: Desired, { pool, scope }: AddressRequest, family: Family): Set<Ip> {
  const found = new Set<Ip>();
  for (const one of addressPools) {
    if (pool === '' ? one.scope !== scope : one.name !== pool) continue;
    for (const { address: base, bits } of one.prefixes) {
      if (familyOf(base) !== family) continue;
      const count = 2 ** (width[family] - bits);
      const start = family === 4 ? Number(base.split('.')[3]) : Number.parseInt(base.split('::')[1] || '0', 16);
      for (let n = 0; n < count; n++) {
        const edge = family === 4 ? count > 2 && (n === 0 || n === count - 1) : count > 2 && n === 0;
        if (!edge) found.add(ip(0, start + n, family));
      }
    }
    for (const { address: hole } of one.reserved) found.delete(hole);
  }
  return found;
}

const taken = ({ loadBalancers, backendGroups }: Desired): Set<Ip> =>
  new Set([
    ...loadBalancers.filter(({ addressRequest }) => addressRequest === null).flatMap(({ addresses }) => addresses),
    ...backendGroups.flatMap(({ backends }) => backends.map((one) => one.address)),
  ]);

const asks = (one: LoadBalancer): one is LoadBalancer & { addressRequest: AddressRequest } =>
  one.addressRequest !== null;
const empty: Addressed = { desired: desiredOf([], []), released: [] };

function tryAllocate(wanted: Desired, before: Addressed): Addressed | readonly string[] {
  try {
    return allocate(wanted, before);
  } catch (error) {
    if (error instanceof InvalidError) return error.violations.map(({ description }) => description);
    throw error;
  }
}

/** The states that come into force, each with the one before. */
function eachStep(
  states: readonly Desired[],
  check: (before: Addressed, wanted: Desired, after: Addressed | readonly string[]) => void,
): void {
  let now = empty;
  for (const wanted of states) {
    const after = tryAllocate(wanted, now);
    check(now, wanted, after);
    if ('desired' in after) now = after;
  }
}

const runs = { numRuns: 400 };

test('no address twice, each one that may be given, one of each family asked for', (t) => {
  let given = 0;
  holds(
    fc.property(history, (states) => {
      eachStep(states, (_, wanted, after) => {
        if (!('desired' in after)) return;
        const used = taken(wanted);
        for (const balancer of after.desired.loadBalancers.filter(asks)) {
          const { addressRequest, addresses } = balancer;
          if (String(addresses.map(familyOf)) !== String(addressRequest.families))
            throw new Error(`${balancer.name}: ${addresses}`);
          for (const one of addresses) {
            if (used.has(one)) throw new Error(`${one} twice`);
            if (!givable(wanted, addressRequest, familyOf(one)).has(one)) throw new Error(`${one} may not be given`);
            used.add(one);
            given++;
          }
        }
        const vips = new Set(after.desired.loadBalancers.flatMap(({ addresses }) => addresses));
        if (after.released.some((one) => vips.has(one))) throw new Error('in use and released');
      });
    }),
    runs,
  );
  t.true(given > 500, `${given} addresses were given`);
});

test('who asks as before keeps what it has', (t) => {
  let kept = 0;
  holds(
    fc.property(history, (states) => {
      eachStep(states, (before, _, after) => {
        if (!('desired' in after)) return;
        for (const balancer of after.desired.loadBalancers.filter(asks)) {
          const old = before.desired.loadBalancers.find(({ name }) => name === balancer.name);
          if (!old || JSON.stringify(old.addressRequest) !== JSON.stringify(balancer.addressRequest)) continue;
          if (String(old.addresses) !== String(balancer.addresses)) throw new Error(`${balancer.name} moved`);
          kept++;
        }
      });
    }),
    runs,
  );
  t.true(kept > 50, `${kept} were kept`);
});

test('a refusal for want of addresses is right: all that could be given is in use, or there are too few', (t) => {
  let refusals = 0;
  holds(
    fc.property(state, (wanted) => {
      const after = tryAllocate(wanted, empty);
      const used = taken(wanted);
      const asking = wanted.loadBalancers.filter(asks);
      // By Hall: those that name a pool fit in it, and with them those that name its scope fit in all of the scope's.
      const fits = families.every((family) => {
        const left = (request: AddressRequest): number =>
          [...givable(wanted, request, family)].filter((one) => !used.has(one)).length;
        const want = (of: (request: AddressRequest) => boolean): number =>
          asking.filter(({ addressRequest }) => addressRequest.families.includes(family) && of(addressRequest)).length;
        const poolsFit = wanted.addressPools.every(
          ({ name, scope }) => want(({ pool }) => pool === name) <= left({ pool: name, scope, families: [] }),
        );
        const scopesFit = (['PUBLIC', 'PRIVATE'] as const).every((scope) => {
          const names = wanted.addressPools.filter((one) => one.scope === scope).map(({ name }) => name);
          const all = want(({ pool, scope: wished }) => (pool === '' ? wished === scope : names.includes(pool)));
          return (
            want(({ pool, scope: wished }) => pool === '' && wished === scope) === 0 ||
            all <= left({ pool: '', scope, families: [] })
          );
        });
        return poolsFit && scopesFit;
      });
      // Wishes may take from a pool what another needs; without them the answer is exact.
      const wishes = asking.some(({ addresses }) => addresses.length > 0);
      if ('desired' in after ? !fits : fits && !wishes) throw new Error(`${JSON.stringify(after)}`);
      if (!('desired' in after)) refusals++;
    }),
    { numRuns: 1000 },
  );
  t.true(refusals > 50, `${refusals} refusals`);
});

test('the order of the document decides nothing', (t) => {
  holds(
    fc.property(history, (states) => {
      eachStep(states, (before, wanted, after) => {
        const turned = tryAllocate({ ...wanted, loadBalancers: [...wanted.loadBalancers].reverse() }, before);
        if ('desired' in after !== 'desired' in turned) throw new Error('refused in one order only');
        if (!('desired' in after) || !('desired' in turned)) return;
        const back = {
          ...turned,
          desired: { ...turned.desired, loadBalancers: [...turned.desired.loadBalancers].reverse() },
        };
        t.deepEqual(back, after);
      });
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('the same state again changes nothing, and a lost list of released addresses costs nobody an address', (t) => {
  holds(
    fc.property(history, (states) => {
      eachStep(states, (_, wanted, after) => {
        if (!('desired' in after)) return;
        t.deepEqual(allocate(wanted, after), after);
        t.deepEqual(allocate(wanted, { ...after, released: [] }).desired, after.desired);
        t.deepEqual(allocate(after.desired, empty).desired, after.desired, 'on another node');
      });
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('what was given up is not given again while something else is free', (t) => {
  let chances = 0;
  holds(
    fc.property(history, (states) => {
      eachStep(states, (before, wanted, after) => {
        if (!('desired' in after)) return;
        const used = new Set(after.desired.loadBalancers.flatMap(({ addresses }) => addresses));
        for (const [n, balancer] of after.desired.loadBalancers.entries()) {
          const { addressRequest } = balancer;
          if (addressRequest === null) continue;
          const had = before.desired.loadBalancers.find(({ name }) => name === balancer.name)?.addresses ?? [];
          for (const one of balancer.addresses) {
            if (!before.released.includes(one) || had.includes(one) || wanted.loadBalancers[n]!.addresses.includes(one))
              continue;
            chances++;
            const pool = wanted.addressPools.find(({ name, scope }) =>
              givable(wanted, { pool: name, scope, families: [] }, familyOf(one)).has(one),
            )!;
            const rest = [
              ...givable(wanted, { pool: pool.name, scope: pool.scope, families: [] }, familyOf(one)),
            ].filter((other) => !used.has(other) && !taken(wanted).has(other) && !after.released.includes(other));
            if (rest.length > 0) throw new Error(`${one} though ${rest} never was`);
          }
        }
      });
    }),
    { numRuns: 600 },
  );
  t.true(chances > 5, `${chances} were given again`);
});
