import type { MeteringState, Owners, Reading, VipOwner } from './state.js';
import { type Count, HOUR_MS, hourOf, type MeteringRecord, noCount, noUsage, type Usage } from './types.js';

/** Pure steps from one state to the next. */

export interface Sample {
  readonly atMs: number;
  /** Since the sample before, by a clock that never jumps; null: the agent has just started. */
  readonly elapsedMs: number | null;
  readonly generation: string;
  /** Highest service number that may be in use. */
  readonly highest: number;
  readonly count: (service: number) => Count;
}

/** Late reports of a VIP that is gone still find its LoadBalancer for so long. */
const GONE_VIP_MS = HOUR_MS;

/**
 * Without a checkpoint to go on from: what the counters say now was counted by somebody, or by nobody, but not by us.
 */
export function begin({ atMs, generation, highest, count }: Omit<Sample, 'elapsedMs'>): MeteringState {
  const services = new Map<number, Reading>();
  for (let id = 1; id <= highest; id++) {
    const now = count(id);
    if (!isZero(now)) services.set(id, { ...noCount, ...pick(now), owner: null });
  }
  return {
    generation,
    hourMs: hourOf(atMs),
    services,
    usage: new Map(),
    finished: [],
    vips: new Map(),
    reporters: new Map(),
    ownerless: noCount,
  };
}

/**
 * What flowed since the sample before, and the hours that ended meanwhile. While the agent runs, it belongs to the hour
 * of the sample before (samples are seconds apart, and one is taken when an hour ends); what flowed while no agent
 * ran belongs to the hour in which it was found.
 */
export function sample(state: MeteringState, now: Sample): MeteringState {
  const { atMs, elapsedMs } = now;
  const [old, hourMs] = [state.hourMs, hourOf(atMs)];
  if (elapsedMs === null) return read(turn(state, hourMs), now);
  const before = Math.min(Math.max(old + HOUR_MS - (atMs - elapsedMs), 0), elapsedMs);
  const counted = read(state, now);
  if (hourMs === old) return pass(counted, elapsedMs);
  return pass(turn(pass(counted, before), hourMs), elapsedMs - before);
}

/** Every reading as it is now; the difference to its owner. Tens of thousands of them must not stop the event loop. */
function read(state: MeteringState, { generation, highest, count }: Sample): MeteringState {
  const services = new Map<number, Reading>(generation === state.generation ? state.services : []);
  const grown = new Map<string | null, { packets: bigint; bytes: bigint; sessions: bigint }>();
  for (const [id, before] of services) {
    if (id > highest) continue;
    const { packets, bytes, sessions } = count(id);
    if (packets === before.packets && bytes === before.bytes) continue;
    services.set(id, { packets, bytes, sessions, owner: before.owner });
    // Counters that went back were made anew behind our back: what they say is since then.
    const from = packets < before.packets || bytes < before.bytes ? noCount : before;
    const sum = grown.get(before.owner) ?? { packets: 0n, bytes: 0n, sessions: 0n };
    sum.packets += packets - from.packets;
    sum.bytes += bytes - from.bytes;
    sum.sessions += sessions - from.sessions;
    grown.set(before.owner, sum);
  }
  const usage = new Map(state.usage);
  let { ownerless } = state;
  for (const [owner, { packets, bytes, sessions }] of grown) {
    if (owner === null) ownerless = plus(ownerless, { packets, bytes, sessions });
    else add(usage, owner, { packetsIn: packets, bytesIn: bytes, newSessions: sessions });
  }
  return { ...state, generation, services, usage, ownerless };
}

/** So long everybody in force was metered. */
function pass(state: MeteringState, ms: number): MeteringState {
  if (ms <= 0) return state;
  const usage = new Map(state.usage);
  for (const name of inForce(state)) add(usage, name, { meteredMs: ms });
  return { ...state, usage };
}

function inForce({ vips }: MeteringState): ReadonlySet<string> {
  return new Set(
    [...vips.values()].filter(({ goneAtMs }) => goneAtMs === null).map(({ loadBalancer }) => loadBalancer),
  );
}

