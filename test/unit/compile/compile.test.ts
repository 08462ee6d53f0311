/** From a desired state and what is observed to rows of the maps. */
import test from 'ava';
import { BackendFlags, Forwarding, Schedule, ServiceFlags } from '../../../src/abi/abi.generated.js';
import { formatMac, ipToBytes } from '../../../src/base/ip.js';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { egressDevice, egressRow } from '../../../src/compile/egress.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { plan } from '../../../src/compile/plan.js';
import { emptyTables, type PoolRow, type Tables } from '../../../src/compile/tables.js';
import type { Desired, HealthCheck, Listener } from '../../../src/config/desired.js';
import type { NextHop } from '../../../src/netlink/types.js';
import {
  backend,
  desiredOf,
  group,
  lbAddress4,
  listener,
  loadBalancer,
  macOf,
  seen,
  tcpCheck,
  type World,
} from '../../support/desired.js';
import { Machine } from '../../support/machine.js';

const tickMs = 256;
const ledger = (): IdLedger => new IdLedger({ services: 64, pools: 32, backends: 64 });
const web = (listeners: readonly Listener[], weights = [100, 50, 0]): Desired =>
  desiredOf(
    [loadBalancer('web', ['192.0.2.10'], listeners)],
    [
      group(
        'web',
        'L2_DSR',
        weights.map((weight, i) => backend(`be${i + 1}`, `203.0.113.${21 + i}`, weight)),
      ),
    ],
  );
const https = (fields: Partial<Listener> = {}): Listener => listener({ port: 443, backendGroup: 'web', ...fields });
const http = (fields: Partial<Listener> = {}): Listener => listener({ port: 80, backendGroup: 'web', ...fields });
const compiled = (desired: Desired, world: World = {}): Compiled =>
  compile(desired, seen(desired, world), ledger(), { tickMs });
const members = ({ pools }: Compiled): string[] =>
  pools.flatMap(({ row }) => row.members.map(({ seed, weight }) => `${seed.split('\0')[0]}:${weight}`));
const flagsOf = (result: Compiled, name: string): number =>
  [...result.backends.values()].find((one) => one.backend.name === name)!.row.flags;
const isUp = (result: Compiled, name: string): boolean => (flagsOf(result, name) & BackendFlags.BACKEND_UP) !== 0;

function poolRow(identity: bigint): PoolRow {
  return { identity, recipe: identity, order: 'maglev', members: [], placed: null };
}

test('each VIP, protocol and port is a service; each address is marked', (t) => {
  const desired = desiredOf(
    [
      loadBalancer(
        'web',
        ['192.0.2.10', '2001:db8:10::10'],
        [http(), listener({ port: 80, protocol: 'udp', backendGroup: 'web' })],
      ),
    ],
    web([]).backendGroups,
  );
  const { vips, services } = compiled(desired).tables;
  t.deepEqual([...vips.keys()].sort(), [
    '0/192.0.2.10/0',
    '0/2001:db8:10::10/0',
    '17/192.0.2.10/80',
    '17/2001:db8:10::10/80',
    '6/192.0.2.10/80',
    '6/2001:db8:10::10/80',
  ]);
  t.deepEqual([...services.keys()], [1, 2, 3, 4]);
});

test('an address without listeners is a VIP all the same', (t) => {
  t.deepEqual([...compiled(web([])).tables.vips.keys()], ['0/192.0.2.10/0']);
});

test('a service row: timeouts in ticks, never 0 and never too long, scheduler and stop as flags', (t) => {
  const row = (fields: Partial<Listener>) => [...compiled(web([http(fields)])).tables.services.values()][0]!;
  t.deepEqual(row({}).timeoutTicks, [0, 234, 3516, 117]);
  t.deepEqual(row({ sessionTimeoutMs: 10_000 }).timeoutTicks, [0, 39, 39, 39]);
  t.deepEqual(row({ sessionTimeoutMs: 1 }).timeoutTicks, [0, 1, 1, 1]);
  t.is(row({ sessionTimeoutMs: 1e9 }).timeoutTicks[2], 0xffff);
  t.is(row({}).flags, ServiceFlags.SERVICE_IN_USE);
  t.is(row({}).schedule, Schedule.SCHEDULE_TUPLE);
  t.is(row({ scheduler: 'SCH' }).schedule, Schedule.SCHEDULE_SOURCE);
  t.is(row({ stopped: true }).flags, ServiceFlags.SERVICE_IN_USE | ServiceFlags.SERVICE_STOPPED);
  t.deepEqual([...compiled(web([http({ stopped: true }), https()])).stoppedServices], [2], 'in order of name: 443, 80');
});

