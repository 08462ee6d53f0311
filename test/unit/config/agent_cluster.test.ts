import test from 'ava';
import { InvalidError } from '../../../src/base/errors.js';
import { type AgentConfig, parseAgentConfig } from '../../../src/config/agent.js';

const parse = (text: string): AgentConfig => parseAgentConfig(`interfaces: [eth0]\n${text}`);

function faults(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof InvalidError) return error.violations.map((one) => `${one.field}: ${one.description}`);
    throw error;
  }
  return [];
}

const secret = 'clusterSecretFile: /etc/spillway/secret\n';
const bird = (more: string) =>
  `routes: {localAs: 65001, routerId: 192.0.2.11, neighbors: [{address: 192.0.2.1, as: 65000}], ${more}}`;

test('peers take the place of the group', (t) => {
  const { sync } = parse(`${secret}sync: {interface: eth1, peers: [192.0.2.12, 192.0.2.13]}`);
  t.is(sync!.group, null);
  t.deepEqual(sync!.peers, ['192.0.2.12', '192.0.2.13']);
});

test('a group may be of IPv6', (t) => {
  t.is(parse(`${secret}sync: {interface: eth1, group: "ff15::83:87"}`).sync!.group, 'ff15::83:87');
});

test('a quorum is a majority or a number of nodes', (t) => {
  t.is(parse('agreement: {quorum: 2}').agreement.quorum, 2);
  t.is(parse('agreement: {quorum: majority}').agreement.quorum, 'majority');
});

test('a hold-down may be none', (t) => {
  t.is(parse('zones: {holdDown: 0s}').zones.holdDownMs, 0);
});

test('routers without BFD, and a router id that is the local address', (t) => {
  const { routes } = parse(
    'routes: {localAs: 65001, localAddress4: 192.0.2.11, bfd: null, neighbors: [{address: 192.0.2.1, as: 65000}]}',
  );
  t.like(routes, { kind: 'bird', routerId: '192.0.2.11', bfd: null, holdTimeSeconds: 9 });
});

test('a router of the same AS is given a MED and no longer path', (t) => {
  const { routes } = parse(
    'routes: {localAs: 65001, routerId: 192.0.2.11, neighbors: [{address: 192.0.2.1, as: 65001}]}',
  );
  t.like(routes, { secondary: { med: 100, prepend: 0, communities: [] } });
});

test('files of the instance bear its name', (t) => {
  t.like(parse(`instance: edge\n${bird('')}`).routes, {
    socket: '/run/spillway/edge-bird.ctl',
    configFile: '/var/lib/spillway/edge/bird.conf',
  });
});

test('a kernel table has its own fields', (t) => {
  t.deepEqual(parse('routes: {kind: kernel}').routes, {
    kind: 'kernel',
    table: 83,
    protocol: 83,
    primaryMetric: 100,
    secondaryMetric: 200,
  });
});

test('a MED may be set, and be none', (t) => {
  const { routes } = parse(bird('primary: {med: 10, communities: ["65000:1", "65000:1:2"]}, secondary: {med: null}'));
  t.like(routes, { primary: { med: 10, communities: ['65000:1', '65000:1:2'] }, secondary: { med: null } });
});

