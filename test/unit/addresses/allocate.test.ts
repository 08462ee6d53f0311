import test from 'ava';
import * as fc from 'fast-check';
import { type Addressed, allocate } from '../../../src/addresses/allocate.js';
import { toIp, toNumber } from '../../../src/addresses/ranges.js';
import { usesOf } from '../../../src/addresses/use.js';
import { InvalidError } from '../../../src/base/errors.js';
import { bytesToIp, type Family, familyOf, type Ip } from '../../../src/base/ip.js';
import type { AddressPool, AddressRequest, Desired, LoadBalancer, Prefix } from '../../../src/config/desired.js';
import { configDigest } from '../../../src/config/digest.js';
import { backend, desiredOf, group, loadBalancer } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

function prefix(text: string): Prefix {
  const [address, bits] = text.split('/');
  return { address: address!, bits: bits === undefined ? (familyOf(address!) === 4 ? 32 : 128) : Number(bits) };
}

function pool(
  name: string,
  prefixes: readonly string[],
  fields: Partial<AddressPool> & { without?: readonly string[] } = {},
): AddressPool {
  const { without = [], ...rest } = fields;
  return {
    name,
    scope: 'PUBLIC',
    prefixes: prefixes.map(prefix),
    reserved: without.map(prefix),
    description: '',
    ...rest,
  };
}

const asking = (name: string, request: Partial<AddressRequest> = {}, addresses: readonly Ip[] = []): LoadBalancer =>
  loadBalancer(name, addresses, [], { addressRequest: { pool: '', scope: 'PUBLIC', families: [4], ...request } });

const nothing: Addressed = { desired: desiredOf([], []), released: [] };
const both: readonly Family[] = [4, 6];
const small = [pool('small', ['192.0.2.0/29'])];

const site = (balancers: readonly LoadBalancer[], addressPools: readonly AddressPool[] = small): Desired =>
  desiredOf(balancers, [], { addressPools });

const addressesOf = ({ desired }: Addressed): Record<string, readonly Ip[]> =>
  Object.fromEntries(desired.loadBalancers.map(({ name, addresses }) => [name, addresses]));

/** One state after the other. */
function run(...states: readonly Desired[]): Addressed {
  return states.reduce<Addressed>((before, wanted) => allocate(wanted, before), nothing);
}

function faults(wanted: Desired, before: Addressed = nothing): readonly string[] {
  try {
    allocate(wanted, before);
  } catch (error) {
    if (error instanceof InvalidError)
      return error.violations.map(({ field, description }) => `${field}: ${description}`);
    throw error;
  }
  return [];
}

test('a LoadBalancer is given one address of each family that it asks for, hosts’ addresses only', (t) => {
  const pools = [pool('v4', ['192.0.2.0/30', '203.0.113.8/31']), pool('v6', ['2001:db8:10::/64'])];
  const names = ['a', 'b', 'c', 'd'];
  const given = addressesOf(
    run(
      site(
        names.map((name) => asking(name, { families: both })),
        pools,
      ),
    ),
  );
  t.deepEqual(given, {
    a: ['192.0.2.1', '2001:db8:10::1'],
    b: ['192.0.2.2', '2001:db8:10::2'],
    c: ['203.0.113.8', '2001:db8:10::3'],
    d: ['203.0.113.9', '2001:db8:10::4'],
  });
});

test('a /127, a /128 and a /32 are given whole', (t) => {
  const pools = [pool('one', ['2001:db8::2/127', '2001:db8::8/128', '192.0.2.7/32'])];
  const given = addressesOf(
    run(site([...['a', 'b', 'c'].map((name) => asking(name, { families: [6] })), asking('d')], pools)),
  );
  t.deepEqual(given, { a: ['2001:db8::2'], b: ['2001:db8::3'], c: ['2001:db8::8'], d: ['192.0.2.7'] });
});

test('reserved addresses, VIPs of others and backends’ addresses are never given', (t) => {
  const pools = [pool('p', ['192.0.2.0/28'], { without: ['192.0.2.1', '192.0.2.8/29'] })];
  const desired = desiredOf(
    [asking('a'), loadBalancer('own', ['192.0.2.2', '192.0.2.4'], []), asking('b')],
    [group('g', 'L2_DSR', [backend('be', '192.0.2.3')])],
    { addressPools: pools },
  );
  t.deepEqual(addressesOf(run(desired)), { a: ['192.0.2.5'], own: ['192.0.2.2', '192.0.2.4'], b: ['192.0.2.6'] });
  const [fault] = faults({ ...desired, loadBalancers: [...desired.loadBalancers, asking('c'), asking('d')] });
  t.is(
    fault,
    'loadBalancers[4].addressRequest: no free IPv4 address for "d" (1 LoadBalancer without): all in use, 6 of pool "p" ' +
      '(addressPools[0]): add a prefix to addressPools[0].prefixes, or delete LoadBalancers',
  );
});

