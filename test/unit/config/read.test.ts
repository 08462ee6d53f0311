import test from 'ava';
import { InvalidError } from '../../../src/base/errors.js';
import { readDocument } from '../../../src/config/read.js';

function violations(text: string): string[] {
  try {
    readDocument(text);
  } catch (error) {
    if (error instanceof InvalidError)
      return error.violations.map(({ field, description }) => `${field}: ${description}`);
    throw error;
  }
  return [];
}

test('both names of a field are understood, in YAML and in JSON', (t) => {
  const yaml = readDocument(`
load_balancers:
  - name: web
    addresses: [192.0.2.1]
    listeners:
      - {protocol: 1, port: "443", backend_group: web, session_timeout: 30s, health_check: {tcp: {}, interval: 0.25s}}
backendGroups: []
`);
  const json = readDocument(
    JSON.stringify({
      loadBalancers: [
        {
          name: 'web',
          addresses: ['192.0.2.1'],
          listeners: [
            {
              protocol: 'TCP',
              port: 443,
              backendGroup: 'web',
              sessionTimeout: '30s',
              healthCheck: { tcp: {}, interval: '0.250s' },
            },
          ],
        },
      ],
      backendGroups: null,
    }),
  );
  t.deepEqual(yaml, json);
  const [listener] = yaml.loadBalancers[0]!.listeners;
  t.deepEqual(listener!.healthCheck!.interval, { seconds: 0n, nanos: 250_000_000 });
  t.deepEqual(listener!.sessionTimeout, { seconds: 30n, nanos: 0 });
  t.is(listener!.scheduler, 'SCHEDULER_UNSPECIFIED');
});

test('every kind of field of Config is read', (t) => {
  const { loadBalancers, backendGroups, accessLists, addressPools } = readDocument(`
loadBalancers:
  - name: a
    labels: {team: x, "1": "2"}
    listeners:
      - healthCheck: {udp: {request: "aGk=", expectedReply: "_-8"}, rise: 2, target: BACKEND_ADDRESS}
        stopped: true
        allUnhealthy: FAIL_CLOSED
      - healthCheck: {http: {method: GET, expected_codes: [2xx], tls: true}}
        sourcePersistence: 60s
        slow_start: 1.5s
        accessControl: {mode: DENY, access_list: bad}
        limits: {bitsPerSecond: 10000000000000, packets_per_second: "7", newSessionsPerSecondPerSource: 5}
        quic: {configs: [{id: 1, serverIdLength: 4, nonceLength: 12, key: "AAECAwQFBgcICQoLDA0ODw=="}]}
    addressRequest: {pool: p, scope: PRIVATE, families: [IPV6, 1]}
    assignedAddresses: [192.0.2.1]
    maxSegmentSize: 1400
accessLists:
  - {name: bad, entries: [198.51.100.7, "2001:db8::/32"], description: d}
address_pools:
  - {name: p, scope: PUBLIC, prefixes: [192.0.2.0/24], reserved: [192.0.2.1]}
backendGroups:
  - {name: q, forwarding: GUE, tunnelPort: 6081, portMapping: true, backends: [{quicServerId: AQI=, port: 1}]}
  - {name: g, forwarding: IPIP, backends: [{address: 2001:db8::1, weight: 0}, {address: 203.0.113.1}]}
`);
  const [udp, http] = loadBalancers[0]!.listeners;
  t.deepEqual(loadBalancers[0]!.labels, { team: 'x', 1: '2' });
  t.deepEqual(udp!.healthCheck!.udp, { request: Uint8Array.of(0x68, 0x69), expectedReply: Uint8Array.of(0xff, 0xef) });
  t.like(udp, { stopped: true, allUnhealthy: 'FAIL_CLOSED' });
  t.like(http!.healthCheck!.http, { method: 'GET', expectedCodes: ['2xx'], tls: true, path: '' });
  t.deepEqual(http!.sourcePersistence, { seconds: 60n, nanos: 0 });
  t.deepEqual(http!.slowStart, { seconds: 1n, nanos: 500_000_000 });
  t.deepEqual(http!.accessControl, { mode: 'DENY', accessList: 'bad' });
  t.deepEqual(http!.limits, {
    newSessionsPerSecond: 0,
    sessions: 0,
    bitsPerSecond: 10_000_000_000_000n,
    packetsPerSecond: 7n,
    newSessionsPerSecondPerSource: 5,
  });
  t.deepEqual(http!.quic, {
    configs: [{ id: 1, serverIdLength: 4, nonceLength: 12, key: Uint8Array.from({ length: 16 }, (_, i) => i) }],
  });
  t.like(loadBalancers[0], {
    addressRequest: { pool: 'p', scope: 'PRIVATE', families: ['IPV6', 'IPV4'] },
    assignedAddresses: ['192.0.2.1'],
    maxSegmentSize: 1400,
  });
  t.deepEqual(accessLists, [{ name: 'bad', entries: ['198.51.100.7', '2001:db8::/32'], description: 'd' }]);
  t.deepEqual(addressPools, [
    { name: 'p', scope: 'PUBLIC', prefixes: ['192.0.2.0/24'], reserved: ['192.0.2.1'], description: '' },
  ]);
  t.like(backendGroups[0], { forwarding: 'GUE', tunnelPort: 6081, portMapping: true });
  t.deepEqual(backendGroups[0]!.backends[0]!.quicServerId, Uint8Array.of(1, 2));
  t.deepEqual(
    backendGroups[1]!.backends.map(({ weight }) => weight),
    [0, undefined],
  );
});

