import { existsSync } from 'node:fs';
import { SessionState } from '../abi/abi.generated.js';
import type { SessionPort } from '../api/port.js';
import type { Logger } from '../base/log.js';
import { openAnnouncer, systemDeps, withdrawRoutes as withdraw } from '../bgp/announcer.js';
import type { Compiled } from '../compile/compiled.js';
import { identityOf } from '../compile/identity.js';
import type { AgentConfig } from '../config/agent.js';
import { NetlinkSocket, queryXdp } from '../dataplane/addon.js';
import { linkPin } from '../dataplane/attach.js';
import { pinsOf } from '../dataplane/layout.js';
import { systemClock } from '../health/clock.js';
import type { NextHopTracker } from '../netlink/tracker.js';
import type { Port } from '../netlink/types.js';
import { ClusterNode } from './cluster.js';
import { DictionaryKeeper, openSessionStream, purgeEverywhere } from './cluster-sync.js';
import type { Controller } from './controller.js';
import { type DataPlaneNode, siteOf } from './dataplane-node.js';
import type { HealthAgreement } from './health-agreement.js';
import { LifeFile } from './life-file.js';
import type { Sweeper } from './sweeper.js';

export interface ClusterParts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly secret: Uint8Array | null;
  readonly controller: Controller;
  readonly node: DataPlaneNode;
  readonly tracker: NextHopTracker;
  readonly sweeper: Sweeper;
  readonly agreement: HealthAgreement;
  /** Of this node's sessions. */
  readonly purge: SessionPort['purge'];
  readonly log: Logger;
  readonly onChange: () => void;
}

export interface OpenedCluster {
  readonly node: ClusterNode;
  /** Here and, with sync, on every node. */
  readonly purge: SessionPort['purge'];
  /** After each compile. */
  onCompiled(compiled: Compiled): void;
  problems(): readonly string[];
  close(options: { readonly withdraw: boolean }): Promise<void>;
}

/** With what the configuration asks for: the sessions' stream, the routes, or neither. */
export async function openCluster(config: AgentConfig, parts: ClusterParts): Promise<OpenedCluster> {
  const { agreement, controller, log, node, purge, startedAtMs, sweeper, tracker, version } = parts;
  const announcer = config.routes && (await openAnnouncer(config.routes, systemDeps({ log, NetlinkSocket })));
  const keyDigest = flowKeyDigest(node);
  const stream = { config, version, startedAtMs, flowKeyDigest: keyDigest, node, purge, log, secret: parts.secret };
  const sync =
    config.sync &&
    (await openSessionStream({ ...stream, sync: config.sync }).catch(async (error: unknown) => {
      await announcer?.close({ withdraw: false });
      throw error;
    }));
  const dictionary = sync && new DictionaryKeeper(sync);
  const cluster = new ClusterNode({
    config,
    version,
    startedAtMs,
    sync,
    announcer,
    lifeFile: new LifeFile(config.stateDirectory),
    flowKeyDigest: keyDigest,
    clock: systemClock,
    log,
    current: () => controller.current(),
    compiled: () => controller.compiled,
    dataPlaneFault: () => dataPlaneFault(node, tracker),
    sessions: () => sessionsOf(sweeper),
    traffic: () => trafficOf(parts),
    suspect: () => agreement.suspect,
    onChange: parts.onChange,
  });
  const disconnect = sync ? agreement.connect(sync) : () => {};
  if (controller.compiled) dictionary?.take(controller.compiled);
  return {
    node: cluster,
    purge: sync ? (filter) => purgeEverywhere(filter, { purge, sync }) : purge,
    onCompiled(compiled) {
      dictionary?.take(compiled);
      cluster.refresh();
    },
    problems: () => [...cluster.problems(), ...(dictionary?.problems ?? [])],
    async close({ withdraw }) {
      disconnect();
      await cluster.close({ withdraw });
    },
  };
}

/** As the status counts them: without the memory of source persistence. */
function sessionsOf({ counts }: Sweeper): number {
  const { SESSION_CLOSING, SESSION_ESTABLISHED, SESSION_YOUNG } = SessionState;
  return [SESSION_YOUNG, SESSION_ESTABLISHED, SESSION_CLOSING].reduce(
    (sum, state) => sum + (counts?.byState[state] ?? 0),
    0,
  );
}

/** Two nodes that have the same find each other's sessions. */
function flowKeyDigest(node: DataPlaneNode): bigint {
  const { words, finish } = node.settings.flowKey();
  return identityOf('flow key digest', words.join(), finish.join());
}

/**
 * Asked before this agent attaches: did the agent before leave a data plane that has served all along? Then its routes
 * stay, for packets come and are served.
 */
export function servedAllAlong(config: AgentConfig, node: DataPlaneNode, ports: readonly Port[]): boolean {
  const pins = pinsOf(config.pinDirectory, config.instance);
  const isHeld = ({ name, ifindex }: Port): boolean => existsSync(linkPin(pins, name)) && queryXdp(ifindex) !== null;
  return node.adopted && ports.length > 0 && ports.every(isHeld);
}

/** An interface that is not there brings no packets either: it is a problem of its own, and no reason to withdraw. */
function dataPlaneFault(node: DataPlaneNode, tracker: NextHopTracker): string {
  const site = siteOf(tracker);
  const there = node.attachments(site).filter((one) => !site.missing.includes(one.interface));
  if (there.length === 0) return 'the data plane is attached nowhere';
  const off = there.filter(({ attached }) => !attached).map((one) => one.interface);
  return off.length === 0 ? '' : `the data plane is not attached to ${off.join(', ')}`;
}

function trafficOf({ controller, node }: ClusterParts): { packets: bigint; newSessions: bigint } {
  const ids = [...controller.applied.services.keys()];
  const count = node.counters.servicesAt(ids);
  let [packets, newSessions] = [0n, 0n];
  for (const id of ids) {
    const traffic = count(id);
    packets += traffic.packets;
    newSessions += traffic.sessions;
  }
  return { packets, newSessions };
}

/** Without an agent: before the data plane goes, nobody is to send packets here. */
export async function withdrawRoutes({ routes }: AgentConfig, log: Logger): Promise<void> {
  if (routes === null) return;
  try {
    await withdraw(routes, systemDeps({ log, NetlinkSocket }));
  } catch (error) {
    log.error({ err: error }, 'the routes could not be withdrawn: look at what announces them');
  }
}
