import test from 'ava';
import { readConfig } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import {
  accepted,
  b0,
  backend,
  balancer,
  group,
  l0,
  listener,
  refused,
  withBackend,
  withBalancer,
  withGroup,
  withListener,
} from './documents.js';

const unicast = 'a unicast address that other hosts can reach is expected';
const noName = 'is no name: a letter, then letters, digits, "-", "_" or ".", up to 63 characters';

accepted([
  ['nothing at all', {}],
  ['the smallest load balancer', withBalancer({})],
  ['a group that no listener uses', { backendGroups: [group] }],
  ['a group without backends', withGroup({ backends: [] })],
  [
    'a group that two load balancers use',
    { loadBalancers: [balancer, { ...balancer, name: 'b', addresses: ['192.0.2.2'] }], backendGroups: [group] },
  ],
  ['TCP and UDP on one port', withBalancer({ listeners: [listener, { ...listener, protocol: 'UDP' }] })],
  [
    'L2_DSR for an IPv6 VIP to a backend known by IPv4: only its MAC matters',
    withBalancer({ addresses: ['2001:db8::1'] }),
  ],
  [
    'IPIP for an IPv4 VIP to an IPv6 backend',
    withGroup({ forwarding: 'IPIP', backends: [{ address: '2001:db8::9' }] }),
  ],
  ["a backend port that is the listener's", withBackend({ port: 443 })],
  [
    'weights 0 and 100',
    withGroup({
      backends: [
        { ...backend, weight: 0 },
        { address: '203.0.113.2', weight: 100 },
      ],
    }),
  ],
  [
    'IPIP and GUE for an IPv6 VIP to an IPv4 backend',
    {
      loadBalancers: [
        { ...balancer, addresses: ['2001:db8::1'] },
        { ...balancer, name: 'b', addresses: ['2001:db8::2'], listeners: [{ ...listener, backendGroup: 'gue' }] },
      ],
      backendGroups: [
        { ...group, forwarding: 'IPIP' },
        { ...group, name: 'gue', forwarding: 'GUE', tunnelPort: 6081 },
      ],
    },
  ],
  ...['TCH', 'SCH', 'WRR', 'RR', 'WLC'].map(
    (scheduler) => [`the scheduler ${scheduler}`, withListener({ scheduler })] as const,
  ),
  ['a mapped port', withGroup({ portMapping: true, backends: [{ ...backend, port: 8080 }] })],
  ['names of 63 characters', withBackend({ name: 'a'.repeat(63) })],
  ['32 VIPs', withBalancer({ addresses: Array.from({ length: 32 }, (_, index) => `192.0.2.${index}`) })],
]);

