import test from 'ava';
import { InvalidError } from '../../../src/base/errors.js';
import { type LoadBalancer, noLimits } from '../../../src/config/desired.js';
import { readConfig } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import { toDocument } from '../../../src/config/write.js';

/** What a listener and a LoadBalancer may be told beside the plain things: validate.test.ts has those. */

type Document = Record<string, unknown>;

const backend = { name: 'be1', address: '203.0.113.1' };
const group = { name: 'web', forwarding: 'L2_DSR', backends: [backend] };
const listener = { protocol: 'TCP', port: 443, backendGroup: 'web' };
const balancer = { name: 'lb', addresses: ['192.0.2.1'], listeners: [listener] };
const pool = { name: 'p', scope: 'PUBLIC', prefixes: ['198.18.0.0/24'] };

const withBalancer = (change: Document, rest: Document = {}) => ({
  loadBalancers: [{ ...balancer, ...change }],
  backendGroups: [group],
  ...rest,
});
const withListener = (change: Document, rest: Document = {}) =>
  withBalancer({ listeners: [{ ...listener, ...change }] }, rest);
const withGroup = (change: Document) => ({ loadBalancers: [balancer], backendGroups: [{ ...group, ...change }] });
const withRequest = (addressRequest: Document | null, addressPools: readonly Document[] = [pool]) =>
  withBalancer({ addresses: [], addressRequest }, { addressPools });

const config = { id: 0, serverIdLength: 1, nonceLength: 4 };
const key = Buffer.alloc(16, 7).toString('base64');
const withId = { ...backend, quicServerId: Buffer.of(1).toString('base64') };
const withQuic = (configs: readonly Document[], backends: readonly Document[] = [withId], change: Document = {}) =>
  withListener(
    { protocol: 'UDP', scheduler: 'QCH', quic: { configs }, ...change },
    { backendGroups: [{ ...group, backends }] },
  );

function faults(document: Document): Record<string, string> {
  try {
    validate(readConfig(document));
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    return Object.fromEntries(error.violations.map(({ field, description }) => [field, description]));
  }
  return {};
}

const lb = 'loadBalancers[0]';
const l0 = `${lb}.listeners[0]`;
const c0 = `${l0}.quic.configs[0]`;
const b0 = 'backendGroups[0].backends[0]';

const accepted: readonly (readonly [name: string, document: Document])[] = [
  ['QCH in plain text', withQuic([config])],
  [
    'QCH with a key and without, in one listener',
    withQuic([
      { ...config, nonceLength: 15, key },
      { ...config, id: 6 },
    ]),
  ],
  ['QCH with the longest ids', withQuic([{ id: 0, serverIdLength: 15, nonceLength: 4 }], [])],
  ['QCH with the longest nonce', withQuic([{ ...config, nonceLength: 18 }])],
  ['one group for QCH and TCH', withQuic([config])],
  ['persistence of 0 s', withListener({ sourcePersistence: '0s' })],
  ['persistence of 1 s and of an hour', withListener({ sourcePersistence: '3600s' })],
  ['slow start of 900 s', withListener({ slowStart: '900s', healthCheck: { tcp: {} } })],
  ['slow start of 0 s with RR', withListener({ slowStart: '0s', scheduler: 'RR' })],
  [
    'an access list that exists',
    withListener(
      { accessControl: { mode: 'ALLOW', accessList: 'us' } },
      { accessLists: [{ name: 'us', entries: ['0.0.0.0/0', '::/0'] }] },
    ),
  ],
  ['an access list without entries', { accessLists: [{ name: 'none' }] }],
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
  [
    'a request for both families of two pools',
    withRequest({ families: ['IPV6', 'IPV4'] }, [pool, { name: 'q', scope: 'PUBLIC', prefixes: ['2001:db8:1::/64'] }]),
  ],
  ['a VIP within a pool', withBalancer({ addresses: ['198.18.0.1'] }, { addressPools: [pool] })],
  [
    'pools side by side',
    { addressPools: [pool, { ...pool, name: 'q', prefixes: ['198.18.1.0/24', '2001:db8::/128'] }] },
  ],
];

for (const [name, document] of accepted) {
  test(`accepted: ${name}`, (t) => {
    t.deepEqual(faults(document), {});
  });
}

