import { InvalidError } from '../base/errors.js';
import { toDuration, toTimestamp } from '../config/write.js';
import type { ClusterNode, ClusterPort, ClusterStatus, Life, VipRoute } from './cluster_port.js';
import type { Input } from './codec.js';
import type * as message from './generated/messages.generated.js';
import type { Handlers } from './implement.js';
import { latest } from './latest.js';

/** At most ten a second. */
const minIntervalMs = 100;
const longestDrainMs = 24 * 3_600_000;

const lives = { joining: 'JOINING', active: 'ACTIVE', draining: 'DRAINING', stopped: 'STOPPED' } as const;

export function clusterService(cluster: ClusterPort): Handlers<'ClusterService'> {
  return {
    get: () => toCluster(cluster.get()),
    watch: (_, signal) =>
      latest(() => toCluster(cluster.get()), {
        subscribe: (onChange) => cluster.watch(onChange),
        minIntervalMs,
        signal,
      }),
    drain: ({ timeout }, signal) => withLife(cluster.drain({ timeoutMs: timeoutOf(timeout) }, signal)),
    activate: (_, signal) => toActivate(cluster.activate(signal)),
  };
}

function timeoutOf(timeout: message.Duration | null): number | null {
  if (timeout === null) return null;
  const ms = Number(timeout.seconds) * 1000 + timeout.nanos / 1e6;
  if (ms > 0 && ms <= longestDrainMs) return ms;
  const description = `${ms} ms is not within 1 ms to 24 h; unset: the agent's node.drainTimeout`;
  throw new InvalidError([{ field: 'timeout', description }]);
}

async function* withLife<Progress extends { readonly life: Life }>(
  progress: AsyncIterable<Progress>,
): AsyncGenerator<Omit<Progress, 'life'> & { life: (typeof lives)[Life] }> {
  for await (const { life, ...rest } of progress) yield { ...rest, life: lives[life] };
}

async function* toActivate(
  progress: ReturnType<ClusterPort['activate']>,
): AsyncGenerator<Input<message.ActivateProgress>> {
  for await (const { sessions, sessionsExpected, ...rest } of withLife(progress)) {
    yield { ...rest, sessions: BigInt(sessions), sessionsExpected: BigInt(sessionsExpected) };
  }
}

function toCluster({ nodes, routes, sync, problems }: ClusterStatus): Input<message.Cluster> {
  return {
    nodes: nodes.map(toNode),
    routes: {
      kind: routes.kind,
      vips: routes.vips.map(toVip),
      neighbors: routes.neighbors.map(({ sinceMs, ...neighbor }) => ({ ...neighbor, since: toTimestamp(sinceMs) })),
    },
    sync: { enabled: sync !== null, counters: { ...sync } },
    problems: [...problems],
  };
}

function toNode({ startedAtMs, lastHeardMs, lagMs, ...from }: ClusterNode): Input<message.ClusterNode> {
  return {
    ...from,
    life: lives[from.life],
    sessions: BigInt(from.sessions),
    startedAt: toTimestamp(startedAtMs),
    lastHeardAt: toTimestamp(lastHeardMs),
    syncLag: lagMs === null ? null : toDuration(lagMs),
  };
}

function toVip({ announce, ...from }: VipRoute): Input<message.VipRoute> {
  return { ...from, announced: announce };
}
