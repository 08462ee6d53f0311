/** Desired states and observations for fast-check: few names, so that successive states have much in common. */
import * as fc from 'fast-check';
import type { Ip } from '../../src/base/ip.js';
import {
  type AccessList,
  type BackendGroup,
  type Desired,
  type HealthCheck,
  type Limits,
  type Listener,
  noLimits,
  type Prefix,
} from '../../src/config/desired.js';
import type { HealthState } from '../../src/health/types.js';
import { backend, desiredOf, group, listener, loadBalancer, tcpCheck, waysOut } from './desired.js';

export const vips: readonly Ip[] = ['192.0.2.10', '192.0.2.11', '2001:db8:10::10', '2001:db8:10::11'];
export const groupNames = ['red', 'green', 'blue'] as const;
/** Of backends; nodes are in the first. */
export const zones = ['a', 'b', ''] as const;
const backendsPerGroup = 4;
export const backendAddress = (groupIndex: number, n: number): Ip => `203.0.113.${10 * (groupIndex + 1) + n}`;

const groupOf = (index: number): fc.Arbitrary<BackendGroup> =>
  fc
    .record({
      forwarding: fc.constantFrom('L2_DSR', 'IPIP'),
      weights: fc.array(fc.constantFrom(null, 0, 1, 50, 100), {
        minLength: backendsPerGroup,
        maxLength: backendsPerGroup,
      }),
    })
    .map(({ forwarding, weights }) =>
      group(
        groupNames[index]!,
        forwarding,
        weights.flatMap((weight, n) =>
          weight === null
            ? []
            : [
                {
                  ...backend(`be${n}`, backendAddress(index, n), weight),
                  quicServerId: Uint8Array.of(n),
                  zone: zones[n % zones.length]!,
                },
              ],
        ),
      ),
    );

const checks: readonly (HealthCheck | null)[] = [
  null,
  tcpCheck,
  { ...tcpCheck, port: 9000, target: 'BACKEND_ADDRESS' },
  { ...tcpCheck, intervalMs: 100 },
];

export const listNames = ['north', 'south'] as const;

const prefixes: readonly Prefix[] = [
  { address: '0.0.0.0', bits: 0 },
  { address: '198.51.100.0', bits: 24 },
  { address: '198.51.100.0', bits: 25 },
  { address: '198.51.100.64', bits: 26 },
  { address: '198.51.100.7', bits: 32 },
  { address: '::', bits: 0 },
  { address: '2001:db8::', bits: 32 },
  { address: '2001:db8::7', bits: 128 },
];

const listOf = (name: string): fc.Arbitrary<AccessList> =>
  fc.subarray([...prefixes]).map((entries) => ({ name, entries, description: '' }));

const limits: readonly Limits[] = [
  noLimits,
  { ...noLimits, sessions: 10 },
  { ...noLimits, newSessionsPerSecond: 5, newSessionsPerSecondPerSource: 1 },
];

const listenerFields = fc.record({
  accessControl: fc.option(
    fc.record({ mode: fc.constantFrom<'ALLOW' | 'DENY'>('ALLOW', 'DENY'), accessList: fc.constantFrom(...listNames) }),
  ),
  limits: fc.constantFrom(...limits),
  protocol: fc.constantFrom<Listener['protocol']>('tcp', 'udp'),
  port: fc.constantFrom(53, 80, 443),
  backendGroup: fc.constantFrom<string>(...groupNames),
  healthCheck: fc.constantFrom(...checks),
  allUnhealthy: fc.constantFrom<Listener['allUnhealthy']>('FAIL_OPEN', 'FAIL_CLOSED'),
  scheduler: fc.constantFrom<Listener['scheduler']>('TCH', 'TCH', 'SCH', 'WRR', 'RR', 'WLC', 'QCH'),
  quicConfig: fc.nat({ max: 2 }),
  sourcePersistenceMs: fc.constantFrom(0, 60_000),
  slowStartMs: fc.constantFrom(0, 0, 10_000),
  locality: fc.constantFrom(
    null,
    null,
    { minimumHealthyPercent: 70, otherZonesWeightPercent: 0 },
    { minimumHealthyPercent: 100, otherZonesWeightPercent: 20 },
  ),
  sessionTimeoutMs: fc.constantFrom(10_000, 900_000),
  stopped: fc.boolean(),
});