test('a backend row: next hop, forwarding by the family of its address, outer header', (t) => {
  const desired = desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [http()])],
    [group('web', 'IPIP', [backend('v4', '203.0.113.21'), backend('v6', '2001:db8:200::22')])],
  );
  const [v4, v6] = [...compiled(desired, { mtu: 1600 }).tables.backends.values()];
  t.is(formatMac(v4!.nextHop), macOf('203.0.113.21'));
  t.is(v4!.forwarding, Forwarding.FORWARD_IPIP4);
  t.is(v6!.forwarding, Forwarding.FORWARD_IPIP6);
  t.deepEqual(v4!.address, ipToBytes('203.0.113.21'));
  t.deepEqual(v4!.source, ipToBytes(lbAddress4));
  t.is(v4!.mtu, 1600);
  t.not(v4!.outerSum, 0);
  t.is(v6!.outerSum, 0);
  t.is([...compiled(web([http()])).tables.backends.values()][0]!.forwarding, Forwarding.FORWARD_L2_DSR);
});

test('weight 0 is in no table and keeps its sessions; without a next hop a backend is down', (t) => {
  const result = compiled(web([http()]), { unresolved: ['be2'] });
  t.deepEqual(members(result), ['be1:100']);
  t.deepEqual(
    ['be1', 'be2', 'be3'].map((name) => isUp(result, name)),
    [true, false, true],
  );
  t.is([...result.backends.values()][1]!.problem, 'no next hop: no route');
});

test('unhealthy backends leave the table and go down; their health is remembered in the row', (t) => {
  const result = compiled(web([http({ healthCheck: tcpCheck })]), { unhealthy: ['be1'] });
  t.deepEqual(members(result), ['be2:50']);
  t.false(isUp(result, 'be1'));
  t.is(flagsOf(result, 'be1') & BackendFlags.BACKEND_CHECKED, BackendFlags.BACKEND_CHECKED);
  t.is(flagsOf(result, 'be1') & BackendFlags.BACKEND_HEALTHY, 0);
  t.is(flagsOf(result, 'be2') & BackendFlags.BACKEND_HEALTHY, BackendFlags.BACKEND_HEALTHY);
});

test('all unhealthy: open to all, or closed, as asked; a backend without a next hop helps nobody', (t) => {
  const all = ['be1', 'be2', 'be3'];
  const open = compiled(web([http({ healthCheck: tcpCheck })]), { unhealthy: all });
  t.deepEqual(members(open), ['be1:100', 'be2:50']);
  t.true(open.pools[0]!.failingOpen);
  t.true(isUp(open, 'be1'));
  const closed = compiled(web([http({ healthCheck: tcpCheck, allUnhealthy: 'FAIL_CLOSED' })]), { unhealthy: all });
  t.deepEqual(members(closed), []);
  t.false(isUp(closed, 'be1'));
  const nowhere = compiled(web([http({ healthCheck: tcpCheck })]), { unhealthy: all, unresolved: ['be1'] });
  t.deepEqual(members(nowhere), ['be2:50']);
});

test('before its first check a backend is unknown: not chosen while another is healthy', (t) => {
  const desired = web([http({ healthCheck: tcpCheck })]);
  const key = compile(desired, seen(desired), ledger(), { tickMs }).pools[0]!.checks[1]!.key;
  const { nextHops, waysOut } = seen(desired);
  const nothing = compile(desired, { nextHops, waysOut, health: new Map() }, ledger(), { tickMs });
  t.true(nothing.pools[0]!.failingOpen, 'at the start nobody is known');
  t.deepEqual(members(nothing), ['be1:100', 'be2:50']);
  const one = compile(desired, { nextHops, waysOut, health: new Map([[key, 'healthy']]) }, ledger(), { tickMs });
  t.deepEqual(members(one), ['be2:50']);
});

