import fc from 'fast-check';
import { bytesToIp, type Family, type Ip, ipToBytes } from '../../../src/base/ip.js';
import type {
  AccessControl,
  AccessList,
  AddressPool,
  AddressRequest,
  Backend,
  BackendGroup,
  Desired,
  Forwarding,
  HealthCheck,
  Limits,
  Listener,
  LoadBalancer,
  Prefix,
  Probe,
  QuicConfig,
} from '../../../src/config/desired.js';
import { noLimits } from '../../../src/config/desired.js';

/** Any valid desired state, small: what validation gives, and so what compile and the store are given. */

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,8}$/);
const text = fc.string({ maxLength: 20, unit: fc.constantFrom(...'ab "\\\'{}[]:,é✓#') });
const family = fc.constantFrom<Family>(4, 6);

/** Numbers give addresses; VIPs, backends and pools come from ranges that never meet. */
function vip(number: number, of: Family): Ip {
  return of === 4 ? `192.0.2.${number % 256}` : bytesToIp(ipToBytes(`2001:db8::${(number + 1).toString(16)}`));
}

function backendAddress(number: number, of: Family): Ip {
  return of === 4 ? `203.0.113.${number % 256}` : bytesToIp(ipToBytes(`2001:db8:f::${(number + 1).toString(16)}`));
}

const probe: fc.Arbitrary<Probe> = fc.oneof(
  fc.constant({ kind: 'tcp' as const }),
  fc.record({
    kind: fc.constant('http' as const),
    method: fc.constantFrom('GET' as const, 'HEAD' as const),
    path: fc.stringMatching(/^\/[!-~]{0,20}$/),
    host: fc.constantFrom('', 'www.example.com', '[2001:db8::1]:443'),
    expectedCodes: fc.array(
      fc
        .tuple(fc.integer({ min: 100, max: 599 }), fc.integer({ min: 100, max: 599 }))
        .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
      { minLength: 1, maxLength: 3 },
    ),
    tls: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('udp' as const),
    request: fc.uint8Array({ minLength: 1, maxLength: 9 }),
    expectedReply: fc.uint8Array({ maxLength: 9 }),
  }),
);

const healthCheck: fc.Arbitrary<HealthCheck> = fc.record({
  probe,
  port: fc.integer({ min: 0, max: 65535 }),
  intervalMs: fc.integer({ min: 100, max: 50_000 }),
  timeoutMs: fc.integer({ min: 50, max: 300_000 }),
  rise: fc.integer({ min: 1, max: 10 }),
  fall: fc.integer({ min: 1, max: 10 }),
  target: fc.constantFrom('VIP' as const, 'BACKEND_ADDRESS' as const),
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const limits: fc.Arbitrary<Limits> = fc.oneof(
  fc.constant(noLimits),
  fc.record({
    newSessionsPerSecond: u32,
    sessions: u32,
    bitsPerSecond: fc.integer({ min: 0, max: 1e13 }),
    packetsPerSecond: u32,
    newSessionsPerSecondPerSource: u32,
  }),
);

/** Without the bits behind its length. */
export function prefixOf(address: Ip, bits: number): Prefix {
  const bytes = ipToBytes(address);
  const kept = address.includes(':') ? bits : bits + 96;
  const cleared = bytes.map((byte, index) => byte & ~(0xff >> Math.min(8, Math.max(0, kept - index * 8))));
  return { address: bytesToIp(cleared), bits };
}

export const clients: fc.Arbitrary<Prefix> = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([address, bits]) => prefixOf(address, bits)),
  // No IPv4-mapped one: those are IPv4.
  fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 128 })).map(([high, low, bits]) => {
    const group = (number: number) => (number % 65_536).toString(16);
    return prefixOf(`2001:db8:${group(high)}:0:${group(low)}::${group(high + low)}`, bits);
  }),
);

