/**
 * Random histories: configurations come and go, backends fall ill, routes vanish, handovers overlap, numbers are given
 * back. After each step of each plan a packet must find its way.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { BackendFlags, Schedule } from '../../../src/abi/abi.generated.js';
import { CapacityError } from '../../../src/base/errors.js';
import type { Ip } from '../../../src/base/ip.js';
import { compile, protocolNumber } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { egressDevice, egressIdentity } from '../../../src/compile/egress.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { describeOp, type TableOp } from '../../../src/compile/ops.js';
import type { SlotOrder } from '../../../src/compile/slots.js';
import type { PoolMember, Tables } from '../../../src/compile/tables.js';
import { vipKeyText } from '../../../src/compile/tables.js';
import type { Desired } from '../../../src/config/desired.js';
import { history, type Step, zones } from '../../support/arbitrary.js';
import { holds } from '../../support/holds.js';
import { Life, limits, tickMs } from '../../support/life.js';
import { covers, Machine } from '../../support/machine.js';

/** SPILLWAY_RUNS asks for more histories than a test run has time for. */
const runs = Number(process.env['SPILLWAY_RUNS'] ?? 300);

/** Where packets to each VIP's port may go: to the members, old and new, of the group of its listener, old or new. */
function targets(...states: readonly Desired[]): Map<string, Set<Ip>> {
  const groups = states.flatMap(({ backendGroups }) => backendGroups);
  const found = new Map<string, Set<Ip>>();
  for (const { addresses, listeners } of states.flatMap(({ loadBalancers }) => loadBalancers)) {
    for (const { protocol, port, backendGroup } of listeners) {
      const members = groups.filter(({ name }) => name === backendGroup).flatMap(({ backends }) => backends);
      for (const address of addresses) {
        const key = vipKeyText({ address, port, protocol: protocolNumber[protocol] });
        found.set(key, new Set([...(found.get(key) ?? []), ...members.map((member) => member.address)]));
      }
    }
  }
  return found;
}

const byKey = <Row>(rows: Iterable<readonly [string | number, Row]>): [string, Row][] =>
  [...rows].map(([key, row]): [string, Row] => [String(key), row]).sort(([a], [b]) => (a < b ? -1 : 1));

/** What a table says of a member: of those compared by load only that it is one. */
const named =
  (order: SlotOrder) =>
  ({ backend, seed, weight }: PoolMember): PoolMember => ({ backend, seed, weight: order === 'members' ? 0 : weight });

/** Tables without what a plan alone decides. */
const plain = ({
  vips,
  services,
  pools,
  backends,
  egresses,
  access,
  limits,
  quicRoutings,
  quicServers,
}: Tables): unknown => ({
  quicRoutings: byKey([...quicRoutings].map(([id, { recipe }]) => [id, recipe] as const)),
  quicServers: byKey(quicServers),
  vips: byKey(vips),
  services: byKey(services),
  access: byKey([...access].flatMap(([list, entries]) => (entries.count ? [[list, entries.toJSON()] as const] : []))),
  limits: byKey(limits),
  pools: byKey([...pools].map(([id, { identity, recipe }]) => [id, { identity, recipe }] as const)),
  egresses: byKey(egresses),
  backends: byKey([...backends].filter(([, { flags }]) => !(flags & BackendFlags.BACKEND_RETIRED))),
});

/** Each step of each history. The seed of a failure is in its message. */
function everyStep(
  t: ExecutionContext,
  check: (life: Life, step: Step, next: { compiled: Compiled; ops: readonly TableOp[] }) => void,
  numRuns = runs,
): void {
  t.timeout(110_000);
  holds(
    fc.property(history, (steps) => {
      const life = new Life();
      for (const step of steps) {
        const next = life.next(step);
        check(life, step, next);
        for (const op of next.ops) life.machine.perform(op);
        life.settle(step.desired, next.compiled);
      }
    }),
    { numRuns },
  );
  t.pass();
}

