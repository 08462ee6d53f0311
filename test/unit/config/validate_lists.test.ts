/** Access lists and address pools, and what asks for them. */
import test from 'ava';
import { readConfig } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import { toDocument } from '../../../src/config/write.js';
import {
  accepted,
  type Document,
  faults,
  l0,
  lb,
  pool,
  refused,
  withBalancer,
  withListener,
  withRequest,
} from './documents.js';

accepted([
  [
    'an access list that exists',
    withListener(
      { accessControl: { mode: 'ALLOW', accessList: 'us' } },
      { accessLists: [{ name: 'us', entries: ['0.0.0.0/0', '::/0'] }] },
    ),
  ],
  ['an access list without entries', { accessLists: [{ name: 'none' }] }],
  [
    'a request for both families of two pools',
    withRequest({ families: ['IPV6', 'IPV4'] }, [pool, { name: 'q', scope: 'PUBLIC', prefixes: ['2001:db8:1::/64'] }]),
  ],
  ['a VIP within a pool', withBalancer({ addresses: ['198.18.0.1'] }, { addressPools: [pool] })],
  [
    'pools side by side',
    { addressPools: [pool, { ...pool, name: 'q', prefixes: ['198.18.1.0/24', '2001:db8::/128'] }] },
  ],
]);

refused([
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
]);

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