test('listeners that judge a group alike share its pool; each judgement has a pool and backend numbers of its own', (t) => {
  const same = compiled(web([http({ healthCheck: tcpCheck }), https({ healthCheck: { ...tcpCheck, port: 80 } })]));
  t.is(same.pools.length, 1, "the port of the first check is its listener's");
  const differing: readonly [Partial<Listener>, Partial<Listener>][] = [
    [{ healthCheck: tcpCheck }, { healthCheck: tcpCheck }],
    [{ healthCheck: null }, { healthCheck: tcpCheck }],
    [{}, { allUnhealthy: 'FAIL_CLOSED' }],
  ];
  for (const [a, b] of differing) {
    const result = compiled(web([http(a), https(b)]));
    t.is(result.pools.length, 2, JSON.stringify([a, b]));
    t.is(result.backends.size, 6);
  }
});

test('probes go to the VIP through the backend, or to its own address', (t) => {
  const check = (fields: Partial<HealthCheck>) =>
    compiled(web([http({ healthCheck: { ...tcpCheck, ...fields } })])).pools[0]!.checks;
  const [toVip] = check({ target: 'VIP' });
  t.like(toVip, { address: '192.0.2.10', port: 80, mark: 0x5357_0001 });
  const [, own] = check({ target: 'BACKEND_ADDRESS', port: 9000 });
  t.like(own, { address: '203.0.113.22', port: 9000, mark: 0 });
  t.is(new Set(check({}).map(({ key }) => key)).size, 3);
});

/** The tables after `desired` was brought into force on a machine that had nothing. */
function inForce(desired: Desired, ids: IdLedger): { tables: Tables; result: Compiled } {
  const machine = new Machine(33);
  const result = compile(desired, seen(desired), ids, { tickMs });
  for (const op of plan(machine.tables(), result.tables, { tableCount: 33 })) machine.perform(op);
  return { tables: machine.tables(), result };
}

const numbers = (result: Compiled): Map<string, number> =>
  new Map(
    [...result.services.values()].flatMap(({ listener: { port }, pool }) =>
      pool.backends.map(({ backend: { name }, id }) => [`${port} ${name}`, id]),
    ),
  );

test("a changed check, and a listener that comes or goes, leave the numbers of everybody else's backends alone", (t) => {
  const before = web([http({ healthCheck: tcpCheck }), https({ healthCheck: { ...tcpCheck, port: 8443 } })]);
  const changes: readonly [string, Desired][] = [
    [
      'its interval',
      web([
        http({ healthCheck: { ...tcpCheck, intervalMs: 100 } }),
        https({ healthCheck: { ...tcpCheck, port: 8443 } }),
      ]),
    ],
    ["the other's check", web([http({ healthCheck: tcpCheck }), https({ healthCheck: { ...tcpCheck, port: 9443 } })])],
    [
      'a listener first in order of name',
      web([
        listener({ port: 22, name: 'a', backendGroup: 'web' }),
        http({ healthCheck: tcpCheck }),
        https({ healthCheck: { ...tcpCheck, port: 8443 } }),
      ]),
    ],
    ['the first listener goes', web([https({ healthCheck: { ...tcpCheck, port: 8443 } })])],
    ['weights', web([http({ healthCheck: tcpCheck }), https({ healthCheck: { ...tcpCheck, port: 8443 } })], [1, 2, 3])],
  ];
  for (const [what, after] of changes) {
    for (const restarted of [false, true]) {
      const ids = ledger();
      const { tables, result } = inForce(before, ids);
      const nothing = { healthKeys: new Set<string>(), addresses: new Set<string>() };
      const previous = restarted ? {} : { previous: { compiled: result, dirty: nothing } };
      const next = compile(after, seen(after), ids, { tickMs, inForce: tables, ...previous });
      const known = numbers(result);
      for (const [key, id] of numbers(next)) t.is(id, known.get(key) ?? id, `${what}: ${key}`);
    }
  }
});