/** In the order that validation gives, by numbers here. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  const families = Number(a.address.includes(':')) - Number(b.address.includes(':'));
  return families || Buffer.compare(ipToBytes(a.address), ipToBytes(b.address)) || a.bits - b.bits;
}

function sortedOnce(prefixes: readonly Prefix[]): readonly Prefix[] {
  const known = new Map(prefixes.map((prefix) => [`${prefix.address}/${prefix.bits}`, prefix]));
  return [...known.values()].sort(comparePrefixes);
}

const accessList: fc.Arbitrary<AccessList> = fc.record({
  name,
  entries: fc.array(clients, { maxLength: 8 }).map(sortedOnce),
  description: text,
});

/** `place`: pools of different places never overlap. */
function addressPool(place: number): fc.Arbitrary<AddressPool> {
  const prefix = (index: number) =>
    fc.tuple(family, fc.integer({ min: 24, max: 32 })).map(([of, bits]): Prefix => {
      return of === 4
        ? { address: `198.18.${place * 8 + index}.0`, bits }
        : { address: `2001:db8:a:${(place * 8 + index + 1).toString(16)}::`, bits: bits * 4 };
    });
  return fc
    .record({
      name,
      scope: fc.constantFrom('PUBLIC' as const, 'PRIVATE' as const),
      prefixes: fc
        .integer({ min: 1, max: 3 })
        .chain((count) => fc.tuple(...Array.from({ length: count }, (_, i) => prefix(i)))),
      reserving: fc.array(fc.nat(), { maxLength: 3 }),
      description: text,
    })
    .map(({ reserving, ...pool }) => ({
      ...pool,
      reserved: reserving.map((number) => {
        const { address } = pool.prefixes[number % pool.prefixes.length]!;
        return { address, bits: address.includes(':') ? 128 : 32 };
      }),
    }));
}

function quic(serverIdLength: number): fc.Arbitrary<readonly QuicConfig[]> {
  const key = serverIdLength <= 12 ? fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 })) : fc.constant(null);
  const plainNonce = fc.integer({ min: 4, max: 19 - serverIdLength });
  const config = fc.record({ id: fc.integer({ min: 0, max: 6 }), key, plainNonce }).map((one): QuicConfig => {
    const nonceLength = one.key === null ? Math.min(18, one.plainNonce) : 16 - serverIdLength;
    return { id: one.id, serverIdLength, nonceLength, key: one.key };
  });
  return fc.uniqueArray(config, { minLength: 1, maxLength: 3, selector: ({ id }) => id });
}

interface Others {
  readonly groups: readonly BackendGroup[];
  readonly lists: readonly AccessList[];
  readonly pools: readonly AddressPool[];
}

function listener({ groups, lists }: Others): fc.Arbitrary<Listener> {
  const access = fc.record<AccessControl>({
    mode: fc.constantFrom('ALLOW', 'DENY'),
    accessList: fc.nat().map((number) => lists[number % lists.length]!.name),
  });
  return fc.constantFrom(...groups).chain((group) => {
    const serverIdLength = group.backends[0]?.quicServerId.length ?? 4;
    return fc
      .record({
        name,
        protocol: fc.constantFrom('tcp' as const, 'udp' as const),
        port: fc.integer({ min: 1, max: 65535 }),
        backendGroup: fc.constant(group.name),
        scheduler: fc.constantFrom<Listener['scheduler']>(
          'TCH',
          'SCH',
          'WRR',
          'RR',
          'WLC',
          ...(serverIdLength ? (['QCH'] as const) : []),
        ),
        sessionTimeoutMs: fc.integer({ min: 10_000, max: 900_000 }),
        healthCheck: fc.option(healthCheck),
        allUnhealthy: fc.constantFrom('FAIL_OPEN' as const, 'FAIL_CLOSED' as const),
        stopped: fc.boolean(),
        description: text,
        sourcePersistenceMs: fc.oneof(fc.constant(0), fc.integer({ min: 1000, max: 3_600_000 })),
        accessControl: lists.length === 0 ? fc.constant(null) : fc.option(access),
        limits,
        quic: quic(serverIdLength || 1),
        slowStartMs: fc.oneof(fc.constant(0), fc.integer({ min: 1000, max: 900_000 })),
        locality: fc.option(
          fc.record({
            minimumHealthyPercent: fc.integer({ min: 1, max: 100 }),
            otherZonesWeightPercent: fc.integer({ min: 0, max: 100 }),
          }),
        ),
      })
      .map(fitting);
  });
}

/** Takes away what cannot stand beside the scheduler. */
function fitting(listener: Listener): Listener {
  const { scheduler, healthCheck: check, slowStartMs } = listener;
  const quicOnly: Partial<Listener> = scheduler === 'QCH' ? { protocol: 'udp', sourcePersistenceMs: 0 } : { quic: [] };
  return { ...listener, ...quicOnly, slowStartMs: scheduler === 'RR' || check === null ? 0 : slowStartMs };
}