test('addresses stay over reordering, over neighbours that come and go, and without the list of what was released', (t) => {
  const first = run(site(['b', 'a', 'c'].map((name) => asking(name))));
  t.deepEqual(addressesOf(first), { a: ['192.0.2.1'], b: ['192.0.2.2'], c: ['192.0.2.3'] });
  const later = allocate(site(['c', 'new', 'b'].map((name) => asking(name))), first);
  t.deepEqual(addressesOf(later), { c: ['192.0.2.3'], new: ['192.0.2.4'], b: ['192.0.2.2'] });
  const forgotten = allocate(site(['b', 'c', 'new', 'x'].map((name) => asking(name))), { ...later, released: [] });
  t.like(addressesOf(forgotten), { b: ['192.0.2.2'], c: ['192.0.2.3'], new: ['192.0.2.4'], x: ['192.0.2.1'] });
});

test('what is given up rests until everything else was given, and returns in its order', (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const full = run(site(names.map((name) => asking(name))));
  let now = allocate(site(['a', 'b', 'c'].map((name) => asking(name))), full);
  t.deepEqual(now.released, ['192.0.2.4', '192.0.2.5', '192.0.2.6']);
  now = allocate(site(['b', 'c', 'g'].map((name) => asking(name))), now);
  t.deepEqual(addressesOf(now)['g'], ['192.0.2.4']);
  t.deepEqual(now.released, ['192.0.2.5', '192.0.2.6', '192.0.2.1']);
  now = allocate(site(['b', 'c', 'g', 'a'].map((name) => asking(name))), now);
  t.deepEqual(addressesOf(now)['a'], ['192.0.2.5'], 'its own was given up: a name that returns is a new one');
});

test('an explicit VIP of a pool that is given up rests, too', (t) => {
  const now = run(site([loadBalancer('own', ['192.0.2.1'], [])]), site([asking('a')]));
  t.deepEqual(addressesOf(now), { a: ['192.0.2.2'] });
  t.deepEqual(now.released, ['192.0.2.1']);
});

test('pools of a scope are asked in the order of the document, and a pool can be named', (t) => {
  const pools = [
    pool('inside', ['10.0.0.0/30'], { scope: 'PRIVATE' }),
    pool('first', ['192.0.2.0/31']),
    pool('second', ['203.0.113.0/31']),
  ];
  const wanted = [
    asking('a'),
    asking('b'),
    asking('c'),
    asking('d', { scope: 'PRIVATE' }),
    asking('z', { pool: 'first' }),
  ];
  t.deepEqual(addressesOf(run(site(wanted, pools))), {
    a: ['192.0.2.1'],
    b: ['203.0.113.0'],
    c: ['203.0.113.1'],
    d: ['10.0.0.1'],
    z: ['192.0.2.0'],
  });
});

test('another pool asked for is another address; the one before is released', (t) => {
  const pools = [pool('first', ['192.0.2.0/30']), pool('second', ['203.0.113.0/30'])];
  const now = run(site([asking('a')], pools), site([asking('a', { pool: 'second' })], pools));
  t.deepEqual(addressesOf(now), { a: ['203.0.113.1'] });
  t.deepEqual(now.released, ['192.0.2.1']);
});

test('addresses of its own that a pool gives are kept when a LoadBalancer asks the pool', (t) => {
  const now = run(site([loadBalancer('a', ['192.0.2.5'], [])]), site([asking('a')]));
  t.deepEqual(addressesOf(now), { a: ['192.0.2.5'] });
});

test('what a document says was assigned is given where it can be, so that two nodes agree', (t) => {
  const one = run(site(['x', 'a'].map((name) => asking(name))), site([asking('a'), asking('b')]), site([asking('b')]));
  const elsewhere = allocate(one.desired, nothing);
  t.deepEqual(addressesOf(elsewhere), addressesOf(one));
  const wishes = site([
    asking('a', {}, ['192.0.2.3']),
    asking('b', {}, ['192.0.2.3']),
    asking('c', {}, ['198.51.100.1', '2001:db8::1']),
  ]);
  t.deepEqual(addressesOf(run(wishes)), { a: ['192.0.2.3'], b: ['192.0.2.1'], c: ['192.0.2.2'] });
  t.deepEqual(
    addressesOf(allocate(site([asking('b', {}, ['192.0.2.6'])]), one)),
    addressesOf(one),
    'what is in force is stronger',
  );
});