const refused: readonly (readonly [name: string, document: Document, expected: Record<string, string>])[] = [
  [
    'QCH on TCP',
    withQuic([config], [withId], { protocol: 'TCP' }),
    { [`${l0}.scheduler`]: 'QCH is for QUIC, which is UDP: set protocol to UDP, or use TCH' },
  ],
  [
    'QCH without configs',
    withQuic([]),
    {
      [`${l0}.quic.configs`]:
        'required with QCH: how the backends write their server ids into connection ids, as {"id": 0, "serverIdLength": 4, "nonceLength": 12}',
    },
  ],
  [
    'configs without QCH',
    withListener({ quic: { configs: [config] } }),
    { [`${l0}.quic`]: 'only with the scheduler QCH: leave it out, or set scheduler to QCH' },
  ],
  [
    'a config id of 7',
    withQuic([{ ...config, id: 7 }]),
    { [`${c0}.id`]: '7 is not within 0 to 6 (7 marks ids without a server)' },
  ],
  [
    'one config id twice',
    withQuic([config, config]),
    { [`${l0}.quic.configs[1].id`]: `config id "0" is taken by ${c0}.id` },
  ],
  [
    'a server id without bytes',
    withQuic([{ ...config, serverIdLength: 0 }], []),
    { [`${c0}.serverIdLength`]: '0 is not within 1 to 15 bytes' },
  ],
  [
    'a server id of 13 bytes with a key',
    withQuic([{ ...config, serverIdLength: 13, nonceLength: 3, key }], []),
    {
      [`${c0}.serverIdLength`]:
        '13 is not within 1 to 12 bytes with a key: with the nonce, of at least 4, it fills one AES block of 16',
    },
  ],
  [
    'a nonce of 3 bytes',
    withQuic([{ ...config, nonceLength: 3 }]),
    { [`${c0}.nonceLength`]: '3 is not within 4 to 18 bytes beside a server id of 1' },
  ],
  [
    'more than 19 bytes together',
    withQuic([{ ...config, serverIdLength: 10, nonceLength: 10 }], []),
    { [`${c0}.nonceLength`]: '10 is not within 4 to 9 bytes beside a server id of 10' },
  ],
  [
    'other than 16 bytes together with a key',
    withQuic([{ ...config, nonceLength: 14, key }]),
    { [`${c0}.nonceLength`]: '14 bytes beside a server id of 1: with a key both fill one AES block of 16, so 15' },
  ],
  [
    'a key of 15 bytes',
    withQuic([{ ...config, nonceLength: 15, key: Buffer.alloc(15).toString('base64') }]),
    { [`${c0}.key`]: '15 bytes; an AES-128 key has 16 (unset: ids in plain text)' },
  ],
  [
    'server ids of two lengths',
    withQuic([config, { ...config, id: 1, serverIdLength: 2 }]),
    {
      [`${l0}.quic.configs[1].serverIdLength`]: `2 is not the 1 of ${c0}: a backend has one server id, of one length`,
    },
  ],
  [
    'a backend without a server id behind QCH',
    withQuic([config], [backend]),
    { [`${b0}.quicServerId`]: `required, 1 bytes: ${l0} has the scheduler QCH` },
  ],
  [
    'a server id of another length than the configs say',
    withQuic([config], [{ ...backend, quicServerId: 'AQI=' }]),
    { [`${b0}.quicServerId`]: `2 bytes; the configs of ${l0}.quic say 1` },
  ],
  [
    'one server id for two backends',
    withQuic([config], [withId, { address: '203.0.113.2', quicServerId: withId.quicServerId }]),
    { 'backendGroups[0].backends[1].quicServerId': `QUIC server id "01" is taken by ${b0}.quicServerId` },
  ],
  [
    'a server id of 16 bytes',
    withGroup({ backends: [{ ...backend, quicServerId: key }] }),
    { [`${b0}.quicServerId`]: '16 bytes; at most 15' },
  ],
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
    'persistence with QCH',
    withQuic([config], [withId], { sourcePersistence: '60s' }),
    {
      [`${l0}.sourcePersistence`]:
        'not with QCH, which keeps to the server id also where the client changes its address: leave it out',
    },
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
    'access control that says nothing',
    withListener({ accessControl: {} }),
    {
      [`${l0}.accessControl.mode`]: 'required: ALLOW (only these clients) or DENY (all but these)',
      [`${l0}.accessControl.accessList`]: 'required: the name of an access list',
    },
  ],
  [
    'an access list that does not exist',
    withListener({ accessControl: { mode: 'DENY', accessList: 'bda' } }, { accessLists: [{ name: 'bad' }] }),
    { [`${l0}.accessControl.accessList`]: 'no access list "bda" (did you mean "bad"?)' },
  ],
  [
    'two access lists of one name',
    { accessLists: [{ name: 'a' }, { name: 'a' }] },
    { 'accessLists[1].name': 'access list name "a" is taken by accessLists[0].name' },
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
  [
    'addresses and a request for them',
    withBalancer({ addressRequest: {} }, { addressPools: [pool] }),
    { [`${lb}.addressRequest`]: 'set beside addresses: give addresses, or have them given, not both' },
  ],
  [
    'a request with pool and scope',
    withRequest({ pool: 'p', scope: 'PUBLIC' }),
    { [`${lb}.addressRequest.scope`]: 'set beside pool: the pool has a scope of its own, leave it out' },
  ],
  [
    'a request of one family twice',
    withRequest({ families: ['IPV4', 'IPV4'] }),
    { [`${lb}.addressRequest.families[1]`]: 'IPV4 is given twice: a LoadBalancer is given one address of each' },
  ],
  [
    'a request to a pool that does not exist',
    withRequest({ pool: 'q1' }, [{ ...pool, name: 'q2' }]),
    { [`${lb}.addressRequest.pool`]: 'no address pool "q1" (did you mean "q2"?)' },
  ],
  [
    'a request for a family that the pool has not',
    withRequest({ pool: 'p', families: ['IPV4', 'IPV6'] }),
    { [`${lb}.addressRequest.families`]: 'address pool "p" has no IPv6 prefix' },
  ],
  [
    'a request for a scope that no pool has',
    withRequest({ scope: 'PRIVATE' }),
    { [`${lb}.addressRequest`]: 'no address pool of scope PRIVATE has an IPv4 prefix: add one' },
  ],
  [
    'a pool without a scope',
    { addressPools: [{ ...pool, scope: 0 }] },
    { 'addressPools[0].scope': 'required: PUBLIC or PRIVATE' },
  ],
  [
    'a pool without prefixes',
    { addressPools: [{ ...pool, prefixes: [] }] },
    { 'addressPools[0].prefixes': 'required: at least one prefix or address' },
  ],
  [
    'a pool of 257 prefixes',
    { addressPools: [{ ...pool, prefixes: Array.from({ length: 257 }, (_, i) => `198.18.${i >> 8}.${i & 255}`) }] },
    { 'addressPools[0].prefixes': '257 prefixes; at most 256: use wider ones' },
  ],
  [
    'a pool with bits behind its length',
    { addressPools: [{ ...pool, prefixes: ['198.18.0.1/24'] }] },
    {
      'addressPools[0].prefixes[0]':
        '"198.18.0.1/24" has bits set behind its length: write "198.18.0.0/24", or "198.18.0.1" for that address alone',
    },
  ],
  [
    'a pool of addresses that no host has',
    {
      addressPools: [
        { ...pool, prefixes: ['224.0.0.0/24', 'fe80::/64'] },
        { ...pool, name: 'q', prefixes: ['0.0.0.0/1'] },
      ],
    },
    {
      'addressPools[0].prefixes[0]':
        '224.0.0.0/24 has addresses that no host can be reached at, multicast (224.0.0.0/4): leave them out',
      'addressPools[0].prefixes[1]':
        'fe80::/64 has addresses that no host can be reached at, link-local (fe80::/10): leave them out',
      'addressPools[1].prefixes[0]':
        '0.0.0.0/1 has addresses that no host can be reached at, "this network" (0.0.0.0/8): leave them out',
    },
  ],
  [
    'pools that overlap, the wider one later',
    {
      addressPools: [
        { ...pool, prefixes: ['198.18.0.128/25', '2001:db8::5'] },
        { ...pool, name: 'q', prefixes: ['198.18.0.0/16', '2001:db8::/64'] },
      ],
    },
    {
      'addressPools[1].prefixes[0]':
        '198.18.0.0/16 overlaps 198.18.0.128/25 of addressPools[0].prefixes[0]: an address belongs to one pool, once',
      'addressPools[1].prefixes[1]':
        '2001:db8::/64 overlaps 2001:db8::5 of addressPools[0].prefixes[1]: an address belongs to one pool, once',
    },
  ],
  [
    'one prefix twice in a pool',
    { addressPools: [{ ...pool, prefixes: ['198.18.0.0/24', '198.18.0.0/24'] }] },
    {
      'addressPools[0].prefixes[1]':
        '198.18.0.0/24 overlaps 198.18.0.0/24 of addressPools[0].prefixes[0]: an address belongs to one pool, once',
    },
  ],
  [
    'what is reserved outside its pool',
    { addressPools: [{ ...pool, reserved: ['198.18.0.1', '198.18.0.0/23'] }] },
    {
      'addressPools[0].reserved[1]':
        '198.18.0.0/23 lies within no prefix of this pool, so it is never given out: leave it out',
    },
  ],
];