refused([
  [
    'a load balancer without a name',
    withBalancer({ name: '' }),
    { 'loadBalancers[0].name': 'required: a letter, then letters, digits, "-", "_" or "."' },
  ],
  ['a name that begins with a digit', withBalancer({ name: '1a' }), { 'loadBalancers[0].name': `"1a" ${noName}` }],
  [
    'a name of 64 characters',
    withBackend({ name: 'a'.repeat(64) }),
    { [`${b0}.name`]: `"${'a'.repeat(59)}... ${noName}` },
  ],
  [
    'two load balancers of one name',
    { loadBalancers: [balancer, { ...balancer, addresses: ['192.0.2.2'] }], backendGroups: [group] },
    { 'loadBalancers[1].name': 'LoadBalancer name "lb" is taken by loadBalancers[0].name' },
  ],
  [
    'a load balancer without VIPs',
    withBalancer({ addresses: [] }),
    {
      'loadBalancers[0].addresses':
        'required: at least one VIP, or an address pool of scope PUBLIC with an IPv4 prefix',
    },
  ],
  [
    '33 VIPs',
    withBalancer({ addresses: Array.from({ length: 33 }, (_, index) => `192.0.2.${index}`) }),
    { 'loadBalancers[0].addresses': '33 VIPs; at most 32: use a second one' },
  ],
  [
    'a VIP that is no address',
    withBalancer({ addresses: ['192.0.2.256'] }),
    { 'loadBalancers[0].addresses[0]': '"192.0.2.256" is no IPv4 or IPv6 address' },
  ],
  [
    'a VIP with a prefix length',
    withBalancer({ addresses: ['192.0.2.1/24'] }),
    { 'loadBalancers[0].addresses[0]': '"192.0.2.1/24": an address without a prefix length is expected' },
  ],
  [
    'a VIP with a zone id',
    withBalancer({ addresses: ['fe80::1%eth0'] }),
    { 'loadBalancers[0].addresses[0]': '"fe80::1%eth0": an address without a zone id is expected' },
  ],
  ...(
    [
      ['0.0.0.0', 'unspecified ("this network", 0.0.0.0/8)'],
      ['127.0.0.1', 'a loopback address'],
      ['169.254.1.1', 'link-local'],
      ['224.0.0.1', 'multicast'],
      ['255.255.255.255', 'broadcast or reserved (240.0.0.0/4)'],
      ['::', 'unspecified'],
      ['::1', 'a loopback address'],
      ['fe80::1', 'link-local'],
      ['ff02::1', 'multicast'],
    ] as const
  ).flatMap(
    ([address, kind]) =>
      [
        [
          `the VIP ${address}`,
          withBalancer({ addresses: [address] }),
          { 'loadBalancers[0].addresses[0]': `${address} is ${kind}: ${unicast}` },
        ],
        [
          `the backend ${address}`,
          withBackend({ address }),
          { [`${b0}.address`]: `${address} is ${kind}: ${unicast}` },
        ],
      ] as const,
  ),
  [
    'a VIP twice on one load balancer, in another spelling',
    withBalancer({ addresses: ['2001:db8::1', '2001:DB8:0::1'] }),
    {
      'loadBalancers[0].addresses[1]':
        'VIP 2001:db8::1 is taken by loadBalancers[0].addresses[0]: a VIP belongs to one LoadBalancer, once',
    },
  ],
  [
    'a VIP on two load balancers',
    { loadBalancers: [balancer, { ...balancer, name: 'b' }], backendGroups: [group] },
    {
      'loadBalancers[1].addresses[0]':
        'VIP 192.0.2.1 is taken by loadBalancers[0].addresses[0]: a VIP belongs to one LoadBalancer, once',
    },
  ],
  [
    "a VIP that is a backend's address",
    withBackend({ address: '192.0.2.1' }),
    {
      [`${b0}.address`]:
        '192.0.2.1 is the VIP of loadBalancers[0].addresses[0]: a backend is reached at an address of its own',
    },
  ],
  [
    'labels with a bad key',
    withBalancer({ labels: { 'a b': 'x' } }),
    {
      'loadBalancers[0].labels["a b"]':
        '"a b" is no label key: a letter or digit, then letters, digits, "-", "_", "." or "/", up to 63 characters',
    },
  ],
  [
    'control characters in a description',
    withBalancer({ description: 'a\u0007' }),
    { 'loadBalancers[0].description': '"a\\u0007" holds control characters: remove them' },
  ],
  ['a listener without a protocol', withListener({ protocol: 0 }), { [`${l0}.protocol`]: 'required: TCP or UDP' }],
  ['port 0', withListener({ port: 0 }), { [`${l0}.port`]: '0 is no port: 1 to 65535' }],
  ['port 65536', withListener({ port: 65536 }), { [`${l0}.port`]: '65536 is no port: 1 to 65535' }],
  [
    'two listeners on one protocol and port',
    withBalancer({ listeners: [listener, { ...listener, name: 'other' }] }),
    {
      'loadBalancers[0].listeners[1].port':
        'protocol and port "tcp/443" is taken by loadBalancers[0].listeners[0].port',
    },
  ],
  [
    'two listeners of one name',
    withBalancer({ listeners: [listener, { ...listener, name: 'tcp-443', port: 1 }] }),
    { 'loadBalancers[0].listeners[1].name': 'listener name "tcp-443" is taken by loadBalancers[0].listeners[0].name' },
  ],
  [
    'a listener without a group',
    withListener({ backendGroup: '' }),
    { [`${l0}.backendGroup`]: 'required: the name of a backend group' },
  ],
  [
    'a group that does not exist',
    withListener({ backendGroup: 'wbe' }),
    { [`${l0}.backendGroup`]: 'no backend group "wbe" (did you mean "web"?)' },
  ],
  [
    'a session timeout too short',
    withListener({ sessionTimeout: '9.999s' }),
    { [`${l0}.sessionTimeout`]: '9.999 s is not within 10 s to 900 s' },
  ],
  [
    'a session timeout too long',
    withListener({ sessionTimeout: '901s' }),
    { [`${l0}.sessionTimeout`]: '901 s is not within 10 s to 900 s' },
  ],
  [
    'a session timeout in microseconds',
    withListener({ sessionTimeout: '10.000001s' }),
    { [`${l0}.sessionTimeout`]: '10000.001 ms: whole milliseconds are expected' },
  ],
  [
    'a group without forwarding',
    withGroup({ forwarding: 0 }),
    {
      'backendGroups[0].forwarding':
        'required: L2_DSR (backends on a segment with this node), or IPIP or GUE (backends anywhere, decapsulating)',
    },
  ],
  [
    'two groups of one name',
    { backendGroups: [group, group] },
    { 'backendGroups[1].name': 'backend group name "web" is taken by backendGroups[0].name' },
  ],
  [
    'a backend without an address',
    withBackend({ address: '' }),
    { [`${b0}.address`]: 'required: an IPv4 or IPv6 address' },
  ],
  [
    'two backends at one address',
    withGroup({ backends: [backend, { name: 'be2', address: '203.0.113.1' }] }),
    {
      'backendGroups[0].backends[1].address': 'address "203.0.113.1" is taken by backendGroups[0].backends[0].address',
    },
  ],
  [
    'two backends of one name',
    withGroup({ backends: [backend, { name: 'be1', address: '203.0.113.2' }] }),
    { 'backendGroups[0].backends[1].name': 'backend name "be1" is taken by backendGroups[0].backends[0].name' },
  ],
  ['a weight of 101', withBackend({ weight: 101 }), { [`${b0}.weight`]: '101 is not within 0 to 100 (0 drains)' }],
  [
    'a zone with a space',
    withBackend({ zone: 'a b' }),
    { [`${b0}.zone`]: '"a b" is no zone: letters, digits, "-", "_" or ".", up to 63 characters' },
  ],
  [
    "a backend port that is not the listener's",
    withBackend({ port: 8443 }),
    {
      [`${b0}.port`]:
        `8443 is not the port of ${l0} (443): leave it out, or, where the backends' own program maps ports ` +
        '("spillway backend attach --map"), set portMapping of backendGroups[0]',
    },
  ],
]);