/** Another hour: what was counted is finished. */
function turn(state: MeteringState, hourMs: number): MeteringState {
  if (hourMs === state.hourMs) return state;
  return { ...state, hourMs, usage: new Map(), finished: [...state.finished, ...recordsOf(state)] };
}

/** Of the hour under way. */
export function recordsOf({ usage, hourMs }: MeteringState): readonly MeteringRecord[] {
  return [...usage].map(([loadBalancer, one]) => ({ loadBalancer, hourMs, ...one }));
}

/** From now on these count for these. To be called with the state as it was sampled when that began. */
export function own(state: MeteringState, owners: Owners, atMs: number): MeteringState {
  const services = new Map(state.services);
  for (const [id, owner] of owners.services) services.set(id, { ...(services.get(id) ?? noCount), owner });
  const vips = new Map<string, VipOwner>();
  for (const [vip, known] of state.vips) {
    if (owners.vips.has(vip)) continue;
    const goneAtMs = known.goneAtMs ?? atMs;
    if (Math.abs(atMs - goneAtMs) < GONE_VIP_MS) vips.set(vip, { ...known, goneAtMs });
  }
  for (const [vip, loadBalancer] of owners.vips) {
    const known = state.vips.get(vip);
    const counts =
      known?.loadBalancer === loadBalancer ? known : { packetsIn: 0n, bytesIn: 0n, packetsOut: 0n, bytesOut: 0n };
    vips.set(vip, { ...counts, vip, loadBalancer, goneAtMs: null });
  }
  return { ...state, services, vips };
}

/**
 * At start, of a state from a checkpoint: numbers that the kernel's tables do not know and that nobody owned counted
 * for an apply that did not come to pass. Whoever is given such a number must not inherit that.
 */
export function disown(
  state: MeteringState,
  { highest, count, known }: Pick<Sample, 'highest' | 'count'> & { known: (service: number) => boolean },
): MeteringState {
  const services = new Map(state.services);
  let { ownerless } = state;
  for (let id = 1; id <= highest; id++) {
    const now = pick(count(id));
    if (services.has(id) || known(id) || isZero(now)) continue;
    services.set(id, { ...now, owner: null });
    ownerless = plus(ownerless, now);
  }
  return { ...state, services, ownerless };
}

/** The counters of these numbers are zero now. */
export function renewed(state: MeteringState, ids: readonly number[]): MeteringState {
  const services = new Map(state.services);
  for (const id of ids) services.delete(id);
  return { ...state, services };
}

/** Live sessions by service number: the highest sum of a LoadBalancer counts. */
export function peak(state: MeteringState, sessions: ArrayLike<number>): MeteringState {
  const sums = new Map<string, number>();
  for (const [id, { owner }] of state.services) {
    if (owner !== null && sessions[id]) sums.set(owner, (sums.get(owner) ?? 0) + sessions[id]);
  }
  const usage = new Map(state.usage);
  for (const [name, sum] of sums) {
    const before = usage.get(name) ?? noUsage;
    if (sum > before.peakSessions) usage.set(name, { ...before, peakSessions: sum });
  }
  return { ...state, usage };
}

export function add(usage: Map<string, Usage>, name: string, more: Partial<Usage>): void {
  const before = usage.get(name) ?? noUsage;
  usage.set(name, {
    packetsIn: before.packetsIn + (more.packetsIn ?? 0n),
    bytesIn: before.bytesIn + (more.bytesIn ?? 0n),
    packetsOut: before.packetsOut + (more.packetsOut ?? 0n),
    bytesOut: before.bytesOut + (more.bytesOut ?? 0n),
    newSessions: before.newSessions + (more.newSessions ?? 0n),
    peakSessions: Math.max(before.peakSessions, more.peakSessions ?? 0),
    meteredMs: before.meteredMs + (more.meteredMs ?? 0),
  });
}

const pick = ({ packets, bytes, sessions }: Count): Count => ({ packets, bytes, sessions });
const isZero = ({ packets, bytes, sessions }: Count): boolean => packets === 0n && bytes === 0n && sessions === 0n;

function plus(a: Count, b: Count): Count {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes, sessions: a.sessions + b.sessions };
}