/** Requests that these pools can serve. */
function addressRequest(pools: readonly AddressPool[]): fc.Arbitrary<AddressRequest | null> {
  const has = (pool: AddressPool, of: Family) =>
    pool.prefixes.some(({ address }) => address.includes(':') === (of === 6));
  const asks: AddressRequest[] = [];
  for (const families of [[4], [6], [4, 6]] as const) {
    for (const scope of ['PUBLIC', 'PRIVATE'] as const) {
      const serving = pools.filter((pool) => pool.scope === scope);
      if (families.every((of) => serving.some((pool) => has(pool, of)))) asks.push({ pool: '', scope, families });
    }
    for (const pool of pools) {
      if (families.every((of) => has(pool, of))) asks.push({ pool: pool.name, scope: 'PUBLIC', families });
    }
  }
  return asks.length === 0 ? fc.constant(null) : fc.option(fc.constantFrom(...asks));
}

function loadBalancer(others: Others): fc.Arbitrary<LoadBalancer & { readonly given: boolean }> {
  return fc
    .record({
      name,
      addresses: fc.constant([]),
      given: fc.boolean(),
      listeners:
        others.groups.length === 0
          ? fc.constant([])
          : fc.uniqueArray(listener(others), {
              maxLength: 4,
              comparator: (a, b) => a.name === b.name || (a.port === b.port && a.protocol === b.protocol),
            }),
      description: text,
      labels: fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z0-9./-]{0,5}$/), text, { maxKeys: 3 }),
      addressRequest: addressRequest(others.pools),
      limits,
      maxSegmentSize: fc.oneof(fc.constant(0), fc.integer({ min: 88, max: 65_495 })),
      zones: fc.constantFrom(['', ''], ['a', ''], ['a', 'b']),
      announcement: fc.record({
        minimumHealthyBackends: fc.integer({ min: 1, max: 65_535 }),
        keepWhenEmpty: fc.boolean(),
        med: fc.option(fc.integer({ min: 0, max: 4_294_967_295 })),
        prepend: fc.integer({ min: 0, max: 16 }),
        communities: fc.subarray(['65000:100', '65000:1:2']),
      }),
    })
    .map(({ zones, ...rest }) => ({ ...rest, primaryZone: zones[0]!, secondaryZone: zones[1]! }));
}

const backend: fc.Arbitrary<Backend> = fc
  .record({
    name: fc.option(name),
    number: fc.integer({ min: 0, max: 255 }),
    family,
    port: fc.integer({ min: 1, max: 65_535 }),
    weight: fc.integer({ min: 0, max: 100 }),
    zone: fc.constantFrom('', 'a', 'zone-1'),
  })
  .map(({ name: given, number, ...rest }) => {
    const address = backendAddress(number, rest.family);
    return { ...rest, name: given ?? address, address, quicServerId: new Uint8Array() };
  });

const backendGroup: fc.Arbitrary<BackendGroup> = fc
  .record({
    name,
    forwarding: fc.constantFrom<Forwarding>('L2_DSR', 'IPIP', 'GUE'),
    backends: fc.uniqueArray(backend, {
      maxLength: 5,
      comparator: (a, b) => a.name === b.name || a.address === b.address,
    }),
    description: text,
    tunnelPort: fc.integer({ min: 1, max: 65_535 }),
    portMapping: fc.boolean(),
    serverIdLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 15 })),
  })
  .map(({ serverIdLength, ...group }) => ({
    ...group,
    tunnelPort: group.forwarding === 'GUE' ? group.tunnelPort : 6080,
    backends: group.backends.map((one, index) => ({
      ...one,
      port: group.portMapping ? one.port : 0,
      quicServerId: new Uint8Array(serverIdLength).fill(index),
    })),
  }));

const pools: fc.Arbitrary<readonly AddressPool[]> = fc
  .tuple(addressPool(0), addressPool(1), addressPool(2))
  .chain((three) => fc.subarray(three))
  .filter((some) => new Set(some.map((pool) => pool.name)).size === some.length);

export const desired: fc.Arbitrary<Desired> = fc
  .record({
    groups: fc.uniqueArray(backendGroup, { maxLength: 4, selector: (group) => group.name }),
    lists: fc.uniqueArray(accessList, { maxLength: 3, selector: (list) => list.name }),
    pools,
  })
  .chain((others) =>
    fc.uniqueArray(loadBalancer(others), { maxLength: 3, selector: (balancer) => balancer.name }).map((balancers) => ({
      accessLists: others.lists,
      addressPools: others.pools,
      backendGroups: others.groups,
      loadBalancers: balancers.map(({ given, ...balancer }, index) => ({
        ...balancer,
        addresses: (balancer.addressRequest?.families ?? ([4, 6] as const)).flatMap((of) =>
          balancer.addressRequest === null || given ? [vip(index, of)] : [],
        ),
      })),
    })),
  );
