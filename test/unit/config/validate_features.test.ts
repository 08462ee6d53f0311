/** What a listener and a LoadBalancer may be told beside the plain things: validate.test.ts has those. */
import test from 'ava';
import { type LoadBalancer, noLimits } from '../../../src/config/desired.js';
import { readConfig } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import { accepted, l0, lb, refused, withBalancer, withGroup, withListener, withRequest } from './documents.js';

accepted([
  ['persistence of 0 s', withListener({ sourcePersistence: '0s' })],
  ['persistence of 1 s and of an hour', withListener({ sourcePersistence: '3600s' })],
  ['slow start of 900 s', withListener({ slowStart: '900s', healthCheck: { tcp: {} } })],
  ['slow start of 0 s with RR', withListener({ slowStart: '0s', scheduler: 'RR' })],
  [
    'the highest limits',
    withListener({ limits: { sessions: 4294967295, bitsPerSecond: 1e13, packetsPerSecond: 4294967295 } }),
  ],
  ['a primary zone alone', withBalancer({ primaryZone: 'a' })],
  ['a primary and a secondary zone', withBalancer({ primaryZone: 'eu-1.a', secondaryZone: 'eu-1.b' })],
  [
    'an announcement with all that it may say',
    withBalancer({
      announcement: {
        minimumHealthyBackends: 65_535,
        keepWhenEmpty: true,
        med: 4_294_967_295,
        prepend: 16,
        communities: ['0:0', '65535:65281', '4294967295:0:4294967295'],
      },
    }),
  ],
  [
    'a locality with the whole weight for other zones',
    withListener({ locality: { preferOwnZone: true, minimumHealthyPercent: 100, otherZonesWeightPercent: 100 } }),
  ],
  ['a locality that says nothing', withListener({ locality: {} })],
  ['an MSS of 88', withBalancer({ maxSegmentSize: 88 })],
  ['an MSS of 65495', withBalancer({ maxSegmentSize: 65495 })],
]);

