import fc from 'fast-check';
import { bytesToIp, familyOf, type Ip, ipToBytes } from '../../../src/base/ip.js';
import type {
  Backend,
  BackendGroup,
  Desired,
  Forwarding,
  HealthCheck,
  Listener,
  LoadBalancer,
  Probe,
} from '../../../src/config/desired.js';
import { noLimits } from '../../../src/config/desired.js';

/** Any valid desired state, small: what validation gives, and so what compile and the store are given. */

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,8}$/);
const text = fc.string({ maxLength: 20, unit: fc.constantFrom(...'ab "\\\'{}[]:,é✓#') });

/** Numbers give addresses; VIPs and backends come from halves that never meet. */
function vip(number: number, family: 4 | 6): Ip {
  return family === 4 ? `192.0.2.${number % 256}` : bytesToIp(ipToBytes(`2001:db8::${(number + 1).toString(16)}`));
}

function backendAddress(number: number, family: 4 | 6): Ip {
  return family === 4 ? `203.0.113.${number % 256}` : bytesToIp(ipToBytes(`2001:db8:f::${(number + 1).toString(16)}`));
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

function listener(groups: readonly string[]): fc.Arbitrary<Listener> {
  return fc.record({
    name,
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    port: fc.integer({ min: 1, max: 65535 }),
    backendGroup: fc.constantFrom(...groups),
    scheduler: fc.constantFrom('TCH' as const, 'SCH' as const),
    sessionTimeoutMs: fc.integer({ min: 10_000, max: 900_000 }),
    healthCheck: fc.option(healthCheck),
    allUnhealthy: fc.constantFrom('FAIL_OPEN' as const, 'FAIL_CLOSED' as const),
    stopped: fc.boolean(),
    description: text,
    sourcePersistenceMs: fc.constant(0),
    accessControl: fc.constant(null),
    limits: fc.constant(noLimits),
    quic: fc.constant([]),
    slowStartMs: fc.constant(0),
  });
}

function loadBalancer(groups: readonly BackendGroup[]): fc.Arbitrary<Omit<LoadBalancer, 'addresses'>> {
  return fc.record({
    name,
    listeners:
      groups.length === 0
        ? fc.constant([])
        : fc.uniqueArray(listener(groups.map((group) => group.name)), {
            maxLength: 4,
            comparator: (a, b) => a.name === b.name || (a.port === b.port && a.protocol === b.protocol),
          }),
    description: text,
    labels: fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z0-9./-]{0,5}$/), text, { maxKeys: 3 }),
    addressRequest: fc.constant(null),
    limits: fc.constant(noLimits),
    maxSegmentSize: fc.constant(0),
  });
}

const backend: fc.Arbitrary<Backend> = fc
  .record({
    name: fc.option(name),
    number: fc.integer({ min: 0, max: 255 }),
    family: fc.constantFrom(4 as const, 6 as const),
    weight: fc.integer({ min: 0, max: 100 }),
    zone: fc.constantFrom('', 'a', 'zone-1'),
  })
  .map(({ name: given, number, family, weight, zone }) => {
    const address = backendAddress(number, family);
    return { name: given ?? address, address, family, port: 0, weight, zone, quicServerId: new Uint8Array() };
  });

const backendGroup: fc.Arbitrary<BackendGroup> = fc.record({
  name,
  forwarding: fc.constantFrom<Forwarding>('L2_DSR', 'IPIP'),
  backends: fc.uniqueArray(backend, {
    maxLength: 5,
    comparator: (a, b) => a.name === b.name || a.address === b.address,
  }),
  description: text,
  tunnelPort: fc.constant(6080),
  portMapping: fc.constant(false),
});

export const desired: fc.Arbitrary<Desired> = fc
  .uniqueArray(backendGroup, { maxLength: 4, selector: (group) => group.name })
  .chain((backendGroups) =>
    fc
      .uniqueArray(loadBalancer(backendGroups), { maxLength: 3, selector: (balancer) => balancer.name })
      .map((balancers) => ({
        accessLists: [],
        addressPools: [],
        backendGroups,
        loadBalancers: balancers.map((balancer, index) => ({
          ...balancer,
          addresses: carriesIpv6(balancer, backendGroups) ? [vip(index, 4), vip(index, 6)] : [vip(index, 4)],
        })),
      })),
  );

function carriesIpv6({ listeners }: Pick<LoadBalancer, 'listeners'>, groups: readonly BackendGroup[]): boolean {
  return listeners.every(({ backendGroup: wanted }) => {
    const group = groups.find((one) => one.name === wanted)!;
    return group.forwarding !== 'IPIP' || group.backends.every(({ address }) => familyOf(address) === 6);
  });
}
