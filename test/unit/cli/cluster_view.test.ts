import { readFileSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { codec, type Input, type messages } from '../../../src/api/client.js';
import { palette } from '../../../src/cli/format/color.js';
import { formatCluster, formatNode } from '../../../src/cli/views/cluster.js';
import { ago, nowMs } from './fixture.js';

const view = { nowMs, paint: palette({ terminal: false, env: {} }) };

function golden(t: ExecutionContext, name: string, text: string): void {
  const file = new URL(`../../../../test/unit/cli/golden/${name}.txt`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
  t.is(text, readFileSync(file, 'utf8'));
}

function cluster(input: Input<messages.Cluster>): messages.Cluster {
  const { encode, decode } = codec('spillway.v1.Cluster');
  return decode(encode(input));
}

const node = {
  version: '0.1.0',
  zone: 'a',
  life: 'ACTIVE',
  alive: true,
  configVersion: 12n,
  sessions: 1_234_567n,
  announced: 2,
  startedAt: ago(273_600),
} as const;

const three = cluster({
  nodes: [
    { ...node, name: 'lb1', self: true },
    {
      ...node,
      name: 'lb2',
      life: 'DRAINING',
      address: '192.0.2.12',
      configVersion: 11n,
      configDiffers: true,
      announced: 0,
      suspect: true,
      lastHeardAt: ago(0),
      syncLag: { seconds: 0n, nanos: 1_500_000 },
      datagrams: 1_000_000n,
      missed: 1200n,
      repaired: 1190n,
      givenUp: 10n,
    },
    { ...node, name: 'lb3', zone: '', alive: false, address: '192.0.2.13', lastHeardAt: ago(65) },
  ],
  routes: {
    kind: 'bird',
    vips: [
      { vip: '192.0.2.1', loadBalancer: 'web', announced: true, preference: 'primary' },
      {
        vip: '2001:db8::1',
        loadBalancer: 'web',
        preference: 'secondary',
        reason: 'no healthy backend on any listener, 1 needed (announcement.minimumHealthyBackends)',
      },
    ],
    neighbors: [
      { address: '198.51.100.1', state: 'Established', bfd: 'up', since: ago(3600), routesExported: 1 },
      { address: '2001:db8::fe', state: 'Active', bfd: 'down' },
    ],
  },
  sync: { enabled: true },
  problems: ['lb2 wants another state (version 11, here 12): apply the same document to both'],
});

test('cluster', (t) => {
  golden(t, 'cluster', formatCluster(three, view));
});

test('cluster of one that shares nothing', (t) => {
  golden(t, 'cluster_alone', formatCluster(cluster({ nodes: [{ ...node, self: true, name: 'lb1' }] }), view));
});

test('node', (t) => {
  golden(t, 'node', formatNode(three, view));
});

test('what a node is called cannot upset the terminal', (t) => {
  const evil = cluster({ nodes: [{ ...node, self: true, name: 'lb1\x1b[2J', zone: '\x07' }], problems: ['\x1b]0;x'] });
  for (const text of [formatCluster(evil, view), formatNode(evil, view)]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that must not come through
    t.notRegex(text, /[\x00-\x09\x0b-\x1f]/);
  }
});
