/** Whether the cluster is as it should be again: asked over and over after each event. */
import type { Input, messages, SpillwayClient } from '../../../src/api/client.js';
import type { LbName } from '../../support/lab/agent.js';
import { pause } from '../../support/lab/until.js';
import { type Bed, tcpPort, vips } from './bed.js';
import { type Connection, monotonicMs } from './load.js';
import { nextHops } from './router.js';

/** Flows of datagrams are answered without an interruption: shorter ones are this machine's, when it has much to do. */
const quietMs = 250;

/** What is not yet as it should be, in words; null: all is. */
export type Lacking = string | null;

export interface Convergence {
  /** Monotonic; null: not in time. */
  readonly atMs: number | null;
  /** When the router sent to the right nodes. */
  readonly reroutedMs: number | null;
  /** What was lacking when time was up. */
  readonly lacking: string;
}

export async function converge(bed: Bed, withinMs = 60_000): Promise<Convergence> {
  const deadline = monotonicMs() + withinMs;
  let reroutedMs: number | null = null;
  /* The costly question, and the agents answer it on the cores that everything runs on. */
  let askTablesAtMs = 0;
  let sayAtMs = monotonicMs() + 4000;
  for (;;) {
    let lacking = await safely(() => routesLack(bed));
    if (lacking === null) reroutedMs ??= monotonicMs();
    else reroutedMs = null;
    lacking ??= await safely(() => nodesLack(bed));
    lacking ??= loadLacks(bed);
    if (lacking === null && bed.tablesAgree && monotonicMs() >= askTablesAtMs) {
      lacking = await safely(() => tablesLack(bed));
      askTablesAtMs = monotonicMs() + 150;
    } else if (bed.tablesAgree) {
      lacking ??= 'the tables are to be compared';
    }
    if (lacking === null) return { atMs: monotonicMs(), reroutedMs, lacking: '' };
    if (monotonicMs() > sayAtMs) {
      bed.options.say(`  not yet: ${lacking}`);
      for (const node of bed.live) await tellDifferences(bed, node);
      sayAtMs = monotonicMs() + 10_000;
    }
    if (monotonicMs() > deadline) return { atMs: null, reroutedMs, lacking };
    await pause(40);
  }
}

/** @throws Error saying what is lacking. */
export async function mustConverge(bed: Bed, withinMs = 60_000): Promise<void> {
  const { atMs, lacking } = await converge(bed, withinMs);
  if (atMs === null) throw new Error(`not within ${withinMs} ms: ${lacking}`);
}

/** Before there is a load. @throws Error saying what is lacking. */
export async function nodesReady(bed: Bed, withinMs = 60_000): Promise<void> {
  const deadline = monotonicMs() + withinMs;
  for (;;) {
    const lacking = (await safely(() => nodesLack(bed))) ?? (await safely(() => routesLack(bed)));
    if (lacking === null) return;
    if (monotonicMs() > deadline) throw new Error(`not within ${withinMs} ms: ${lacking}`);
    await pause(50);
  }
}

async function safely(check: () => Promise<Lacking>): Promise<Lacking> {
  return await check().catch((error: unknown) => (error as Error).message);
}

async function routesLack({ lab, announcing }: Bed): Promise<Lacking> {
  const wanted = announcing.join(' ');
  for (const vip of vips) {
    const found = (await nextHops(lab, vip)).join(' ');
    if (found !== wanted) return `the router sends ${vip} to ${found || 'nobody'}, not ${wanted}`;
  }
  return null;
}

/** Each node in the cluster sees all others, with the same desired state as its own. */
async function nodesLack(bed: Bed): Promise<Lacking> {
  for (const name of bed.live) {
    const { nodes } = await bed.of(name).client.cluster.get({}, { timeoutMs: 2000 });
    for (const other of bed.live) {
      const seen = nodes.find((node) => node.name === other);
      if (seen === undefined || !seen.alive) return `${name} does not hear ${other}`;
      if (seen.life !== 'ACTIVE') return `${name} says that ${other} is ${seen.life}`;
      if (seen.configDiffers) return `${name} says that ${other} has another desired state`;
    }
  }
  return null;
}