refused([
  [
    'persistence of more than an hour',
    withListener({ sourcePersistence: '3600.001s' }),
    { [`${l0}.sourcePersistence`]: '3600.001 s is not within 1 s to 3600 s' },
  ],
  [
    'persistence of half a second',
    withListener({ sourcePersistence: '0.5s' }),
    { [`${l0}.sourcePersistence`]: '500 ms is not within 1 s to 3600 s' },
  ],
  [
    'slow start of more than 900 s',
    withListener({ slowStart: '901s', healthCheck: { tcp: {} } }),
    { [`${l0}.slowStart`]: '901 s is not within 1 s to 900 s' },
  ],
  [
    'slow start with RR',
    withListener({ slowStart: '30s', healthCheck: { tcp: {} }, scheduler: 'RR' }),
    { [`${l0}.slowStart`]: 'not with RR, which knows no shares: leave it out, or use WRR' },
  ],
  [
    'slow start without a health check',
    withListener({ slowStart: '30s' }),
    {
      [`${l0}.slowStart`]:
        'needs a health check, for without one no backend is ever seen to come back: set healthCheck, or leave it out',
    },
  ],
  [
    'limits beyond what is counted',
    withBalancer({ limits: { bitsPerSecond: 10_000_000_000_001, packetsPerSecond: 4_294_967_296 } }),
    {
      [`${lb}.limits.bitsPerSecond`]: '10000000000001 is not within 1 to 10000000000000 (0: no limit)',
      [`${lb}.limits.packetsPerSecond`]: '4294967296 is not within 1 to 4294967295 (0: no limit)',
    },
  ],
  ...[87, 65_496].map(
    (maxSegmentSize) =>
      [
        `an MSS of ${maxSegmentSize}`,
        withBalancer({ maxSegmentSize }),
        { [`${lb}.maxSegmentSize`]: `${maxSegmentSize} is not within 88 to 65495 bytes (0: SYNs are left alone)` },
      ] as const,
  ),
  [
    'zones that are none',
    withBalancer({ primaryZone: 'a b', secondaryZone: 'ä' }),
    {
      [`${lb}.primaryZone`]: '"a b" is no zone: letters, digits, "-", "_" or ".", up to 63 characters',
      [`${lb}.secondaryZone`]: '"ä" is no zone: letters, digits, "-", "_" or ".", up to 63 characters',
    },
  ],
  [
    'a secondary zone without a primary one',
    withBalancer({ secondaryZone: 'b' }),
    {
      [`${lb}.secondaryZone`]: '"b" takes over from a primary zone: set primaryZone, or leave secondaryZone out',
    },
  ],
  [
    'a secondary zone that is the primary one',
    withBalancer({ primaryZone: 'a', secondaryZone: 'a' }),
    { [`${lb}.secondaryZone`]: '"a" is the primary zone: name another, or leave secondaryZone out' },
  ],
  [
    'an announcement out of range',
    withBalancer({ announcement: { minimumHealthyBackends: 65_536, prepend: 17 } }),
    {
      [`${lb}.announcement.minimumHealthyBackends`]: '65536 is not within 1 to 65535 (unset: 1)',
      [`${lb}.announcement.prepend`]: '17 is not within 0 to 16: routers may refuse longer paths',
    },
  ],
  [
    '33 communities',
    withBalancer({ announcement: { communities: Array.from({ length: 33 }, (_, i) => `65000:${i}`) } }),
    { [`${lb}.announcement.communities`]: '33 communities; at most 32' },
  ],
  [
    'one community twice',
    withBalancer({ announcement: { communities: ['65000:1', '65000:1'] } }),
    {
      [`${lb}.announcement.communities[1]`]: `community "65000:1" is taken by ${lb}.announcement.communities[0]`,
    },
  ],
  ...['65000', '65536:1', '1:65536', '1:2:4294967296', '1:2:3:4', '065:1', '1:-1', 'no-export', '1: 2', ''].map(
    (community) =>
      [
        `"${community}" as a community`,
        withBalancer({ announcement: { communities: [community] } }),
        {
          [`${lb}.announcement.communities[0]`]: `"${community}" is no community: two numbers up to 65535 ("65000:100"), or, of a large one, three up to 4294967295 ("65000:1:2")`,
        },
      ] as const,
  ),
  [
    'a locality out of range',
    withListener({ locality: { preferOwnZone: true, minimumHealthyPercent: 101, otherZonesWeightPercent: 101 } }),
    {
      [`${l0}.locality.minimumHealthyPercent`]: '101 is not within 1 to 100 (unset: 70)',
      [`${l0}.locality.otherZonesWeightPercent`]:
        '101 is not within 0 to 100 (0: other zones have only what the own zone lacks)',
    },
  ],
  [
    'how to prefer a zone that is not preferred',
    withListener({ locality: { minimumHealthyPercent: 50 } }),
    {
      [`${l0}.locality.minimumHealthyPercent`]:
        'says how the own zone is preferred, which it is not: set preferOwnZone, or leave this out',
    },
  ],
  [
    'a tunnel port without GUE',
    withGroup({ forwarding: 'IPIP', tunnelPort: 6080 }),
    { 'backendGroups[0].tunnelPort': 'only with GUE, which goes by UDP: leave it out' },
  ],
  [
    'a tunnel port of 65536',
    withGroup({ forwarding: 'GUE', tunnelPort: 65_536 }),
    { 'backendGroups[0].tunnelPort': '65536 is no port: 1 to 65535' },
  ],
]);

test('what is left out of the features is off', (t) => {
  const state = validate(readConfig({ ...withRequest(null), accessLists: [{ name: 'a' }] }));
  const [{ listeners, ...lb }] = state.loadBalancers as [LoadBalancer];
  t.like(lb, {
    addresses: [],
    addressRequest: { pool: '', scope: 'PUBLIC', families: [4] },
    limits: noLimits,
    maxSegmentSize: 0,
  });
  t.like(listeners[0], { sourcePersistenceMs: 0, accessControl: null, limits: noLimits, slowStartMs: 0 });
  t.deepEqual(listeners[0]!.quic, []);
  t.like(state.backendGroups[0], { tunnelPort: 6080, portMapping: false });
});
