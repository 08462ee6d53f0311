import type { Backend, Locality } from '../config/desired.js';
import { weightScale } from './slow-start.js';

/** How a node's zone is preferred in a pool just now. */
export interface Preference {
  readonly zone: string;
  /** Of the zone's backends that have a weight, those that take traffic. */
  readonly healthy: number;
  readonly total: number;
  /** Of its weight, what each backend of another zone has. */
  readonly otherPercent: number;
}

/** A backend, its weight (RR: 1), and how much of that it has by slow start; `fit`: it can be given new flows. */
export interface Weighed {
  readonly backend: Pick<Backend, 'zone'>;
  readonly weight: number;
  readonly parts: number;
  readonly fit: boolean;
}

/**
 * The own zone's fit backends keep their weights. What they have together, with slow start, is H; what is needed is
 * N = minimumHealthyPercent of the weights of all of the zone's backends. While H >= N the other zones' backends have
 * otherZonesWeightPercent of their weights; below, so much that together they have what is missing: N - H. So the own
 * zone's share of new flows is H / N there. No more than all of its weight: where the others have too little to make
 * up for what is missing, zones make no difference. Counted in whole percent of their weights, rounded up.
 *
 * null: zones make no difference, because the node has none or the zone has no backend with a weight.
 */
export function preferenceOf(
  { minimumHealthyPercent, otherZonesWeightPercent }: Locality,
  zone: string,
  weighed: readonly Weighed[],
): Preference | null {
  let [healthy, total, needed, has, others] = [0, 0, 0, 0, 0];
  for (const { backend, weight, parts, fit } of weighed) {
    if (weight === 0) continue;
    if (backend.zone !== zone) {
      if (fit) others += weight * parts;
      continue;
    }
    total++;
    needed += weight * weightScale * minimumHealthyPercent;
    if (!fit) continue;
    healthy++;
    has += weight * parts * 100;
  }
  if (zone === '' || total === 0) return null;
  return { zone, healthy, total, otherPercent: Math.max(otherZonesWeightPercent, missingPercent()) };

  function missingPercent(): number {
    if (has === 0) return 100;
    return others === 0 ? 0 : Math.min(100, Math.ceil(Math.max(0, needed - has) / others));
  }
}

/** Of its weight, what a backend has. */
export function percentOf(preference: Preference | null, { zone }: Pick<Backend, 'zone'>): number {
  return preference === null || zone === preference.zone ? 100 : preference.otherPercent;
}

/** "zone a prefers its own backends: 3 of 4 can take traffic, and take all" */
export function preferenceText(preference: Preference | null, nodeZone: string): string {
  if (nodeZone === '') return 'the listener prefers backends of the own zone, and this node has no zone: all are alike';
  if (preference === null) return `the listener prefers backends of zone ${nodeZone}, which has none: all are alike`;
  const { zone, healthy, total, otherPercent } = preference;
  const own = `zone ${zone} prefers its own backends: ${healthy} of ${total} healthy`;
  if (healthy === 0) return `${own}: those of other zones take all`;
  if (otherPercent === 0) return `${own}, and they take all`;
  return `${own}, those of other zones count with ${otherPercent} % of their weight`;
}