const listener = (fields: string) => `{"loadBalancers":[{"listeners":[{${fields}}]}]}`;
const at = 'loadBalancers[0].listeners[0]';

const table: readonly (readonly [name: string, document: string, expected: readonly string[]])[] = [
  [
    'an unknown field comes with the nearest known one',
    listener('"prot": 1'),
    [
      `${at}.prot: unknown field (did you mean "port"?); known here: name, protocol, port, backendGroup, scheduler, ` +
        'sessionTimeout, healthCheck, allUnhealthy, stopped, description, sourcePersistence, accessControl, limits, ' +
        'quic, slowStart, locality',
    ],
  ],
  [
    'a word that is near to nothing comes without a guess',
    '{"zzzzzzzz": 1}',
    ['zzzzzzzz: unknown field; known here: loadBalancers, backendGroups, accessLists, addressPools'],
  ],
  [
    'both names of one field are one too many',
    listener('"backendGroup": "a", "backend_group": "b"'),
    [`${at}.backend_group: given twice, also as "backendGroup"`],
  ],
  ['a key given twice in JSON', listener('"port": 1, "port": 2'), [`${at}.port: given twice`]],
  [
    'a key given twice in YAML',
    'backendGroups: []\nbackendGroups: []\n',
    ['line 2, column 1: Map keys must be unique'],
  ],
  [
    'a number where text belongs',
    listener('"name": 5'),
    [`${at}.name: 5 is a number, a string is expected: put it in quotes`],
  ],
  ['text where a number belongs', listener('"port": "https"'), [`${at}.port: "https": a whole number is expected`]],
  ['a fraction where a whole number belongs', listener('"port": 1.5'), [`${at}.port: 1.5: a whole number is expected`]],
  [
    'a number of 64 bits that is none',
    listener('"limits": {"bitsPerSecond": "1e9", "packetsPerSecond": 0.5}'),
    [
      `${at}.limits.bitsPerSecond: "1e9": a whole number is expected`,
      `${at}.limits.packetsPerSecond: 0.5: a whole number is expected`,
    ],
  ],
  [
    'numbers beyond 64 bits',
    listener('"limits": {"bitsPerSecond": "18446744073709551616", "packetsPerSecond": -1}'),
    [
      `${at}.limits.bitsPerSecond: "18446744073709551616" is not within 0 to 18446744073709551615`,
      `${at}.limits.packetsPerSecond: -1 is not within 0 to 18446744073709551615`,
    ],
  ],
  ['a negative number', listener('"port": -1'), [`${at}.port: -1 is not within 0 to 4294967295`]],
  [
    'text where true or false belongs',
    listener('"stopped": "yes"'),
    [`${at}.stopped: "yes": true or false is expected`],
  ],
  [
    'an enum in lower case',
    listener('"protocol": "tcp"'),
    [`${at}.protocol: "tcp": one of TCP, UDP is expected (did you mean "TCP"?)`],
  ],
  ['an enum number that does not exist', listener('"protocol": 7'), [`${at}.protocol: 7: one of TCP, UDP is expected`]],
  [
    'a duration without its unit',
    listener('"sessionTimeout": 30'),
    [`${at}.sessionTimeout: 30: a duration with its unit is expected: "30s"`],
  ],
  [
    'a duration in another unit',
    listener('"sessionTimeout": "250ms"'),
    [`${at}.sessionTimeout: "250ms": a duration such as "3s" or "0.25s" is expected: write "0.25s"`],
  ],
  [
    'bytes that are not base64',
    listener('"healthCheck": {"udp": {"request": "a*"}}'),
    [`${at}.healthCheck.udp.request: "a*" is not base64`],
  ],
  [
    'two checks in one',
    listener('"healthCheck": {"tcp": {}, "http": {}}'),
    [`${at}.healthCheck.http: set beside "tcp": only one of tcp, http, udp`],
  ],
  ['one thing where a list belongs', '{"loadBalancers": {}}', ['loadBalancers: an object: a list is expected']],
  [
    'a list where fields belong',
    '[]',
    ['(document): []: an object is expected, with loadBalancers, backendGroups, accessLists, addressPools'],
  ],
  [
    'an empty list element',
    'backendGroups:\n  -\n',
    [
      'backendGroups[0]: null: an object is expected, with name, forwarding, backends, description, tunnelPort, ' +
        'portMapping',
    ],
  ],
  ['an empty file', '# nothing\n', ['(document): the document is empty: write {} where nothing at all is meant']],
  ['a tag that nobody knows', 'backendGroups: !secret []\n', ['line 1, column 16: Unresolved tag: !secret']],
  [
    'two documents in one file',
    '{}\n---\n{}\n',
    ['(document): 2 documents in one text: give one, without "---" between'],
  ],
  [
    'YAML that is broken',
    'backendGroups: [\n',
    ['line 2, column 1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  [
    'every fault at once',
    '{"backendGroups": [{"nmae": "a"}, {"backends": [{"weight": "x"}, {"weight": true}]}]}',
    [
      'backendGroups[0].nmae: unknown field (did you mean "name"?); known here: name, forwarding, backends, ' +
        'description, tunnelPort, portMapping',
      'backendGroups[1].backends[0].weight: "x": a whole number is expected',
      'backendGroups[1].backends[1].weight: true: a whole number is expected',
    ],
  ],
];

for (const [name, document, expected] of table) {
  test(`refused: ${name}`, (t) => {
    t.deepEqual(violations(document), expected);
  });
}

test('a document nested deeper than the stack is refused, not fatal', (t) => {
  t.is(violations('['.repeat(100_000)).length, 1);
  t.is(violations(`{"backendGroups":${'['.repeat(20_000)}${']'.repeat(20_000)}}`).length, 1);
});

test('aliases that multiply are refused', (t) => {
  const lines = ['a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'];
  for (let level = 1; level < 9; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  }
  t.regex(violations(lines.join('\n'))[0]!, /^\(document\): cannot be read: Excessive alias count/);
});

test('a label may have any name without harm', (t) => {
  const { loadBalancers } = readDocument('{"loadBalancers": [{"labels": {"__proto__": "x", "constructor": "y"}}]}');
  t.deepEqual(Object.keys(loadBalancers[0]!.labels), ['__proto__', 'constructor']);
});