/** Throws rather than asserts: fast-check looks for a smaller history that fails, too. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${inspect(actual, { depth: 6 })} instead of ${inspect(expected, { depth: 6 })}`);
}

test('a plan carried out gives what was wanted, and then there is nothing left to do', (t) => {
  everyStep(t, (life, _step, { compiled, ops }) => {
    const { machine } = life;
    for (const op of ops) machine.perform(op);
    same(plain(machine.tables()), plain(compiled.tables), 'other tables than wanted');
    for (const [id, { order, members }] of compiled.tables.pools) {
      const content = machine.contents.get(machine.pools.get(id)!.placed!.table)!;
      same(content.order, order, `pool ${id} has another kind of table`);
      same(content.members.map(named(order)), members.map(named(order)), `pool ${id} has another table`);
    }
    same(life.planFor(compiled.tables), [], 'a plan from want to want');
  });
});

test('after every prefix of a plan each packet to a VIP finds a backend of its own that is up', (t) => {
  everyStep(t, (life, step, { ops }) => {
    const allowed = targets(life.desired, step.desired);
    const copy = cloneOf(life.machine);
    ops.forEach((op, i) => {
      copy.perform(op);
      same(copy.problems(allowed), [], `after step ${i} of ${ops.map((one) => one.op).join(', ')}`);
    });
  });
});

const clients: readonly Ip[] = [
  '198.51.100.7',
  '198.51.100.70',
  '198.51.100.200',
  '192.0.2.77',
  '2001:db8::7',
  '2001:db9::',
];

/** What each state says of each client, where it has a listener. */
function lets(desired: Desired): Map<string, boolean[]> {
  const found = new Map<string, boolean[]>();
  for (const { addresses, listeners } of desired.loadBalancers) {
    for (const { protocol, port, accessControl } of listeners) {
      const list = desired.accessLists.find(({ name }) => name === accessControl?.accessList);
      const entries = list?.entries.map(({ address, bits }) => `${address}/${bits}`) ?? [];
      const answers = clients.map((client) => !list || covers(entries, client) === (accessControl!.mode === 'ALLOW'));
      for (const address of addresses) {
        found.set(vipKeyText({ address, port, protocol: protocolNumber[protocol] }), answers);
      }
    }
  }
  return found;
}

test('after every prefix of a plan each client meets the access list before or the one after', (t) => {
  let changes = 0;
  everyStep(t, (life, step, { ops }) => {
    const [before, after] = [lets(life.desired), lets(step.desired)];
    const copy = cloneOf(life.machine);
    ops.forEach((op, i) => {
      copy.perform(op);
      if (op.op === 'add-access' || op.op === 'remove-access') changes++;
      for (const key of new Set([...before.keys(), ...after.keys()])) {
        clients.forEach((client, n) => {
          const now = copy.lets(key, client);
          if (now === null || now === before.get(key)?.[n] || now === after.get(key)?.[n]) return;
          throw new Error(
            `${key} ${now ? 'lets' : 'keeps'} ${client} ${now ? 'in' : 'out'} after step ${i} of ${ops.map(describeOp).join('; ')}`,
          );
        });
      }
    });
    for (const [key, answers] of after) {
      same(
        clients.map((client) => copy.lets(key, client)),
        answers,
        key,
      );
    }
  });
  t.log(`${changes} changes of lists`);
  t.true(changes > 0);
});

function cloneOf(machine: Machine): Machine {
  const copy = new Machine(machine.tableCount, machine.tick);
  for (const name of [
    'vips',
    'services',
    'pools',
    'backends',
    'egresses',
    'contents',
    'access',
    'limits',
    'quicRoutings',
    'quicServers',
  ] as const) {
    for (const [key, row] of machine[name]) (copy[name] as Map<unknown, unknown>).set(key, row);
  }
  copy.filter = machine.filter;
  return copy;
}