function loadLacks({ load }: Bed): Lacking {
  const { waiting, underWay, longestGapMs, alive } = load.latest;
  const { perSecond, connections } = load.options;
  if (waiting > 0) return `${waiting} of ${alive} connections (${connections} at first) wait for an answer`;
  if (underWay > 5 + perSecond / 4) return `${underWay} new connections are under way`;
  if (longestGapMs > quietMs) return `a flow of datagrams had no answer for ${longestGapMs} ms`;
  return null;
}

/** Every node knows every long-lived connection, and the backend that it is on. */
async function tablesLack(bed: Bed): Promise<Lacking> {
  const connections = await bed.load.list();
  for (const name of bed.live) {
    const table = await establishedOn(bed.of(name).client);
    let missing = 0;
    for (const connection of connections) {
      const backend = table.get(keyOf(connection));
      if (backend === undefined) missing++;
      else if (backend !== connection.backend) {
        const { address, port } = connection;
        return `${name} has ${backend} for ${address} port ${port}, which is on ${connection.backend}`;
      }
    }
    if (missing > 0) return `${name} does not know ${missing} of ${connections.length} connections`;
  }
  return null;
}

/** What `node` does not know of the connections, or knows otherwise: for a report of what is amiss. */
export async function tellDifferences(bed: Bed, node: LbName): Promise<void> {
  try {
    const { client } = bed.of(node);
    const table = await establishedOn(client);
    const missed = (await bed.load.list()).filter((one) => table.get(keyOf(one)) !== one.backend);
    for (const one of missed.slice(0, 3)) {
      const filter = { protocol: 'TCP', client: one.address, vipPort: tcpPort } as const;
      const found: string[] = [];
      for await (const { clientPort, backend, state, age, idle } of sessionsOf(client, filter)) {
        if (clientPort === one.port) {
          found.push(`${backend} ${state}, ${age?.seconds ?? '?'} s old, idle for ${idle?.seconds ?? '?'} s`);
        }
      }
      const { establishedMs, backend } = one;
      const since = ((monotonicMs() - establishedMs) / 1000).toFixed(1);
      bed.options.say(`  ${node}: ${keyOf(one)}, on ${backend} for ${since} s: ${found.join('; ') || 'unknown'}`);
    }
  } catch (error) {
    bed.options.say(`  ${node}: ${(error as Error).message}`);
  }
}

/**
 * Closing ones as well: they name the backend like others do. A client's reset that is overtaken by its next SYN from
 * the same port leaves a live connection with such a session.
 */
async function establishedOn(client: SpillwayClient): Promise<Map<string, string>> {
  const table = new Map<string, string>();
  const filter = { protocol: 'TCP', vipPort: tcpPort } as const;
  for await (const { client: address, clientPort, backend, state } of sessionsOf(client, filter)) {
    if (state === 'ESTABLISHED' || state === 'CLOSING') table.set(`${address} ${clientPort}`, backend);
  }
  return table;
}

async function* sessionsOf(
  client: SpillwayClient,
  filter: Input<messages.SessionFilter>,
): AsyncGenerator<messages.Session> {
  let pageToken = '';
  do {
    const page = await client.sessions.list({ filter, pageSize: 10_000, pageToken }, { timeoutMs: 10_000 });
    yield* page.sessions;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

/**
 * Whether every session that any node has as established is on every node, on the same backend: not only those that are
 * in use. One that is closing may have run out elsewhere. For a load that is paused.
 */
export async function tablesDiffer(bed: Bed): Promise<Lacking> {
  const tables = await Promise.all(
    bed.live.map(async (name) => {
      const table = new Map<string, messages.Session>();
      for await (const session of sessionsOf(bed.of(name).client, {})) {
        const { protocol, client, clientPort, vip } = session;
        table.set(`${protocol} ${client} ${clientPort} to ${vip}`, session);
      }
      return { name, table };
    }),
  );
  for (const { name, table } of tables) {
    for (const other of tables) {
      let missing = 0;
      for (const [key, { state, backend }] of table) {
        if (state !== 'ESTABLISHED') continue;
        const there = other.table.get(key);
        if (there === undefined) missing++;
        else if (there.backend !== backend) return `${key}: ${backend} on ${name}, ${there.backend} on ${other.name}`;
      }
      if (missing > 0) return `${missing} sessions that ${name} has as established are not on ${other.name}`;
    }
  }
  return null;
}

function keyOf({ address, port }: Connection): string {
  return `${address} ${port}`;
}