const table: readonly (readonly [name: string, text: string, expected: readonly string[]])[] = [
  [
    'a name with a blank',
    'node: {name: "lb 1"}',
    ['node.name: "lb 1": a letter or digit, then letters, digits, "-", "_" or ".", up to 63 characters, is expected'],
  ],
  [
    'an unknown way to end',
    'node: {onTermination: stop}',
    ['node.onTermination: "stop": one of keep, drain is expected'],
  ],
  [
    'a drain without end',
    'node: {drainTimeout: 61m}',
    ['node.drainTimeout: "61m": a duration from "1s" to "60m" is expected'],
  ],
  [
    'sync without a secret',
    'sync: {interface: eth1}',
    ['sync: needs clusterSecretFile: nodes without a common secret cannot share sessions'],
  ],
  [
    'sync without an interface',
    `${secret}sync: {}`,
    ['sync.interface: required: the interface that the nodes of the cluster share'],
  ],
  [
    'a group that is none',
    `${secret}sync: {interface: eth1, group: 192.0.2.1}`,
    [
      'sync.group: "192.0.2.1": a multicast address, as "239.83.87.1" or "ff15::83:87"; 224.0.0.0/24 is for routing protocols and not it, is expected',
    ],
  ],
  [
    'a group and peers',
    `${secret}sync: {interface: eth1, group: 239.1.1.1, peers: [192.0.2.2]}`,
    ['sync.group: set beside peers: datagrams go either to a group or to each peer; leave one of them out'],
  ],
  [
    'peers of two families, twice, and by name',
    `${secret}sync: {interface: eth1, peers: [192.0.2.2, "2001:db8::2", 192.0.2.2, lb3]}`,
    [
      'sync.peers[1]: "2001:db8::2": not of the family of 192.0.2.2; all peers are IPv4 or all are IPv6',
      'sync.peers[2]: "192.0.2.2" is given twice',
      'sync.peers[3]: "lb3": the IP address of another node is expected',
    ],
  ],
  [
    'an address of another family than the group',
    `${secret}sync: {interface: eth1, address: "2001:db8::1"}`,
    ['sync.address: "2001:db8::1": not of the family of 239.83.87.1, which datagrams go to'],
  ],
  [
    'a rate that starves the cluster',
    `${secret}sync: {interface: eth1, recordsPerSecond: 10}`,
    ['sync.recordsPerSecond: 10: a whole number from 1000 to 10000000 is expected'],
  ],
  [
    'half of TLS',
    `${secret}sync: {interface: eth1, tls: {certificate: /a, key: /b}}`,
    ['sync.tls.ca: required: the path of a PEM file'],
  ],
  [
    'a misspelled field of sync',
    `${secret}sync: {interface: eth1, grup: 239.1.1.1}`,
    [
      'sync.grup: unknown field (did you mean "group"?); known here: interface, peers, group, address, port, keyFile, recordsPerSecond, joinTimeout, tls',
    ],
  ],
  [
    'a quorum of nobody',
    'agreement: {quorum: 0}',
    ['agreement.quorum: 0: majority or a whole number from 1 to 64 is expected'],
  ],
  [
    'routes without anything',
    'routes: {}',
    [
      'routes.localAs: required: the AS number of this node, as 65001',
      'routes.routerId: required without localAddress4: an IPv4 address that no other router has',
      'routes.neighbors: required: the routers, as [{address: 192.0.2.1, as: 65000}]',
    ],
  ],
  [
    'a neighbor twice, without an AS number',
    'routes: {localAs: 65001, routerId: 192.0.2.11, neighbors: [{address: 192.0.2.1, as: 65000}, {address: 192.0.2.1}]}',
    [
      "routes.neighbors[1].as: required: the router's AS number",
      'routes.neighbors[1].address: "192.0.2.1" is given twice',
    ],
  ],
  [
    'a longer path for a router of the same AS',
    'routes: {localAs: 65001, routerId: 192.0.2.11, neighbors: [{address: 192.0.2.1, as: 65001}], secondary: {prepend: 3}}',
    ['routes.secondary.prepend: 3: 192.0.2.1 is of AS 65001, too, and would refuse its own AS in the path: use med'],
  ],
  [
    'communities that are none',
    bird('primary: {communities: ["65536:1", "a:b", 5, "1:2:3:4"]}'),
    ['"65536:1"', '"a:b"', '5', '"1:2:3:4"'].map(
      (value, index) =>
        `routes.primary.communities[${index}]: ${value}: a community, as "65000:100", or a large one, as "65000:1:2", is expected`,
    ),
  ],
  [
    'BFD that would see ghosts',
    bird('bfd: {interval: 1ms, multiplier: 1}'),
    [
      'routes.bfd.interval: "1ms": a duration from "10ms" to "60s" is expected',
      'routes.bfd.multiplier: 1: a whole number from 2 to 50 is expected',
    ],
  ],
  [
    'fields of BIRD for a kernel table',
    'routes: {kind: kernel, table: 255, localAs: 65001}',
    [
      'routes.table: 255 is the table of local addresses: choose another, as 83',
      'routes.localAs: unknown field; known here: kind, table, protocol, primaryMetric, secondaryMetric',
    ],
  ],
];

for (const [name, text, expected] of table) {
  test(`refused: ${name}`, (t) => {
    t.deepEqual(faults(text), expected);
  });
}