test('nodes that were told the same in the same order want the same; one that came later shows that it does not, until it is told what was assigned', (t) => {
  const past = [
    site([asking('a'), asking('b'), asking('c')]),
    site([asking('b'), asking('c')]),
    site([asking('b'), asking('d')]),
  ];
  const last = site([asking('d'), asking('b')]);
  const [one, two, late] = [run(...past, last), run(...past, last), run(last)];
  t.is(configDigest(two.desired), configDigest(one.desired));
  t.not(configDigest(late.desired), configDigest(one.desired), 'it gave the lowest ones');
  const told = site(one.desired.loadBalancers);
  t.is(configDigest(run(told).desired), configDigest(one.desired), 'a new node with the document of spillway get');
});

test('pools of /64 and /48 are neither enumerated nor ever full', (t) => {
  const pools = [pool('wide', ['2001:db8::/48'], { without: ['2001:db8::/64', '2001:db8:0:1::/112'] })];
  const names = Array.from({ length: 500 }, (_, i) => `n${String(i).padStart(3, '0')}`);
  const startedMs = performance.now();
  const given = run(
    site(
      names.map((name) => asking(name, { families: [6] })),
      pools,
    ),
  );
  t.deepEqual(addressesOf(given)['n000'], ['2001:db8:0:1::1:0']);
  t.deepEqual(addressesOf(given)['n499'], ['2001:db8:0:1::1:1f3']);
  const [use] = usesOf(given.desired);
  t.is(use!.families[0]!.size, (1n << 80n) - (1n << 64n) - (1n << 16n));
  t.is(use!.families[0]!.free, use!.families[0]!.size - 500n);
  t.true(performance.now() - startedMs < 2000);
});

test('addresses and numbers are two ways to write one thing', (t) => {
  holds(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(0xff), fc.boolean(), (bytes, zeros, four) => {
      // Runs of zeros, in groups of two bytes.
      for (let group = 0; group < 8; group++) if (zeros & (1 << group)) bytes.fill(0, group * 2, group * 2 + 2);
      if (four) bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
      const ip = bytesToIp(bytes);
      t.is(toIp(toNumber(ip), familyOf(ip)), ip);
    }),
    { numRuns: 3000 },
  );
  t.is(toNumber('255.255.255.255'), 2n ** 32n - 1n);
  t.is(toNumber('::'), 0n);
  t.is(toNumber('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), 2n ** 128n - 1n);
});

test('a family that no pool has is said', (t) => {
  t.deepEqual(faults(site([asking('a', { families: both })])), [
    'loadBalancers[0].addressRequest: no PUBLIC pool has IPv6 addresses: add one to addressPools, or leave IPV6 out of families',
  ]);
  t.deepEqual(faults(site([asking('a', { pool: 'small', families: [6] })])), [
    'loadBalancers[0].addressRequest: pool "small" does not have IPv6 addresses: add a prefix to it, or leave IPV6 out of families',
  ]);
});

test('an exhausted pool names each LoadBalancer that goes without, and nobody is given anything', (t) => {
  const before = run(site(['a', 'b', 'c', 'd'].map((name) => asking(name))));
  const wanted = site(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => asking(name)));
  const found = faults(wanted, before);
  t.deepEqual(
    found.map((text) => text.split(':')[0]),
    ['loadBalancers[6].addressRequest', 'loadBalancers[7].addressRequest'],
  );
  t.regex(found[0]!, /no free IPv4 address for "g" \(2 LoadBalancers without\): all in use, 6 of pool "small"/);
  t.deepEqual(addressesOf(before), { a: ['192.0.2.1'], b: ['192.0.2.2'], c: ['192.0.2.3'], d: ['192.0.2.4'] });
});