test('the same state in another order is the same tables', (t) => {
  const desired = web([http(), https({ healthCheck: tcpCheck })]);
  const [balancer] = desired.loadBalancers;
  const [only] = desired.backendGroups;
  const turned = desiredOf(
    [{ ...balancer!, listeners: [...balancer!.listeners].reverse() }],
    [{ ...only!, backends: [...only!.backends] }],
  );
  const rows = ({ tables }: Compiled) => ({ ...tables, backends: [...tables.backends] });
  t.deepEqual(rows(compiled(turned)), rows(compiled(desired)));
});

test('L2_DSR through a gateway would come back from it: such a backend is down, and is told why; tunnels may', (t) => {
  const far = (forwarding: 'L2_DSR' | 'IPIP') => {
    const desired = desiredOf(
      [loadBalancer('web', ['192.0.2.10'], [http()])],
      [group('web', forwarding, [backend('be1', '203.0.113.21')])],
    );
    const observed = seen(desired);
    const hop = observed.nextHops.get('203.0.113.21')!;
    const nextHops = new Map([
      ['203.0.113.21', { ...(hop as Extract<NextHop, { state: 'resolved' }>), via: '203.0.113.1' }],
    ]);
    return [...compile(desired, { ...observed, nextHops }, ledger(), { tickMs }).backends.values()][0]!;
  };
  t.like(far('L2_DSR'), { up: false, nextHopMac: '' });
  t.regex(
    far('L2_DSR').problem,
    /L2_DSR wants 203.0.113.21 on a network of this host.*through 203.0.113.1.*IPIP or GUE/,
  );
  t.like(far('IPIP'), { up: true, problem: '' });
});

test('steered backends: the row of their device is written once, before them, and goes after the last', (t) => {
  const desired = web([http()]);
  const ids = ledger();
  const observed = seen(desired, { devices: { be1: 'eth1', be2: 'eth1.30' } });
  const steered = compile(desired, observed, ids, { tickMs });
  t.deepEqual(
    [...steered.tables.egresses.values()].map((row) => [
      egressDevice(row),
      row.vlan,
      row.ports.slice(0, 2),
      row.portCount,
    ]),
    [
      ['eth1', 0, [11, 0], 1],
      ['eth1.30', 30, [11, 0], 1],
    ],
  );
  const [one, two] = ['be1', 'be2'].map(
    (name) => [...steered.backends.values()].find(({ backend: { name: it } }) => it === name)!,
  );
  t.like(one, { device: 'eth1', vlan: 0 });
  t.like(two, { device: 'eth1.30', vlan: 30 });
  for (const { row } of [one!, two!]) t.true((row.flags & BackendFlags.BACKEND_STEERED) !== 0 && row.egress !== 0);

  const steps = plan(emptyTables, steered.tables, { tableCount: 8 }).map(({ op }) => op);
  t.true(steps.lastIndexOf('write-egress') < steps.indexOf('write-backend'));
  const back = compile(desired, seen(desired), ids, { tickMs, inForce: steered.tables });
  t.deepEqual([...back.tables.egresses], []);
  const undo = plan(steered.tables, back.tables, { tableCount: 8 }).map(({ op }) => op);
  t.deepEqual(undo.slice(-2), ['clear-egress', 'clear-egress']);
  t.true(undo.lastIndexOf('write-backend') < undo.indexOf('clear-egress'));
});

test('a bond with more slaves than a row holds is sent by the first of them', (t) => {
  const row = egressRow({
    device: 'bond0',
    ports: Array.from({ length: 12 }, (_, i) => i + 2),
    mac: '02:00:00:00:00:01',
    vlan: 0,
  });
  t.deepEqual([row.ports, row.portCount], [[2, 3, 4, 5, 6, 7, 8, 9], 8]);
});

test('of the free tables those that were never in use are filled first, then those that have not been for longest', (t) => {
  const pools = new Map([1, 2, 3, 4].map((id) => [id, poolRow(BigInt(id))] as const));
  const filled = (freed: readonly number[]): number[] =>
    plan(emptyTables, { ...emptyTables, pools }, { tableCount: 5, freed }).flatMap((op) =>
      op.op === 'fill-table' ? [op.table] : [],
    );
  t.deepEqual(filled([]), [0, 1, 2, 3]);
  t.deepEqual(filled([3, 0, 9]), [1, 2, 4, 3]);
  t.deepEqual(filled([4, 1, 2, 0, 3]), [4, 1, 2, 0]);
});
