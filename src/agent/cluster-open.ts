import { existsSync } from 'node:fs';
import type { Logger } from '../base/log.js';
import { identityOf } from '../compile/identity.js';
import type { AgentConfig } from '../config/agent.js';
import { queryXdp } from '../dataplane/addon.js';
import { linkPin } from '../dataplane/attach.js';
import { pinsOf } from '../dataplane/layout.js';
import { systemClock } from '../health/clock.js';
import type { NextHopTracker } from '../netlink/tracker.js';
import type { Port } from '../netlink/types.js';
import { ClusterNode } from './cluster.js';
import type { Controller } from './controller.js';
import { type DataPlaneNode, siteOf } from './dataplane-node.js';
import { LifeFile } from './life-file.js';
import type { Sweeper } from './sweeper.js';

export interface ClusterParts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly controller: Controller;
  readonly node: DataPlaneNode;
  readonly tracker: NextHopTracker;
  readonly sweeper: Sweeper;
  readonly log: Logger;
  readonly onChange: () => void;
}

/** With what the configuration asks for: the sessions' stream, the routes, or neither. */
export async function openCluster(config: AgentConfig, parts: ClusterParts): Promise<ClusterNode> {
  const { controller, node, sweeper, tracker, ...rest } = parts;
  return new ClusterNode({
    ...rest,
    config,
    sync: null,
    announcer: null,
    lifeFile: new LifeFile(config.stateDirectory),
    flowKeyDigest: flowKeyDigest(node),
    clock: systemClock,
    current: () => controller.current(),
    compiled: () => controller.compiled,
    dataPlaneFault: () => dataPlaneFault(node, tracker),
    sessions: () => {
      const { byState } = sweeper.counts ?? { byState: new Uint32Array() };
      return byState.reduce((sum, count) => sum + count, 0);
    },
    traffic: () => trafficOf(parts),
  });
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
