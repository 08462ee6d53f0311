import { isDeepStrictEqual } from 'node:util';
import { codec } from '../api/codec.js';
import type { SessionFilter, SessionPort } from '../api/port.js';
import { readFilter, writeFilter } from '../api/session_filter.js';
import { UnavailableError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Compiled } from '../compile/compiled.js';
import type { AgentConfig } from '../config/agent.js';
import type { SyncConfig } from '../config/cluster.js';
import { SyncTable } from '../dataplane/addon.js';
import { dictionaryOf } from '../sync/dictionary.js';
import { openSync } from '../sync/open.js';
import { systemPorts } from '../sync/system.js';
import type { ClusterSync, Dictionary } from '../sync/types.js';
import type { DataPlaneNode } from './dataplane-node.js';

const filterCodec = codec('spillway.v1.SessionFilter');

export interface SessionStreamOptions {
  readonly config: AgentConfig;
  readonly sync: SyncConfig;
  readonly secret: Uint8Array | null;
  readonly version: string;
  readonly startedAtMs: number;
  readonly flowKeyDigest: bigint;
  readonly node: DataPlaneNode;
  /** On this node alone. */
  readonly purge: SessionPort['purge'];
  readonly log: Logger;
}

/** The sessions' stream between nodes, on this node's table. */
export async function openSessionStream(options: SessionStreamOptions): Promise<ClusterSync> {
  const { config, sync, node, secret, log } = options;
  const { sessions, details, log: sessionLog } = node.syncMemory();
  return openSync({
    config: sync,
    clusterSecret: secret,
    stateDirectory: config.stateDirectory,
    table: new SyncTable({ sessions, details }),
    sessionLog,
    ticks: node.clock,
    report: {
      name: config.node.name,
      zone: config.node.zone,
      life: 'joining',
      version: options.version,
      configVersion: 0n,
      configDigest: 0n,
      flowKeyDigest: options.flowKeyDigest,
      sessions: 0,
      announced: 0,
      suspect: false,
      startedAtMs: options.startedAtMs,
    },
    dictionary: null,
    purge: (filter) => options.purge(filter.length === 0 ? null : readFilter(filterCodec.decodeStrict(filter))),
    log,
    ports: systemPorts(sync),
  });
}

/** Tells the stream what numbers mean whenever that is something else than before: comparing with peers costs. */
export class DictionaryKeeper {
  #told: Dictionary | null = null;
  problems: readonly string[] = [];

  constructor(private readonly sync: Pick<ClusterSync, 'setDictionary'>) {}

  take(compiled: Compiled): void {
    const { dictionary, problems } = dictionaryOf(compiled);
    this.problems = problems;
    if (isDeepStrictEqual(dictionary, this.#told)) return;
    this.#told = dictionary;
    this.sync.setDictionary(dictionary);
  }
}

/**
 * Here and on every node, or the others would bring them back.
 * @throws UnavailableError when a peer did not: what it still has comes back.
 */
export async function purgeEverywhere(
  filter: SessionFilter | null,
  {
    purge,
    sync,
  }: { readonly purge: SessionPort['purge']; readonly sync: Pick<ClusterSync, 'purgeOnPeers' | 'withoutRepair'> },
): Promise<number> {
  const bytes = filter === null ? new Uint8Array() : filterCodec.encode(writeFilter(filter));
  const [purged, peers] = await sync.withoutRepair(() => Promise.all([purge(filter), sync.purgeOnPeers(bytes)]));
  const failed = peers.filter(({ error }) => error !== '').map(({ peer, error }) => `${peer} (${error})`);
  if (failed.length === 0) return purged;
  throw new UnavailableError(
    `${purged} removed here, but not on ${failed.join(', ')}: its sessions come back from there, so purge again`,
  );
}
