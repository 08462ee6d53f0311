import type { Ip } from '../base/ip.js';
import type { LoadBalancer } from '../config/desired.js';
import type { LifeState } from './life.js';
import type { Peer, VipRoute } from './types.js';

/** What is true of one VIP on this node. */
export interface VipTruth {
  readonly vip: Ip;
  readonly loadBalancer: LoadBalancer;
  /** Healthy (or unchecked) backends that can be reached, of the listener that has most; null: it has no listener that serves. */
  readonly healthyBackends: number | null;
  /** With those that nobody has checked yet, of the listener that then has most. */
  readonly hopefulBackends: number;
}

export interface AnnounceInput {
  readonly vips: readonly VipTruth[];
  readonly life: LifeState;
  /** Why the data plane does not take all traffic, in words; empty: it does. */
  readonly dataPlaneFault: string;
  /** This node's; empty: none. */
  readonly zone: string;
  readonly peers: readonly Peer[];
  /** This node alone sees backends down. */
  readonly suspect: boolean;
  readonly suspectWithdraws: boolean;
  readonly holdDownMs: number;
  /** Announced until now, be it by the agent before: not withdrawn for checks that are new and have said nothing yet. */
  readonly standing: ReadonlySet<Ip>;
  /** On the clock of life's events. */
  readonly nowMs: number;
}

export interface Announcement {
  readonly routes: readonly VipRoute[];
  /** When time alone changes it next; null: never. */
  readonly wakeAtMs: number | null;
}

/** Which VIPs this node announces, and why not the others. */
export function announcement(input: AnnounceInput): Announcement {
  let wakeAtMs: number | null = null;
  const routes = input.vips.map((truth): VipRoute => {
    const { vip, loadBalancer } = truth;
    const preference = preferenceOf(loadBalancer, input.zone);
    let reason = reasonAgainst(truth, input);
    const heldUntilMs = reason === '' ? heldUntil(loadBalancer, input) : null;
    if (heldUntilMs !== null) {
      wakeAtMs = Math.min(wakeAtMs ?? heldUntilMs, heldUntilMs);
      reason = `zone ${input.zone} was gone whole: waits zones.holdDown, while zone ${loadBalancer.secondaryZone} serves`;
    }
    return {
      vip,
      loadBalancer: loadBalancer.name,
      announce: reason === '',
      preference: preference ?? 'primary',
      reason,
    };
  });
  return { routes, wakeAtMs };
}

/** null: this node's zone does not announce it. */
function preferenceOf({ primaryZone, secondaryZone }: LoadBalancer, zone: string): VipRoute['preference'] | null {
  if (primaryZone === '' || primaryZone === zone) return 'primary';
  return secondaryZone !== '' && secondaryZone === zone ? 'secondary' : null;
}

/** Empty: nothing stands against it. */
function reasonAgainst(truth: VipTruth, input: AnnounceInput): string {
  const { vip, loadBalancer, healthyBackends } = truth;
  const { life, zone } = input;
  if (life.life === 'draining' || life.life === 'stopped')
    return 'the node is drained: "spillway node activate" ends it';
  if (life.life === 'joining' && !(life.takesOver && input.standing.has(vip))) {
    return 'the node joins: sessions are fetched first';
  }
  if (input.dataPlaneFault !== '') return input.dataPlaneFault;
  if (preferenceOf(loadBalancer, zone) === null) return outsideZones(loadBalancer, zone);
  const { minimumHealthyBackends: least, keepWhenEmpty } = loadBalancer.announcement;
  if (healthyBackends === null) return 'no listener that is not stopped';
  const counted = input.standing.has(vip) ? truth.hopefulBackends : healthyBackends;
  if (counted < least && !keepWhenEmpty) {
    const have = healthyBackends === 0 ? 'no healthy backend' : `${healthyBackends} healthy`;
    return `${have} on any listener, ${least} needed (announcement.minimumHealthyBackends)`;
  }
  if (input.suspect && input.suspectWithdraws && input.peers.some((peer) => serves(peer, loadBalancer))) {
    return 'this node alone sees many backends down, and another node announces: see to its network';
  }
  return '';
}

function outsideZones({ primaryZone, secondaryZone }: LoadBalancer, zone: string): string {
  const wanted = secondaryZone === '' ? primaryZone : `${primaryZone} or ${secondaryZone}`;
  return zone === '' ? `for zone ${wanted}, and node.zone is not set` : `for zone ${wanted}, not ${zone}`;
}

function isServing(peer: Peer): boolean {
  return peer.alive && peer.life === 'active' && peer.announced > 0;
}

function serves(peer: Peer, loadBalancer: LoadBalancer): boolean {
  return isServing(peer) && !peer.suspect && preferenceOf(loadBalancer, peer.zone) !== null;
}

/**
 * A zone that comes back whole takes the traffic once it has shown that it stays: switching costs nothing, switching to
 * and fro does. null: nothing to wait for.
 */
function heldUntil({ primaryZone, secondaryZone }: LoadBalancer, input: AnnounceInput): number | null {
  const { life, zone, peers, holdDownMs, nowMs } = input;
  if (!life.zoneWasGone || life.joinedAtMs === null) return null;
  if (primaryZone !== zone || zone === '' || secondaryZone === '') return null;
  const until = life.joinedAtMs + holdDownMs;
  if (nowMs >= until) return null;
  const secondaryServes = peers.some((peer) => isServing(peer) && peer.zone === secondaryZone);
  return secondaryServes ? until : null;
}

/** At the join: does nobody of this node's zone announce? */
export function zoneIsGone(zone: string, peers: readonly Peer[]): boolean {
  return zone !== '' && !peers.some((peer) => isServing(peer) && peer.zone === zone);
}