const listenersOf = fc
  .uniqueArray(listenerFields, { maxLength: 4, selector: ({ protocol, port }) => `${protocol}/${port}` })
  .map((all) =>
    all.map(({ scheduler, quicConfig, ...fields }) => {
      if (scheduler !== 'QCH') return listener({ ...fields, scheduler });
      if (fields.protocol === 'tcp') return listener(fields);
      return listener({
        ...fields,
        scheduler,
        quic: [{ id: quicConfig, serverIdLength: 1, nonceLength: 15, key: Buffer.alloc(16, quicConfig) }],
      });
    }),
  );

/** Which variant of each group is in force (none: the group is gone), and who has which address. */
const choice = fc.record({
  groups: fc.tuple(...groupNames.map(() => fc.option(fc.nat({ max: 2 }), { freq: 6 }))),
  ownerOfVip: fc.tuple(...vips.map(() => fc.option(fc.nat({ max: 1 }), { freq: 4 }))),
  listeners: fc.tuple(listenersOf, listenersOf),
  limits: fc.tuple(fc.constantFrom(...limits), fc.constantFrom(...limits)),
  lists: fc.tuple(...listNames.map(() => fc.nat({ max: 2 }))),
});

export type HealthStep = readonly (readonly [string, HealthState])[];
/** Addresses, and what they are reached by; null: not at all. */
export type HopStep = readonly (readonly [Ip, string | null])[];

export interface Step {
  readonly desired: Desired;
  readonly health: HealthStep;
  readonly hops: HopStep;
  /** Devices that get another MAC, or that go. */
  readonly ways: readonly (readonly [string, 'new MAC' | 'gone'])[];
  /** Ticks since the step before. */
  readonly ticks: number;
  /** Numbers out of use are given back before this step. */
  readonly freed: boolean;
}

const healthKeys = groupNames.flatMap((name, g) =>
  [0, 1, 2].flatMap((ordinal) => [0, 1, 2, 3].map((n) => `${name}/${ordinal}/be${n}/${backendAddress(g, n)}`)),
);
const addresses = groupNames.flatMap((_, g) => [0, 1, 2, 3].map((n) => backendAddress(g, n)));

const world = fc.record({
  health: fc.array(
    fc.tuple(fc.constantFrom(...healthKeys), fc.constantFrom<HealthState>('healthy', 'unhealthy', 'unknown')),
    {
      maxLength: 12,
    },
  ),
  hops: fc.array(fc.tuple(fc.constantFrom(...addresses), fc.constantFrom(null, 'eth0', ...waysOut.keys())), {
    maxLength: 8,
  }),
  ways: fc.array(fc.tuple(fc.constantFrom(...waysOut.keys()), fc.constantFrom('new MAC' as const, 'gone' as const)), {
    maxLength: 2,
  }),
  ticks: fc.nat({ max: 60 }),
  freed: fc.boolean(),
});

/** Now and then only what is observed changes. */
export const history: fc.Arbitrary<readonly Step[]> = fc
  .record({
    variants: fc.tuple(
      ...groupNames.map((_, index) => fc.array(groupOf(index), { minLength: 3, maxLength: 3 })),
    ) as fc.Arbitrary<BackendGroup[][]>,
    lists: fc.tuple(...listNames.map((name) => fc.array(listOf(name), { minLength: 3, maxLength: 3 }))) as fc.Arbitrary<
      AccessList[][]
    >,
    steps: fc.array(fc.tuple(fc.option(choice, { freq: 3 }), world), { minLength: 2, maxLength: 8 }),
  })
  .map(({ variants, lists, steps }) => {
    let desired = desiredOf([], []);
    return steps.map(([chosen, observed]) => {
      if (chosen) desired = desiredFrom({ groups: variants, lists }, chosen);
      return { desired, ...observed };
    });
  });

type Choice = typeof choice extends fc.Arbitrary<infer Value> ? Value : never;

function desiredFrom(
  variants: { groups: readonly (readonly BackendGroup[])[]; lists: readonly (readonly AccessList[])[] },
  { groups, ownerOfVip, listeners, limits: ofBalancers, lists }: Choice,
): Desired {
  const inForce = groups.flatMap((variant, index) => (variant === null ? [] : [variants.groups[index]![variant]!]));
  const known = new Set(inForce.map(({ name }) => name));
  const balancers = listeners.map((wanted, owner) =>
    loadBalancer(
      `lb${owner}`,
      vips.filter((_, i) => ownerOfVip[i] === owner),
      wanted.filter(({ backendGroup }) => known.has(backendGroup)),
      { limits: ofBalancers[owner]! },
    ),
  );
  return desiredOf(balancers, inForce, { accessLists: lists.map((variant, i) => variants.lists[i]![variant]!) });
}
