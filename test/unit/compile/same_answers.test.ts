/**
 * Two nodes that want the same answer alike, whatever they have been through: other configurations in another order,
 * restarts, numbers given out and back. Not alike, and not meant to be: whose turn it is (WRR, RR), sessions (WLC), how
 * far a slow start has come, what a handover still keeps to, limits. What makes up for those is the session.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import test from 'ava';
import * as fc from 'fast-check';
import { agreementIdsOf } from '../../../src/compile/agreement-ids.js';
import { sourceEntryTag } from '../../../src/compile/fingerprint.js';
import { fillSlots, slotCount } from '../../../src/compile/slots.js';
import { vipKeyText } from '../../../src/compile/tables.js';
import type { Desired } from '../../../src/config/desired.js';
import { configDigest } from '../../../src/config/digest.js';
import { deriveKey } from '../../../src/dataplane/settings.js';
import { dictionaryOf } from '../../../src/sync/dictionary.js';
import { groupNames, history, type Step } from '../../support/arbitrary.js';
import { resolved } from '../../support/desired.js';
import { holds } from '../../support/holds.js';
import { Life } from '../../support/life.js';

const runs = Number(process.env['SPILLWAY_RUNS'] ?? 60);
const key = deriveKey(Buffer.from('the secret of the cluster'));
const client = { source: Buffer.from('00000000000000000000ffffc6336407', 'hex'), v6: false };

function go(life: Life, step: Step): void {
  const { compiled, ops } = life.next(step);
  for (const op of ops) life.machine.perform(op);
  life.settle(step.desired, compiled);
}

/** The last step of both: all backends are reached, and `sick` ones are unhealthy, by whatever name their checks go. */
function arrive(life: Life, desired: Desired, sick: ReadonlySet<string>): void {
  const quiet: Step = { desired, health: [], hops: [], ways: [], ticks: 100, freed: true };
  for (const { address } of desired.backendGroups.flatMap(({ backends }) => backends)) {
    life.nextHops.set(address, resolved(address));
  }
  life.restart();
  go(life, quiet);
  const health = [...life.compiled!.backends.values()].map(
    ({ checkKey, group, backend: { name } }) =>
      [checkKey, sick.has(`${group}/${name}`) ? 'unhealthy' : 'healthy'] as const,
  );
  go(life, { ...quiet, health });
}

/** Numbers of this node as what they are called. */
function answers(life: Life): unknown {
  const { compiled, machine } = life;
  const { tables, services, backends } = compiled!;
  const tablesByName = new Map<number, readonly string[]>();
  for (const { id, row, byId } of compiled!.pools) {
    const content = machine.contents.get(machine.pools.get(id)!.placed!.table)!;
    const slots = fillSlots(content).subarray(0, slotCount(row));
    tablesByName.set(
      id,
      Array.from(slots, (backend) => byId.get(backend)?.backend.name ?? '-'),
    );
  }
  const { dictionary } = dictionaryOf(compiled!);
  const nameOf = (id: number): string => backends.get(id)!.backend.name;
  const entries = [...services.values()].map(({ id, vip, listener, pool }) => {
    const { access, pool: _, listenerLimit, balancerLimit, quic, ...row } = tables.services.get(id)!;
    const list = tables.access.get(access & 0x7fff_ffff);
    const answer = {
      ...row,
      access: access === 0 ? null : { allows: access >>> 31, list: list?.toJSON() },
      limits: [listenerLimit, balancerLimit].map((limit) => {
        const held = tables.limits.get(limit);
        return held && [held.sessions, held.interval, held.sourceInterval, held.identity];
      }),
      quic: tables.quicRoutings.get(quic)?.recipe ?? null,
      servers: [...tables.quicServers.values()]
        .flatMap((server) => (server.pool === pool.id ? [[server.serverId, nameOf(server.backend)]] : []))
        .sort(),
      table: tablesByName.get(pool.id)!.join(),
      backends: pool.backends
        .map(({ id: number, backend, row: { identity: _i, pool: _p, ...rest }, up, health }) => ({
          ...rest,
          name: backend.name,
          wire: dictionary.backendWire[number],
          up,
          health,
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      failingOpen: pool.failingOpen,
      checks: [...agreementIdsOf(pool).values()].sort(),
      wire: dictionary.serviceWire[id],
      sourceTag: sourceEntryTag(client, tables.services.get(id)!, key),
    };
    return [vipKeyText({ address: vip, port: listener.port, protocol: listener.protocol === 'tcp' ? 6 : 17 }), answer];
  });
  return new Map((entries as [string, unknown][]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const turned = (desired: Desired): Desired => ({
  ...desired,
  loadBalancers: desired.loadBalancers
    .map((balancer) => ({ ...balancer, listeners: [...balancer.listeners].reverse() }))
    .reverse(),
  backendGroups: desired.backendGroups
    .map((group) => ({ ...group, backends: [...group.backends].reverse() }))
    .reverse(),
  accessLists: [...desired.accessLists].reverse(),
});

const sickOnes = fc.subarray(groupNames.flatMap((group) => [0, 1, 2, 3].map((n) => `${group}/be${n}`)));
const restarts = fc.array(fc.boolean(), { minLength: 8, maxLength: 8 });

test('after any two histories, nodes that want the same answer alike', (t) => {
  t.timeout(110_000);
  let different = 0;
  let compared = 0;
  holds(
    fc.property(history, history, restarts, restarts, sickOnes, (one, other, first, second, sick) => {
      const [a, b] = [new Life(), new Life()];
      const desired = one.at(-1)!.desired;
      const live = (life: Life, steps: readonly Step[], again: readonly boolean[]): void => {
        for (const [i, step] of steps.entries()) {
          go(life, step);
          if (again[i]) life.restart();
        }
      };
      live(a, one, first);
      live(b, other, second);
      arrive(a, desired, new Set(sick));
      arrive(b, turned(desired), new Set(sick));
      if (configDigest(a.desired) !== configDigest(b.desired)) throw new Error('other digests');
      const [left, right] = [answers(a), answers(b)];
      compared += (left as Map<string, unknown>).size;
      if (!isDeepStrictEqual(left, right)) {
        throw new Error(`${inspect(left, { depth: 6 })} and ${inspect(right, { depth: 6 })}`);
      }
      const numbers = (life: Life): string =>
        JSON.stringify([...life.compiled!.backends].map(([id, { backend }]) => [id, backend.name]));
      if (numbers(a) !== numbers(b)) different++;
    }),
    { numRuns: runs },
  );
  t.log(`${compared} listeners compared; in ${different} of ${runs} runs the nodes' numbers differed`);
  t.true(compared > runs && different > runs / 4, 'or nothing was shown');
});

test('the key of fingerprints is the secret, and nothing else', (t) => {
  t.deepEqual(deriveKey(Buffer.from('a')), deriveKey(Buffer.from('a')));
  t.notDeepEqual(deriveKey(Buffer.from('a')), deriveKey(Buffer.from('b')));
  t.notDeepEqual(deriveKey(null), deriveKey(null), 'without a secret each node has its own');
  t.deepEqual(
    [key.words[0], key.words[11], key.finish[1]],
    [4_074_164_472, 4_039_794_813, 7_397_835_463_016_919_450n],
    'written down: nodes of other versions have to come to the same',
  );
});