test('what is left out gets its default', (t) => {
  const state = validate(
    readConfig({
      loadBalancers: [
        {
          name: 'lb',
          addresses: ['192.0.2.1', '2001:DB8::0:1', '::ffff:192.0.2.9'],
          listeners: [
            { protocol: 'TCP', port: 443, backendGroup: 'web', healthCheck: { http: {} } },
            { protocol: 'UDP', port: 53, backendGroup: 'web', healthCheck: { udp: {} } },
            { protocol: 'TCP', port: 25, backendGroup: 'web' },
          ],
        },
      ],
      backendGroups: [{ name: 'web', forwarding: 'L2_DSR', backends: [{ address: '2001:DB8:F::1' }] }],
    }),
  );
  t.deepEqual(state.backendGroups[0]!.backends, [
    {
      name: '2001:db8:f::1',
      address: '2001:db8:f::1',
      family: 6,
      port: 0,
      weight: 100,
      zone: '',
      quicServerId: new Uint8Array(),
    },
  ]);
  const [{ addresses, listeners }] = state.loadBalancers as [(typeof state.loadBalancers)[0]];
  t.deepEqual(addresses, ['192.0.2.1', '2001:db8::1', '192.0.2.9']);
  const common = { port: 0, rise: 3, fall: 3, target: 'VIP' };
  const [http, udp, plain] = listeners;
  t.like(http, { name: 'tcp-443', scheduler: 'TCH', sessionTimeoutMs: 900_000, allUnhealthy: 'FAIL_OPEN' });
  t.deepEqual(http!.healthCheck as unknown, {
    ...common,
    intervalMs: 2000,
    timeoutMs: 5000,
    probe: { kind: 'http', method: 'HEAD', path: '/', host: '', expectedCodes: [[200, 299]], tls: false },
  });
  t.like(udp, { name: 'udp-53', sessionTimeoutMs: 90_000 });
  t.like(udp!.healthCheck, { ...common, intervalMs: 5000, timeoutMs: 10_000 });
  t.is(plain!.healthCheck, null);
});
