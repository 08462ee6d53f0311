/**
 * BIRD's configuration, compared with test/golden/bird and read by BIRD itself. To write those anew after a change that
 * was meant: UPDATE_GOLDEN=1 node_modules/.bin/ava dist/test/unit/bgp/golden.test.js, then read the difference.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { modelOf } from '../../../src/bgp/model.js';
import { render } from '../../../src/bgp/render.js';
import type { Route } from '../../../src/bgp/types.js';
import { wantedOf } from '../../../src/bgp/wanted.js';
import type { BirdConfig } from '../../../src/config/cluster.js';
import { configOf, neighbor, route } from './sample.js';

interface Case {
  readonly config?: Partial<BirdConfig>;
  readonly routes?: readonly Route[];
  readonly passwords?: Readonly<Record<string, string>>;
}

const v4 = route('192.0.2.10');
const v6 = route('2001:db8:10::10');
const router4 = neighbor('203.0.113.1');
const router6 = neighbor('2001:db8:200::1');
const plain = { med: null, prepend: 0, communities: [] };

const cases: Readonly<Record<string, Case>> = {
  'no routes': {},
  'v4 only': { routes: [v4], config: { neighbors: [router4] } },
  'v6 only': { routes: [v6], config: { neighbors: [router6] } },
  both: { routes: [v6, route('192.0.2.11'), v4] },
  'two routers': {
    routes: [v4, v6],
    config: { neighbors: [router4, neighbor('203.0.113.2'), router6, neighbor('2001:db8:200::2')] },
  },
  supervised: { routes: [v4], config: { supervise: true } },
  'local addresses': { routes: [v4], config: { localAddress4: '203.0.113.11', localAddress6: '2001:db8:200::11' } },
  password: {
    routes: [v4],
    config: { neighbors: [neighbor('203.0.113.1', { passwordFile: '/etc/spillway/bgp' })] },
    passwords: { '/etc/spillway/bgp': "it's a {secret}; # 7\n" },
  },
  multihop: {
    routes: [v4],
    config: { neighbors: [neighbor('198.51.100.1', { multihop: 3, port: 1179 })], localAddress4: '203.0.113.11' },
  },
  'no BFD': { routes: [v4], config: { bfd: null, holdTimeSeconds: 3 } },
  'slow BFD': { routes: [v4], config: { bfd: { intervalMs: 300, multiplier: 5 } } },
  'same AS': { routes: [v4], config: { neighbors: [neighbor('203.0.113.1', { as: 4_200_000_001 })] } },
  communities: { routes: [v4], config: { primary: { ...plain, communities: ['65000:100', '65535:65281'] } } },
  'large communities': {
    routes: [v4],
    config: { primary: { ...plain, communities: ['4200000001:1:2', '65000:100'] } },
  },
  MED: { routes: [v4, route('192.0.2.11', { med: 5 })], config: { primary: { ...plain, med: 10 } } },
  'prepend per route': { routes: [v4, route('192.0.2.11', { prepend: 3, communities: ['65000:3'] })] },
  'secondary preference': {
    routes: [v4, route('192.0.2.20', { preference: 'secondary', med: 1, prepend: 1, communities: ['65000:9'] })],
    config: { secondary: { med: 100, prepend: 2, communities: ['65000:200'] } },
  },
};

const folder = 'test/golden/bird';
const fileOf = (title: string): string => `${folder}/${title.toLowerCase().replaceAll(' ', '_')}.conf`;

for (const [title, { config = {}, routes = [], passwords = {} }] of Object.entries(cases)) {
  const text = (): string => {
    const full = configOf(config);
    const logFile = full.supervise ? '/run/spillway/bird.conf.log' : null;
    const surroundings = { passwords: new Map(Object.entries(passwords)), bootId: '8a0ca8c4', logFile };
    return render(modelOf(full, wantedOf(routes).routes, surroundings));
  };

  test(`${title}: the configuration is the golden one`, (t) => {
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(fileOf(title), text());
    t.is(text(), readFileSync(fileOf(title), 'utf8'));
  });

  test(`${title}: BIRD accepts it`, (t) => {
    t.notThrows(() => execFileSync('bird', ['-p', '-c', fileOf(title)], { stdio: ['ignore', 'ignore', 'inherit'] }));
  });
}

test('no golden file is left over', (t) => {
  t.deepEqual(
    readdirSync(folder).sort(),
    Object.keys(cases)
      .map(fileOf)
      .map((file) => file.slice(folder.length + 1))
      .sort(),
  );
});
