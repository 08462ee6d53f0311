/** What one change must not do to what it does not concern: from desired state to the kernel's own maps and back. */
import test from 'ava';
import { compile } from '../../../src/compile/compile.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { emptyTables, type Tables } from '../../../src/compile/tables.js';
import type { Desired, Listener } from '../../../src/config/desired.js';
import { openWeb, webDesired } from '../../datapath/web.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck } from '../../support/desired.js';

const weightsInTurn = [
  [100, 0, 100],
  [5, 100, 40],
  [100, 100, 0],
  [0, 100, 100],
  [30, 1, 90],
  [100, 100, 100],
];

test('handshakes of every age outlive a row of weight changes', async (t) => {
  const web = await openWeb(t, { buckets: 1024 });
  const begun = web.flows(200).map((flow) => ({ flow, backend: web.send(flow, 'S') }));
  for (const [i, weights] of weightsInTurn.entries()) {
    await web.set(webDesired({ weights }));
    const fresh = web.flows(200, { from: 41_000 + i * 1000 });
    begun.push(...fresh.map((flow) => ({ flow, backend: web.send(flow, 'S') })));
  }
  for (const { flow, backend } of begun) t.is(web.send(flow, 'A'), backend, `port ${flow.from}`);
});

test('a row of weight changes ends its handover, and with it the table before', async (t) => {
  const web = await openWeb(t);
  const flow = web.flows(300).find((one) => web.send(one, 'S') === 'be2')!;
  for (const weights of weightsInTurn) await web.set(webDesired({ weights }));
  await web.set(webDesired({ weights: [100, 0, 100] }));
  web.lb.passMs(60_000);
  t.not(web.send(flow, 'A'), 'be2');
});

test('all groups may change at once, again and again', async (t) => {
  const pools = 30;
  const web = await openWeb(t, { pools: pools + 2 });
  const desired = (weight: number): Desired => {
    const numbers = Array.from({ length: pools }, (_, i) => i);
    const members = [backend('be1', '203.0.113.21', weight), backend('be2', '203.0.113.22')];
    return desiredOf(
      [
        loadBalancer(
          'web',
          ['192.0.2.10'],
          numbers.map((i) => listener({ port: 1000 + i, backendGroup: `g${i}` })),
        ),
      ],
      numbers.map((i) => group(`g${i}`, 'L2_DSR', members)),
    );
  };
  for (const weight of [100, 50, 20, 80, 0, 100]) await t.notThrowsAsync(web.set(desired(weight)));
});

const ids = (): IdLedger => new IdLedger({ services: 64, pools: 32, backends: 256 });
const checked = (port: number, name: string): Listener =>
  listener({ name, port, backendGroup: 'web', healthCheck: { ...tcpCheck, port } });

function site(...listeners: readonly Listener[]): Desired {
  const members = [backend('be1', '203.0.113.21'), backend('be2', '203.0.113.22')];
  return desiredOf([loadBalancer('web', ['192.0.2.10'], listeners)], [group('web', 'L2_DSR', members)]);
}

/** Numbers that sessions of this listener know. */
function numbers(desired: Desired, ledger: IdLedger, inForce: Tables, name: string) {
  const compiled = compile(desired, seen(desired), ledger, { tickMs: 256, inForce });
  const { id, pool } = [...compiled.services.values()].find((service) => service.listener.name === name)!;
  return { tables: compiled.tables, known: { id, pool: pool.id, backends: pool.backends.map((one) => one.id) } };
}

test('a listener that comes or goes renumbers nobody, whatever its name and check', (t) => {
  const ledger = ids();
  const first = numbers(site(checked(80, 'http')), ledger, emptyTables, 'http');
  for (const other of [checked(81, 'a'), checked(82, 'z'), listener({ name: 'b', port: 83, backendGroup: 'web' })]) {
    const both = numbers(site(checked(80, 'http'), other), ledger, first.tables, 'http');
    t.deepEqual(both.known, first.known, `${other.name} comes`);
    const alone = numbers(site(checked(80, 'http')), ledger, both.tables, 'http');
    t.deepEqual(alone.known, first.known, `${other.name} goes`);
  }
});

test('a listener whose check changes keeps its numbers, and so does one that shared it', (t) => {
  const ledger = ids();
  const [a, b] = [checked(80, 'a'), { ...checked(80, 'b'), port: 81 }];
  const first = numbers(site(a, b), ledger, emptyTables, 'a');
  const changed = { ...a, healthCheck: { ...tcpCheck, port: 80, fall: 9 } };
  t.deepEqual(numbers(site(changed), ledger, first.tables, 'a').known, first.known);
  const shared = numbers(site(a, b), ledger, first.tables, 'b');
  t.is(shared.known.pool, first.known.pool);
});

test('after a restart numbers are those of the kernel, even where another order would give others', (t) => {
  const ledger = ids();
  const alone = numbers(site(checked(80, 'http')), ledger, emptyTables, 'http');
  const both = numbers(site(checked(80, 'http'), checked(81, 'a')), ledger, alone.tables, 'http');
  const restarted = ids();
  for (const [id, { identity }] of both.tables.services) restarted.services.adopt(identity, id);
  for (const [id, { identity }] of both.tables.pools) restarted.pools.adopt(identity, id);
  for (const [id, { identity }] of both.tables.backends) restarted.backends.adopt(identity, id);
  const after = numbers(site(checked(80, 'http'), checked(81, 'a')), restarted, both.tables, 'http');
  t.deepEqual(after.known, both.known);
});