for (const [name, document, expected] of refused) {
  test(`refused: ${name}`, (t) => {
    t.deepEqual(faults(document), expected);
  });
}

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

test('an access list is canonical, in order, and has each entry once', (t) => {
  const entries = [
    ...[
      '2001:DB8::0/32',
      '198.51.100.7',
      '198.51.100.7/32',
      '::ffff:198.51.100.8',
      '::ffff:203.0.113.0/120',
      '9.0.0.0/8',
    ],
    ...['198.51.100.0/24', '2001:db8::', '::ffff:0:0/96', '10.0.0.0/8', '2001:db8::/32'],
  ];
  const state = validate(readConfig({ accessLists: [{ name: 'a', entries }] }));
  const { accessLists } = toDocument(state) as { accessLists: [{ entries: string[] }] };
  t.deepEqual(accessLists[0].entries, [
    ...['0.0.0.0/0', '9.0.0.0/8', '10.0.0.0/8', '198.51.100.0/24', '198.51.100.7', '198.51.100.8', '203.0.113.0/24'],
    ...['2001:db8::/32', '2001:db8::'],
  ]);
});

test('entries that are none say what to write instead', (t) => {
  const entries = [
    '198.51.100.7/24',
    '2001:db8::1/32',
    '198.51.100.0/33',
    'fe80::1%eth0',
    '',
    'example.com',
    '::ffff:1.2.3.4/90',
    '10.0.0.0/8/8',
    '10.0.0.0/08',
  ];
  const path = 'accessLists[0].entries';
  t.deepEqual(faults({ accessLists: [{ name: 'a', entries }] }), {
    [`${path}[0]`]:
      '"198.51.100.7/24" has bits set behind its length: write "198.51.100.0/24", or "198.51.100.7" for that address alone',
    [`${path}[1]`]:
      '"2001:db8::1/32" has bits set behind its length: write "2001:db8::/32", or "2001:db8::1" for that address alone',
    [`${path}[2]`]: '"198.51.100.0/33": a length of 0 to 32 is expected behind the "/"',
    [`${path}[3]`]: '"fe80::1%eth0": an address without a zone id is expected',
    [`${path}[4]`]: 'required: an address or a prefix, as "198.51.100.0/24"',
    [`${path}[5]`]: '"example.com" is no address or prefix: as "198.51.100.7", "198.51.100.0/24" or "2001:db8::/48"',
    [`${path}[6]`]: '"::ffff:1.2.3.4/90": more than the IPv4-mapped addresses: write IPv4 or IPv6',
    [`${path}[7]`]: '"10.0.0.0/8/8": a length of 0 to 32 is expected behind the "/"',
    [`${path}[8]`]: '"10.0.0.0/08": a length of 0 to 32 is expected behind the "/"',
  });
});

test('a list that is none at all is answered with its first entries', (t) => {
  const found = faults({ accessLists: [{ name: 'a', entries: Array(1000).fill('<html>') }] });
  t.is(Object.keys(found).length, 21);
  t.is(found['accessLists[0].entries'], '980 more entries are no addresses or prefixes');
});

test('addresses that were given from a pool are written, and read again', (t) => {
  const state = validate(readConfig(withRequest({ scope: 'PUBLIC' })));
  const given = { ...state, loadBalancers: [{ ...state.loadBalancers[0]!, addresses: ['198.18.0.9'] }] };
  const document = toDocument(given) as { loadBalancers: [Document] };
  t.like(document.loadBalancers[0], { assignedAddresses: ['198.18.0.9'] });
  t.is(document.loadBalancers[0]['addresses'], undefined);
  t.deepEqual(validate(readConfig(document)), given);
});
