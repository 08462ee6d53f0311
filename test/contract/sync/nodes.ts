import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { NodeReport } from '../../../src/cluster/types.js';
import type { SyncConfig } from '../../../src/config/cluster.js';
import { openSync } from '../../../src/sync/open.js';
import { systemClock, systemPorts } from '../../../src/sync/system.js';
import type { ClusterSync } from '../../../src/sync/types.js';
import { wireId } from '../../../src/sync/wire.js';
import { type Heard, listeningLog } from '../../support/sync/listening_log.js';
import { DataPath, ESTABLISHED } from '../../support/sync/simulation/data_path.js';

const TICK_MS = 250;
export const secret = Buffer.from('a secret of sixteen bytes and more');

export interface NodeOptions {
  readonly config?: Partial<SyncConfig>;
  readonly report?: Partial<NodeReport>;
  readonly kernel?: DataPath;
  readonly secret?: Buffer;
  readonly stateDirectory?: string;
  readonly purge?: (filter: Uint8Array) => Promise<number>;
}

export interface Node {
  readonly sync: ClusterSync;
  readonly kernel: DataPath;
  readonly log: Heard;
  readonly stateDirectory: string;
  /** An established session, as the data path makes it and logs it. */
  establish(tag: bigint): void;
  has(tag: bigint): boolean;
  alive(): string[];
}

let used = 0;

/** Of nodes of one cluster, on addresses of the loopback interface. */
export function cluster(t: ExecutionContext, names: readonly string[]) {
  const port = 33_000 + (process.pid % 1000) * 10 + used++;
  const addresses = names.map((_, i) => `127.0.0.${i + 11}`);
  const start = async (name: string, options: NodeOptions = {}): Promise<Node> => {
    const address = addresses[names.indexOf(name)]!;
    const kernel = options.kernel ?? new DataPath(16_384);
    const stateDirectory = options.stateDirectory ?? mkdtempSync(path.join(tmpdir(), 'spillway-sync-'));
    const log = listeningLog();
    const tick = (): number => Math.floor(systemClock.monotonicMs() / TICK_MS) & 0xff_ffff;
    const config: SyncConfig = {
      ...{ interface: 'lo', address, group: null, port, keyFile: null, recordsPerSecond: 100_000 },
      ...{ peers: addresses.filter((other) => other !== address), joinTimeoutMs: 10_000, tls: null },
      ...options.config,
    };
    const table = kernel.syncTable();
    const sync = await openSync({
      ...{ config, clusterSecret: options.secret ?? secret, stateDirectory, table, sessionLog: kernel.log, log },
      ticks: { tickMs: TICK_MS, now: tick },
      report: { ...plainReport, name, ...options.report },
      dictionary,
      purge: options.purge ?? (async () => 0),
      ports: systemPorts(config),
    });
    t.teardown(async () => {
      await sync.close();
      rmSync(stateDirectory, { recursive: true, force: true });
    });
    return {
      ...{ sync, kernel, log, stateDirectory },
      establish(tag) {
        const row = { backend: 1, tick: tick() };
        kernel.insert(tag, { ...row, client: 0x0a00_0001 });
        const { slot } = kernel.find(tag)!;
        kernel.write(slot, { ...row, state: ESTABLISHED });
        kernel.note(slot);
      },
      has: (tag) => kernel.find(tag)?.state === ESTABLISHED,
      alive: () => sync.peers().flatMap((peer) => (peer.alive ? [peer.name] : [])),
    };
  };
  return { start, port, addresses };
}

const plainReport: NodeReport = {
  ...{ name: '', zone: 'a', life: 'active', version: '1', configVersion: 1n, configDigest: 5n, flowKeyDigest: 6n },
  ...{ sessions: 1, announced: 0, suspect: false, startedAtMs: 0 },
};

const dictionary = {
  serviceWire: Uint32Array.of(0, wireId('service')),
  servicePool: Uint16Array.of(0, 1),
  serviceProtocol: Uint8Array.of(0, 6),
  backendWire: Uint32Array.of(0, wireId('backend')),
  backendPool: Uint16Array.of(0, 1),
  timeouts: new Uint16Array(8).fill(4000),
};