test('a pool, a prefix or a scope in use is not taken away: the refusal names who has what', (t) => {
  const balancers = [asking('a'), asking('b', { pool: 'small' })];
  const before = run(site(balancers));
  const left = (pools: readonly AddressPool[]) =>
    faults(site([asking('a'), asking('b', { pool: 'small' })], pools), before);
  const remedy = 'first give them another pool or addresses of their own, or delete them';
  // Who names a pool has no other to take from, and so is served first.
  const holders = 'LoadBalancers "a" (192.0.2.2), "b" (192.0.2.1)';
  t.deepEqual(left([pool('other', ['203.0.113.0/24'])]), [
    `addressPools: pool "small" is left out, but ${holders} have addresses from there: ${remedy}`,
  ]);
  t.deepEqual(left([pool('small', ['203.0.113.0/24', '192.0.2.1/32'])]), [
    `addressPools[0].prefixes: pool "small" gives 192.0.2.2 no more, but LoadBalancer "a" (192.0.2.2) has it from there: ${remedy}`,
  ]);
  t.deepEqual(left([pool('small', ['192.0.2.0/29'], { without: ['192.0.2.1'] })]), [
    `addressPools[0].reserved[0]: 192.0.2.1 is reserved now, but LoadBalancer "b" (192.0.2.1) has it from there: ${remedy}`,
  ]);
  t.deepEqual(left([pool('small', ['192.0.2.0/29'], { scope: 'PRIVATE' })]), [
    `addressPools[0].scope: pool "small" is PRIVATE now, but LoadBalancer "a" (192.0.2.2) has it from there: ${remedy}`,
  ]);
  const moved = [asking('a', { pool: 'other' }), asking('b', { pool: 'other' })];
  t.deepEqual(faults(site(moved, [pool('other', ['203.0.113.0/24'])]), before), [], 'asked to move, they move');
  t.deepEqual(
    faults(site(balancers, [pool('larger', ['203.0.113.0/24']), pool('small', ['192.0.2.0/28'])]), before),
    [],
  );
});

test('an address that was given cannot become another’s VIP or a backend’s', (t) => {
  const before = run(site([asking('a')]));
  t.deepEqual(faults(site([loadBalancer('own', ['203.0.113.1', '192.0.2.1'], []), asking('a')]), before), [
    'loadBalancers[0].addresses[1]: 192.0.2.1 was given to LoadBalancer "a" from a pool: choose another VIP, or give "a" addresses of its own first',
  ]);
  const backends = [group('g', 'L2_DSR', [backend('x', '203.0.113.9'), backend('be', '192.0.2.1')])];
  t.deepEqual(faults(desiredOf([asking('a')], backends, { addressPools: small }), before), [
    'backendGroups[0].backends[1].address: 192.0.2.1 is the VIP that LoadBalancer "a" was given: a backend is reached at an address of its own',
  ]);
  const taken = allocate(site([loadBalancer('a', ['192.0.2.1'], []), asking('b')]), before);
  t.deepEqual(addressesOf(taken), { a: ['192.0.2.1'], b: ['192.0.2.2'] }, 'its own name may make it its own');
});

test('a state that asks nothing is left as it is, object by object', (t) => {
  const desired = desiredOf([loadBalancer('own', ['192.0.2.1'], [])], []);
  t.is(allocate(desired, { desired: nothing.desired, released: ['192.0.2.9'] }).desired, desired);
  const before = run(site([asking('a'), loadBalancer('own', ['203.0.113.1'], [])]));
  const again = allocate({ ...before.desired, loadBalancers: [...before.desired.loadBalancers] }, before);
  t.is(again.desired.loadBalancers[0], before.desired.loadBalancers[0]);
  t.deepEqual(again, before);
});

test('a pool’s use: size, given, free, and who has what', (t) => {
  const pools = [
    pool('p', ['192.0.2.0/28', '2001:db8::/64'], { without: ['192.0.2.1'] }),
    pool('idle', ['203.0.113.0/30']),
  ];
  const { desired } = run(
    desiredOf(
      [asking('a', { families: both }), loadBalancer('own', ['192.0.2.3', '198.51.100.1'], [])],
      [group('g', 'L2_DSR', [backend('be', '192.0.2.4')]), group('h', 'L2_DSR', [backend('be', '192.0.2.4')])],
      { addressPools: pools },
    ),
  );
  t.deepEqual(usesOf(desired), [
    {
      name: 'p',
      scope: 'PUBLIC',
      families: [
        { family: 4, size: 13n, given: 1, otherwise: 2, free: 10n },
        { family: 6, size: (1n << 64n) - 1n, given: 1, otherwise: 0, free: (1n << 64n) - 2n },
      ],
      held: [
        { address: '192.0.2.2', by: 'a', how: 'given' },
        { address: '192.0.2.3', by: 'own', how: 'vip' },
        { address: '192.0.2.4', by: 'g/be', how: 'backend' },
        { address: '192.0.2.4', by: 'h/be', how: 'backend' },
        { address: '2001:db8::1', by: 'a', how: 'given' },
      ],
    },
    { name: 'idle', scope: 'PUBLIC', families: [{ family: 4, size: 2n, given: 0, otherwise: 0, free: 2n }], held: [] },
  ]);
});
