/** A node of `bench -- sync`, in a process and a namespace of its own: real engine, real maps, no data path, no agent. */
import { createHash, randomBytes } from 'node:crypto';
import { BpfObject, SyncEngine, SyncTable } from '../../../src/dataplane/addon.js';
import { kernelName, mapNames } from '../../../src/dataplane/layout.js';
import { mapSizes } from '../../../src/dataplane/open.js';
import { compareTables, RANGES } from '../../../src/sync/compare.js';
import { countersOf } from '../../../src/sync/counters.js';
import { fetchSessions } from '../../../src/sync/fetch.js';
import { peerHandlers } from '../../../src/sync/handlers.js';
import type { Identity, TransferServer } from '../../../src/sync/ports.js';
import { systemClock } from '../../../src/sync/system.js';
import { grpcTransfer } from '../../../src/sync/transfer/grpc.js';
import type { SyncCounters } from '../../../src/sync/types.js';
import { LB_OBJECT } from '../paths.js';
import { dictionary } from './dictionary.js';
import {
  type Answer,
  type Digest,
  KEY,
  PORT,
  type Reading,
  type Request,
  type Started,
  type Transferred,
  type Value,
} from './protocol.js';

/** As offer.c. */
const TICK_NS = 256_000_000;
/** As the agent's membership says that it is there; its engine says with it how far its datagrams have come. */
const BEACON_MS = 250;
const BEACON = new Uint8Array(150);
const LIMITS = { services: 16, backends: 32, pools: 4, vips: 16, accessListEntries: 64, sourceCells: 1024 } as const;

type Start = Extract<Request, { do: 'start' }>;
type Transfer = Extract<Request, { do: 'fetch' | 'compare' }>;

class Node {
  readonly #object: BpfObject;
  readonly #engine: SyncEngine;
  readonly #table: SyncTable;
  readonly #transfer = grpcTransfer({ tls: null, random: randomBytes, wallMs: Date.now });
  readonly #identity: Identity;
  readonly #clock: NodeJS.Timeout;
  readonly #beacons: NodeJS.Timeout;
  readonly #maps: Started['maps'];
  #server: TransferServer | null = null;
  readonly #control = { admitted: 0, strange: 0 };
  #lost = 0;

  constructor(private readonly start: Start) {
    const sizes = mapSizes({ ...LIMITS, fragments: 64, sessions: start.sessions });
    this.#object = BpfObject.load(LB_OBJECT, {
      programs: [],
      maxEntries: Object.fromEntries(mapNames.map((name) => [kernelName(name), sizes[name]])),
    });
    const [sessions, details, log] = (['sessions', 'details', 'session_log'] as const).map((name) =>
      this.#object.map(kernelName(name)),
    ) as [ReturnType<BpfObject['map']>, ReturnType<BpfObject['map']>, ReturnType<BpfObject['map']>];
    this.#maps = { sessions: sessions.info.id, details: details.info.id, log: log.info.id };
    this.#table = new SyncTable({ sessions: sessions.mmap(), details: details.mmap() });
    this.#table.setDictionary(dictionary);
    this.#setClock();
    this.#clock = setInterval(() => this.#setClock(), 1000);
    const boot = BigInt(Date.now()) * 1000n;
    this.#identity = { node: start.node, boot, keys: () => [KEY] };
    this.#engine = new SyncEngine(
      {
        ...{ table: this.#table, log: log.mmap(), node: start.node, boot, keys: [KEY] },
        ...{ recordsPerSecond: start.recordsPerSecond, interface: 'eth0', address: start.address },
        ...{ group: start.group, port: PORT, peers: start.peers },
      },
      ({ control, lost }) => {
        for (const { admitted } of control) this.#control[admitted ? 'admitted' : 'strange']++;
        for (const { datagrams } of lost) this.#lost += datagrams;
      },
    );
    this.#beacons = setInterval(() => this.#engine.control(BEACON, null), BEACON_MS);
  }

  async serve(): Promise<Started> {
    const handlers = peerHandlers({ table: this.#table, boot: this.#identity.boot, purge: async () => 0 });
    const { address } = this.start;
    this.#server = await this.#transfer.serve(handlers, { address, port: PORT, identity: this.#identity });
    return { boot: `${this.#identity.boot}`, transferPort: this.#server.port, maps: this.#maps };
  }

  admit(node: number, boot: bigint): void {
    this.#engine.admit(node, boot);
  }

  read(): Reading {
    const counters = Object.entries(countersOf(this.#engine.counters()) as SyncCounters);
    const { user, system } = process.cpuUsage();
    return {
      counters: Object.fromEntries(counters.map(([name, count]) => [name, Number(count)])) as Reading['counters'],
      cpuNs: Number(this.#engine.cpuNs()),
      processCpuNs: (user + system) * 1000,
      lost: this.#lost,
      control: this.#control,
      peers: this.#engine.peers().map(({ node, datagrams, records, missed, givenUp }) => ({
        ...{ node, datagrams: Number(datagrams), records: Number(records) },
        ...{ missed: Number(missed), givenUp: Number(givenUp) },
      })),
    };
  }

  async digest(): Promise<Digest> {
    const { counts, sums } = await this.#table.digest(RANGES);
    const sessions = counts.reduce((sum, count) => sum + count, 0);
    return { sessions, sums: createHash('sha256').update(sums).digest('hex') };
  }

  async transfer({ do: job, node, address, port, boot }: Transfer): Promise<Transferred> {
    const client = this.#transfer.connect({ name: `${node}`, address, port, boot: BigInt(boot) }, this.#identity);
    const { signal } = new AbortController();
    const table = this.#table;
    const look = () => compareTables({ table, client, clock: systemClock, gapsMs: [60, 60], signal });
    try {
      const wanted = job === 'fetch' ? null : (await look()).ranges;
      const begun = systemClock.monotonicMs();
      const fetched = await fetchSessions({
        ...{ client, table, clock: systemClock, signal, wanted, origin: node & 0xffff },
        ranges: wanted === null ? 0 : RANGES,
      });
      const after = await look();
      return {
        // What join does, too: the comparison afterwards is part of it.
        milliseconds: systemClock.monotonicMs() - begun,
        records: fetched.records,
        applied: fetched.applied,
        differingRanges: after.ranges.length,
        ranges: RANGES,
        sessions: after.sessions,
      };
    } finally {
      client.close();
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#clock);
    clearInterval(this.#beacons);
    this.#engine.close();
    await this.#server?.close();
    this.#object.close();
  }

  #setClock(): void {
    const monotonicNs = process.hrtime.bigint();
    const tick = Number((monotonicNs / BigInt(TICK_NS)) & 0xff_ffffn);
    this.#table.setClock({ tick, monotonicNs, tickNs: TICK_NS });
  }
}

let node: Node | null = null;

async function answer(request: Request): Promise<Value> {
  if (request.do === 'start') {
    node = new Node(request);
    return node.serve();
  }
  if (node === null) throw new Error('not started');
  switch (request.do) {
    case 'admit':
      node.admit(request.node, BigInt(request.boot));
      return null;
    case 'read':
      return node.read();
    case 'digest':
      return node.digest();
    case 'fetch':
    case 'compare':
      return node.transfer(request);
    case 'end':
      await node.close();
      process.disconnect();
      return null;
  }
}

process.on('message', (request: Request) => {
  void answer(request)
    .then((value): Answer => ({ ok: true, value }))
    .catch((error: Error): Answer => ({ ok: false, error: error.message }))
    .then((message) => process.connected && process.send!(message));
});
// The benchmark is gone.
process.on('disconnect', () => process.exit());
