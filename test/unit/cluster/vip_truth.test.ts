import test from 'ava';
import { vipTruths } from '../../../src/cluster/vip_truth.js';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import {
  backend,
  desiredOf,
  group,
  listener,
  loadBalancer,
  seen,
  tcpCheck,
  type World,
} from '../../support/desired.js';

const checked = { healthCheck: tcpCheck };
const web = group('web', 'L2_DSR', [
  backend('be1', '203.0.113.21'),
  backend('be2', '203.0.113.22', 0),
  backend('be3', '203.0.113.23'),
]);
const api = group('api', 'L2_DSR', [backend('be9', '203.0.113.29')]);

function compiled(desired: Desired, world: World = {}): Compiled {
  return compile(desired, seen(desired, world), new IdLedger({ services: 64, pools: 32, backends: 64 }), {
    tickMs: 256,
  });
}

function healthy(desired: Desired, world: World = {}): (number | null)[] {
  return vipTruths(desired, compiled(desired, world)).map(({ healthyBackends }) => healthyBackends);
}

test('the listener with most healthy backends speaks for the VIP, drained ones included', (t) => {
  const desired = desiredOf(
    [
      loadBalancer(
        'web',
        ['192.0.2.10', '192.0.2.11'],
        [
          listener({ port: 443, backendGroup: 'web', ...checked }),
          listener({ port: 80, backendGroup: 'api', ...checked }),
        ],
      ),
    ],
    [web, api],
  );
  t.deepEqual(healthy(desired), [3, 3]);
  t.deepEqual(healthy(desired, { unhealthy: ['be1', 'be2', 'be3'] }), [1, 1]);
});

test('failing open is no health', (t) => {
  const desired = desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [listener({ port: 443, backendGroup: 'web', ...checked })])],
    [web],
  );
  t.deepEqual(healthy(desired, { unhealthy: ['be1', 'be2', 'be3'] }), [0]);
});

test('a backend that cannot be reached does not count', (t) => {
  const desired = desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [listener({ port: 443, backendGroup: 'web' })])],
    [web],
  );
  t.deepEqual(healthy(desired, { unresolved: ['be1'] }), [2]);
});

test('a stopped listener does not speak, and a VIP without another has none', (t) => {
  const desired = desiredOf(
    [
      loadBalancer('web', ['192.0.2.10'], [listener({ port: 443, backendGroup: 'web', stopped: true })]),
      loadBalancer('bare', ['192.0.2.20'], []),
    ],
    [web],
  );
  t.deepEqual(healthy(desired), [null, null]);
});

test('backends that nobody has checked yet are told apart', (t) => {
  const desired = desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [listener({ port: 443, backendGroup: 'web', ...checked })])],
    [web],
  );
  const tables = compile(
    desired,
    { ...seen(desired), health: new Map() },
    new IdLedger({ services: 64, pools: 32, backends: 64 }),
    { tickMs: 256 },
  );
  t.like(vipTruths(desired, tables)[0], { healthyBackends: 0, hopefulBackends: 3 });
});
