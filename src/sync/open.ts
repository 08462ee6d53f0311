import { InvalidError } from '../base/errors.js';
import { familyOf } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { NodeReport } from '../cluster/types.js';
import type { SyncConfig } from '../config/cluster.js';
import { nextBoot } from './boot.js';
import { countersOf } from './counters.js';
import { DropWatch } from './drop_watch.js';
import { peerHandlers } from './handlers.js';
import { join } from './join.js';
import { KeyRing } from './key_ring.js';
import { Membership } from './membership.js';
import { PatientEngine } from './patient_engine.js';
import type { PeerState } from './peer_book.js';
import {
  type Clock,
  type EngineFactory,
  type EnginePort,
  type Identity,
  type RandomBytes,
  type TablePort,
  TransferError,
  type TransferPort,
} from './ports.js';
import { Repair } from './repair.js';
import type { ClusterSync, Dictionary } from './types.js';
import { nodeId } from './wire.js';

const CLOCK_MS = 1000;
/** Peers to compare with when another one has gone: what it said last may be with one of them alone. */
const COMPARED_WHEN_GONE = 3;
const COMPARED_WHEN_CHANGED = 8;

/** Where this room touches the world; systemPorts (system.ts) has them all. */
export interface SyncPorts {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly engine: EngineFactory;
  readonly transfer: TransferPort;
  /** First address of an interface, of that family. */
  readonly addressOf: (interfaceName: string, family: 4 | 6) => string | null;
}

export interface SyncOptions {
  readonly config: SyncConfig;
  readonly clusterSecret: Uint8Array | null;
  readonly stateDirectory: string;
  readonly table: TablePort;
  /** Memory of the map `session_log`; null: nothing is announced. */
  readonly sessionLog: ArrayBuffer | null;
  /** The data path's time; TickClock fits. */
  readonly ticks: { readonly tickMs: number; now(): number };
  /** What beacons say until setReport. */
  readonly report: NodeReport;
  /** In force from the first datagram on; empty ones will do. */
  readonly dictionary: Dictionary | null;
  /** For a peer: removes sessions of this node by a SessionFilter, serialized. @returns how many. */
  readonly purge: (filter: Uint8Array) => Promise<number>;
  readonly log: Logger;
  readonly ports: SyncPorts;
}

/**
 * Takes part in the cluster from here on: listens, announces, answers peers.
 * @throws InvalidError for keys, certificates, addresses; UnavailableError when a port is taken; NativeError of sockets.
 */
