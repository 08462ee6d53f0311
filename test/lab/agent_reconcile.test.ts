import test, { type ExecutionContext } from 'ava';
import { poolSize, readPool } from '../../src/abi/abi.generated.js';
import { BpfLink, BpfMap } from '../../src/dataplane/addon.js';
import { type Agent, metricOf } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { vip4, vip6 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

let cluster: Cluster;

/** lb1 repairs when asked, lb2 by its timer. */
test.before(async () => {
  cluster = await Cluster.start(`at-r-${process.pid}`, {
    settings: (host) => ({ reconcileInterval: host === 'lb1' ? '60m' : '200ms' }),
  });
  const guarded = { limits: { sessions: 1000 }, accessControl: { mode: 'DENY', accessList: 'strangers' } } as const;
  await cluster.apply({
    ...web([tcp(80, 'servers', { healthCheck: quickCheck, ...guarded }), udp(echoPort, 'servers')], [group('servers')]),
    accessLists: [{ name: 'strangers', entries: ['192.0.2.128/25', '198.18.0.0/15', '2001:db8:dead::/48'] }],
  });
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

function withMap<T>(agent: Agent, name: string, use: (map: BpfMap) => T): T {
  const map = BpfMap.openPinned(`${agent.pins}/map/${name}`);
  try {
    return use(map);
  } finally {
    map.close();
  }
}

const keyOf = (id: number): Uint8Array => new Uint8Array(Uint32Array.of(id).buffer);

/** The first element of an array map that is not all zeros, with its bytes. */
function firstInUse(map: BpfMap): { key: Uint8Array; value: Uint8Array } {
  for (let id = 0; id < map.info.maxEntries; id++) {
    const value = map.lookup(keyOf(id))!;
    if (value.some((byte) => byte !== 0)) return { key: keyOf(id), value };
  }
  throw new Error(`${map.info.name} is empty`);
}

function zero(agent: Agent, name: string): void {
  withMap(agent, name, (map) => {
    const { key, value } = firstInUse(map);
    map.update(key, new Uint8Array(value.length));
  });
}

interface Damage {
  readonly name: string;
  readonly does: (agent: Agent) => unknown;
  /** Of what it damages, as it should be; anything that can be compared. */
  readonly state: (agent: Agent) => unknown;
}

const entriesOf = (agent: Agent): unknown =>
  withMap(agent, 'access', (map) => Buffer.from(map.entries().keys).toString('hex').match(/.{48}/g)?.sort());

const damages: readonly Damage[] = [
  {
    name: 'a deleted entry of an access list',
    does: (agent) => withMap(agent, 'access', (map) => map.delete(map.entries().keys.slice(0, 24))),
    state: entriesOf,
  },
  {
    name: 'a foreign entry in an access list',
    does: (agent) =>
      withMap(agent, 'access', (map) => {
        const key = map.entries().keys.slice(0, 24);
        new DataView(key.buffer).setUint32(0, 160, true);
        key[23]! ^= 1;
        map.update(key, keyOf(1));
      }),
    state: entriesOf,
  },
  {
    name: 'a zeroed limit',
    does: (agent) => zero(agent, 'limits'),
    state: (agent) => withMap(agent, 'limits', (map) => map.readRange(1, 1).slice(0, 40)),
  },
  {
    name: 'a deleted VIP entry',
    does: (agent) =>
      withMap(agent, 'vips', (map) => {
        const { keys } = map.entries();
        map.delete(keys.slice(0, map.info.keySize));
      }),
    state: (agent) => withMap(agent, 'vips', (map) => map.entries().count),
  },
  {
    name: 'a cleared VIP filter',
    does: (agent) => zero(agent, 'vip_filter'),
    state: (agent) => withMap(agent, 'vip_filter', (map) => map.lookup(keyOf(0))),
  },
  {
    name: 'a zeroed backend',
    does: (agent) => zero(agent, 'backends'),
    state: (agent) => withMap(agent, 'backends', (map) => map.readRange(0, 8)),
  },
  {
    name: 'a zeroed service',
    does: (agent) => zero(agent, 'services'),
    state: (agent) => withMap(agent, 'services', (map) => map.readRange(0, 8)),
  },
  {
    name: 'a zeroed pool',
    does: (agent) => zero(agent, 'pools'),
    state: (agent) => withMap(agent, 'pools', (map) => readPool(view(firstInUse(map).value), 0).recipe),
  },
  {
    name: 'a scrambled Maglev table',
    does: (agent) =>
      withMap(agent, 'maglev', (map) => {
        const table = map.lookup(keyOf(tableOf(agent)))!;
        map.update(keyOf(tableOf(agent)), table.fill(0xee));
      }),
    state: (agent) => withMap(agent, 'maglev', (map) => map.lookup(keyOf(tableOf(agent)))),
  },
  {
    name: 'a program taken off the interface',
    does: (agent) => {
      const link = BpfLink.openPinned(`${agent.pins}/link/eth0`);
      link.detach();
      link.close();
    },
    state: async (agent) => {
      const [eth0] = JSON.parse(await cluster.lab.must(agent.host, 'ip', '-j', 'link', 'show', 'dev', 'eth0'));
      return eth0.xdp !== undefined;
    },
  },
  {
    name: 'a filter for probes that is gone',
    does: (agent) => cluster.lab.must(agent.host, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact'),
    state: async (agent) =>
      (await cluster.lab.must(agent.host, 'tc', 'filter', 'show', 'dev', 'eth0', 'egress')) !== '',
  },
];

function view(bytes: Uint8Array): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}

/** The Maglev table in use. */
function tableOf(agent: Agent): number {
  return withMap(agent, 'pools', (map) => {
    const rows = map.readRange(0, map.info.maxEntries);
    for (let id = 0; id < map.info.maxEntries; id++) {
      const row = readPool(view(rows), id * poolSize);
      if (row.flags !== 0) return row.table;
    }
    throw new Error('no pool is in use');
  });
}

async function repairs(agent: Agent): Promise<bigint> {
  return (await agent.client.status.get({ summary: true })).reconciliation!.repairs;
}

async function serves(t: ExecutionContext): Promise<void> {
  for (const address of [vip4, vip6]) {
    const answers = await cluster.client.call('requests', { address, port: 80, count: 20 });
    for (const { error } of answers) t.is(error, '', address);
  }
}

for (const { name, does, state } of damages) {
  test.serial(`${name} is repaired on demand and by the timer, and counted`, async (t) => {
    const [onDemand, byTimer] = cluster.agents;
    const asItShouldBe = await Promise.all(cluster.agents.map(state));

    const before = await repairs(onDemand);
    await does(onDemand);
    t.notDeepEqual(await state(onDemand), asItShouldBe[0], 'the damage shows');
    const { repairs: count } = await onDemand.client.node.reconcile();
    t.true(count >= 1);
    t.deepEqual(await state(onDemand), asItShouldBe[0]);
    t.is(await repairs(onDemand), before + BigInt(count));
    t.is((await onDemand.client.node.reconcile()).repairs, 0, 'and then there is nothing left to repair');

    const beforeTimer = await repairs(byTimer);
    await does(byTimer);
    await until('the timer repairs it', async () => (await repairs(byTimer)) > beforeTimer);
    t.deepEqual(await state(byTimer), asItShouldBe[1]);
    await cluster.allHealthy();
    await serves(t);
  });
}

test.serial('a clean kernel is left as it is, and repairs reach metrics and status alike', async (t) => {
  const [agent, byTimer] = cluster.agents;
  const { stdout, code } = await agent.spillway('reconcile');
  t.like({ stdout, code }, { stdout: 'as it should be\n', code: 0 });
  const { reconciliation, problems } = await agent.client.status.get({ summary: true });
  t.deepEqual(problems, []);
  t.like(reconciliation, { failures: 0n, lastError: '' });
  const scraped = await agent.scrape();
  t.is(metricOf(scraped, 'spillway_reconcile_repairs_total'), Number(reconciliation!.repairs));
  t.true(metricOf(scraped, 'spillway_reconcile_duration_seconds_count{result="repaired"}') >= damages.length);

  const { reconciliation: before } = await byTimer.client.status.get({ summary: true });
  const after = await until('the timer runs on', async () => {
    const { reconciliation: now } = await byTimer.client.status.get({ summary: true });
    return now!.runs >= before!.runs + 5n && now;
  });
  t.is(after.repairs, before!.repairs);
});