test('what is compiled from the result before and what changed is what is compiled from all', (t) => {
  everyStep(t, (life, step, { compiled }) => {
    if (!life.compiled) return;
    /* Groups that are other objects: nothing can be taken over. */
    const backendGroups = step.desired.backendGroups.map((group) => ({ ...group }));
    const nothing = { healthKeys: new Set<string>(), addresses: new Set<Ip>() };
    const full = life.compileWith(
      { ...step.desired, backendGroups },
      { previous: { compiled: life.compiled, dirty: nothing } },
    );
    same(plain(compiled.tables), plain(full.tables), 'tables');
    const view = (result: Compiled): unknown => ({
      pools: byKey(
        result.pools.map(({ id, key, checks, failingOpen, healthyCount, row }) => [
          id,
          { key, checks, failingOpen, healthyCount, row },
        ]),
      ),
      backends: byKey(result.backends),
      stopped: [...result.stoppedServices].sort(),
      services: byKey(
        [...result.services].map(([id, { vip, listener, pool }]) => [id, { vip, listener, pool: pool.id }]),
      ),
    });
    same(view(compiled), view(full), 'what belongs to the tables');
  });
});

test('numbers stay: of listeners, and of backends in a group that the same listeners use', (t) => {
  everyStep(t, (life, _step, { compiled }) => {
    const before = life.machine.tables();
    const isQuic = (schedule?: number): boolean => schedule === Schedule.SCHEDULE_QUIC;
    for (const [key, { service }] of compiled.tables.vips) {
      const known = before.vips.get(key);
      const schedules = [compiled.tables.services.get(service), before.services.get(known?.service ?? 0)];
      const [now, then] = schedules.map((row) => isQuic(row?.schedule));
      if (known && now === then) same(service, known.service, key);
    }
    const numbers = new Map([...before.backends].map(([id, { identity }]) => [identity, id]));
    for (const [id, { identity }] of compiled.tables.backends) {
      const known = numbers.get(identity);
      if (known !== undefined) same(id, known, `backend ${identity}`);
    }
  });
});

test('an agent that starts again on the tables in force finds nothing to do', (t) => {
  everyStep(t, (life, step, { ops, compiled }) => {
    for (const op of ops) life.machine.perform(op);
    const restarted = new IdLedger(limits);
    const { services, pools, backends, egresses } = life.machine;
    for (const [id, { identity }] of services) restarted.services.adopt(identity, id);
    for (const [id, { identity }] of pools) restarted.pools.adopt(identity, id);
    for (const [id, { identity }] of backends) restarted.backends.adopt(identity, id);
    for (const [id, { identity }] of life.machine.limits) restarted.limits.adopt(identity, id);
    for (const [id, row] of egresses) restarted.egresses.adopt(egressIdentity(egressDevice(row)), id);
    const observed = { health: life.health, nextHops: life.nextHops, waysOut: life.waysOut };
    for (const [id, { recipe }] of life.machine.quicRoutings) restarted.quicRoutings.adopt(recipe, id);
    const again = compile(step.desired, observed, restarted, {
      tickMs,
      zone: zones[0],
      inForce: life.machine.tables(),
    });
    same(plain(again.tables), plain(compiled.tables), 'other tables after a restart');
    same(life.planFor(again.tables), [], 'steps after a restart');
  });
});

test('with few tables handovers end early, and only when there are fewer than pools is a plan refused', (t) => {
  let ended = 0;
  let refused = 0;
  holds(
    fc.property(history, fc.integer({ min: 1, max: 10 }), (steps, tableCount) => {
      const life = new Life(tableCount);
      for (const step of steps) {
        const poolsBefore = [...life.machine.pools.keys()];
        let next: { compiled: Compiled; ops: readonly TableOp[] };
        try {
          next = life.next(step);
        } catch (error) {
          if (!(error instanceof CapacityError)) throw error;
          const wanted = life.compileWith(step.desired, {}).tables.pools;
          const pools = new Set([...poolsBefore, ...wanted.keys()]).size;
          if (pools + 1 <= tableCount) throw new Error(`refused ${pools} pools with ${tableCount} tables`);
          refused++;
          return;
        }
        const allowed = targets(life.desired, step.desired);
        for (const op of next.ops) {
          life.machine.perform(op);
          if (op.op === 'end-handover') ended++;
          same(life.machine.problems(allowed), [], op.op);
        }
        life.settle(step.desired, next.compiled);
      }
    }),
    { numRuns: runs },
  );
  t.log(`${ended} handovers ended early, ${refused} plans refused`);
  t.true(ended > 0 && refused > 0);
});