export async function openSync(options: SyncOptions): Promise<ClusterSync> {
  const { config, clusterSecret, stateDirectory, table, log, ports } = options;
  const { clock, random } = ports;
  const { name } = options.report;
  const address = addressOf(config, ports);
  const node = nodeId(name);
  const { boot, problem: bootProblem } = nextBoot(stateDirectory, clock.wallMs());
  if (bootProblem !== '') log.error({}, bootProblem);
  const closing = new AbortController();
  const listeners = new Set<() => void>();
  const onChange = (): void => {
    for (const listener of listeners) listener();
  };

  let engine: EnginePort | null = null;
  const ring = new KeyRing({
    ...{ keyFile: config.keyFile, clusterSecret, clock, log },
    onChange: (keys) => engine?.setKeys(keys),
  });
  const identity: Identity = { node, boot, keys: () => ring.keys() };
  const stopClock = keepClock(table, options);
  if (options.dictionary !== null) table.setDictionary(options.dictionary);
  const server = await ports.transfer
    .serve(peerHandlers({ table, boot, purge: (filter) => repair.idleWhile(() => options.purge(filter)) }), {
      address,
      port: config.port,
      identity,
    })
    .catch((error: unknown) => {
      stopClock();
      ring.close();
      throw error;
    });

  const openedMs = clock.monotonicMs();
  let membership: Membership | null = null;
  let running: EnginePort;
  try {
    running = new PatientEngine(
      ports.engine(
        {
          ...{ table: table as never, log: options.sessionLog, node, boot, keys: ring.keys() },
          ...{ recordsPerSecond: config.recordsPerSecond, interface: config.interface, address },
          ...{ group: config.group, port: config.port, peers: config.peers },
        },
        ({ control, lost, unannounced }) => {
          for (const message of control) membership?.take(message);
          for (const { node: from } of lost) {
            const peer = membership?.book.get(from);
            if (peer !== undefined) repair.request(peer);
          }
          if (unannounced > 0) membership?.resync();
        },
      ),
    );
  } catch (error) {
    stopClock();
    ring.close();
    await server.close();
    throw error;
  }
  engine = running;
  const connect = ({ name: of, from, beacon, boot: ofBoot }: PeerState) => {
    const said = beacon?.transferPort ?? 0;
    const port = said > 0 && said < 65_536 ? said : config.port;
    return ports.transfer.connect({ name: of, address: from.address, port, boot: ofBoot }, identity);
  };
  const present = (): readonly PeerState[] =>
    membership?.book.all().filter(({ alive, admitted }) => alive && admitted) ?? [];
  const repair = new Repair({ table, clock, log, peers: present, connect });
  membership = new Membership({
    ...{ name, node, boot, clock, random, onChange, engine: running },
    report: options.report,
    transferPort: () => server.port,
    onCompare: (peer) => repair.request(peer),
    onGone: () => {
      for (const peer of present().slice(0, COMPARED_WHEN_GONE)) repair.request(peer);
    },
  });
  const members = membership;
  const counters = () => countersOf(running.counters());
  const drops = new DropWatch({ clock, counters, onChange });
  let report = options.report;
  log.info(
    { node: name, boot, address, port: server.port, group: config.group, peers: config.peers },
    'sessions are synchronised',
  );

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    closing.abort(new TransferError('this node is stopping', false));
    members.close();
    drops.close();
    ring.close();
    stopClock();
    await repair.close();
    await server.close();
    running.close();
  };
  return {
    counters,
    repairs: () => repair.counters(),
    transferPort: server.port,
    setReport(next) {
      report = { ...report, ...next };
      members.setReport(report);
    },
    setVerdicts: (verdicts) => members.setVerdicts(verdicts),
    setDictionary(dictionary) {
      table.setDictionary(dictionary);
      // What was of an unknown listener until now may be had.
      for (const peer of present().slice(0, COMPARED_WHEN_CHANGED)) repair.request(peer);
    },
    join: ({ onProgress }) =>
      repair.pausedWhile(() =>
        join({
          ...{ table, clock, log, openedMs, connect, onProgress, signal: closing.signal },
          timeoutMs: config.joinTimeoutMs,
          peers: () => members.book.all(),
        }),
      ),
    peers: () => members.book.describe({ nowMs: clock.monotonicMs(), wallMs: clock.wallMs(), counts: running.peers() }),
    onPeers(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    purgeOnPeers: (filter) => Promise.all(present().map((peer) => purgeOn(peer, { filter, connect }))),
    withoutRepair: (work) => repair.idleWhile(work),
    problems: () => [
      ...(bootProblem === '' ? [] : [bootProblem]),
      ...ring.problems(),
      ...members.problems(),
      ...drops.problems(),
      ...repair.problems(),
      ...sendProblems(running, config),
    ],
    close() {
      closed ??= close();
      return closed;
    },
  };
}

async function purgeOn(
  peer: PeerState,
  { filter, connect }: { filter: Uint8Array; connect: (peer: PeerState) => ReturnType<TransferPort['connect']> },
): Promise<{ peer: string; purged: number; error: string }> {
  const client = connect(peer);
  try {
    return { peer: peer.name, purged: await client.purge(filter), error: '' };
  } catch (error) {
    if (!(error instanceof TransferError)) throw error;
    return { peer: peer.name, purged: 0, error: error.message };
  } finally {
    client.close();
  }
}

function sendProblems(engine: EnginePort, { interface: name, group, peers, port }: SyncConfig): readonly string[] {
  const error = engine.sendError();
  const to = group ?? peers.join(', ');
  return error === null ? [] : [`datagrams to ${to} port ${port} do not go out by ${name}: ${error}`];
}

/** Ages of records are told against the data path's ticks, which go with CLOCK_MONOTONIC but for their origin. */
function keepClock(table: TablePort, { ticks, ports: { clock } }: SyncOptions): () => void {
  let cancel = (): void => {};
  const set = (): void => {
    const monotonicNs = BigInt(Math.round(clock.monotonicMs() * 1e6));
    table.setClock({ tick: ticks.now() & 0xff_ffff, monotonicNs, tickNs: Math.round(ticks.tickMs * 1e6) });
    cancel = clock.after(CLOCK_MS, set);
  };
  set();
  return () => cancel();
}

function addressOf({ interface: name, address, group, peers }: SyncConfig, { addressOf: find }: SyncPorts): string {
  if (address !== null) return address;
  const family = familyOf(group ?? peers[0] ?? '0.0.0.0');
  const found = find(name, family);
  if (found !== null) return found;
  const description = `${name} has no IPv${family} address to send from (link-local ones will not do): give it one, or set sync.address`;
  throw new InvalidError([{ field: 'sync.interface', description }]);
}
