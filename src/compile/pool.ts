import { BackendFlags, type Backend as BackendRow, Forwarding } from '../abi/abi.generated.js';
import { familyOf } from '../base/ip.js';
import type { Backend, BackendGroup, HealthCheck, Listener, Locality } from '../config/desired.js';
import type { CheckTarget, HealthState } from '../health/types.js';
import type { NextHop } from '../netlink/types.js';
import type { CompiledBackend, CompiledPool, Observed } from './compiled.js';
import { egressIdentity } from './egress.js';
import { identityOf, rememberedIdentity } from './identity.js';
import type { IdLedger } from './ids.js';
import { type Preference, percentOf, preferenceOf } from './locality.js';
import { sharedAddress, sharedMac } from './shared-bytes.js';
import type { SlotOrder } from './slots.js';
import { type Ramp, rampOf, weightScale } from './slow-start.js';
import type { PoolMember, PoolRow } from './tables.js';

/**
 * One group with one way of judging its backends and of choosing among them; listeners with the same of all share it,
 * and its table.
 */
export interface PoolSpec {
  readonly key: string;
  readonly group: BackendGroup;
  /** Port resolved; null: no check. */
  readonly check: HealthCheck | null;
  readonly allUnhealthy: Listener['allUnhealthy'];
  /** Where probes to the VIP go. */
  readonly vip4: string | null;
  readonly vip6: string | null;
  readonly order: SlotOrder;
  /** Scheduler RR: whoever has a weight has the same. */
  readonly equalWeights: boolean;
  /** 0: off. */
  readonly slowStartMs: number;
  readonly locality: Locality | null;
}

const PROBE_MARK = 0x5357_0000;
const unresolved: NextHop = { state: 'unresolved', reason: 'not yet looked up' };
const noBytes = new Uint8Array(16);

interface Candidate {
  readonly backend: Backend;
  readonly id: number;
  readonly identity: bigint;
  readonly checkKey: string;
  readonly health: HealthState | 'unchecked';
  readonly ownHealth: HealthState | 'unchecked';
  readonly nextHop: NextHop;
  /** 0: packets go back by the way that they came. */
  readonly egress: number;
  /** Nothing stands against traffic but perhaps its health. */
  readonly reachable: boolean;
  readonly ramp: Ramp;
}

export function compilePool(
  spec: PoolSpec,
  observed: Observed,
  { ids, zone }: { ids: IdLedger; zone: string },
): CompiledPool {
  const identity = rememberedIdentity('pool', spec.key);
  const id = ids.pools.assign(identity);
  const candidates = spec.group.backends.map((backend) => candidateOf(spec, backend, observed, ids));
  const usable = candidates.filter(({ backend, reachable }) => reachable && backend.weight > 0);
  const healthy = usable.filter(({ health }) => health === 'healthy' || health === 'unchecked');
  const failingOpen = healthy.length === 0 && usable.length > 0 && spec.allUnhealthy === 'FAIL_OPEN';
  const preference = failingOpen ? null : preferredZone(spec, zone, { candidates, healthy });
  const members = membersOf(spec, failingOpen ? usable : healthy, preference);
  const recipe = recipeOf({ order: spec.order, members });
  const backends = candidates.map((candidate) =>
    backendOf(spec, id, { ...candidate, percent: percentOf(preference, candidate.backend) }, failingOpen),
  );
  const pool: CompiledPool = {
    id,
    key: spec.key,
    group: spec.group,
    backends,
    byId: new Map(backends.map((backend) => [backend.id, backend])),
    checks: candidates.flatMap((candidate) => checkOf(spec, candidate) ?? []),
    row: { identity, recipe, order: spec.order, members, placed: null },
    failingOpen,
    nextChangeMs: nextChange(candidates),
    healthyCount: candidates.filter(({ health }) => health === 'healthy' || health === 'unchecked').length,
    zone,
    preference,
    devices: devicesOf(candidates),
  };
  specs.set(pool, spec);
  return pool;
}

function preferredZone(
  { locality, equalWeights }: PoolSpec,
  zone: string,
  { candidates, healthy }: { candidates: readonly Candidate[]; healthy: readonly Candidate[] },
): Preference | null {
  if (locality === null) return null;
  const fit = new Set(healthy);
  return preferenceOf(
    locality,
    zone,
    candidates.map((candidate) => ({
      backend: candidate.backend,
      weight: equalWeights ? Math.min(1, candidate.backend.weight) : candidate.backend.weight,
      parts: candidate.ramp.parts,
      fit: fit.has(candidate),
    })),
  );
}

/** Whole weights, in parts only while one of them is a part. */
function membersOf(
  { equalWeights }: PoolSpec,
  chosen: readonly Candidate[],
  preference: Preference | null,
): PoolMember[] {
  const members = chosen.filter(({ backend }) => percentOf(preference, backend) > 0);
  const ramping = members.some(({ ramp }) => ramp.parts < weightScale);
  const shared = members.some(({ backend }) => percentOf(preference, backend) < 100);
  return members.map(({ id, backend, ramp }) => ({
    backend: id,
    seed: `${backend.name}\0${backend.address}`,
    weight:
      (equalWeights ? 1 : backend.weight) * (ramping ? ramp.parts : 1) * (shared ? percentOf(preference, backend) : 1),
  }));
}

/** Where slots name each member once, weights are the backends' own affair. */
function recipeOf({ order, members }: Pick<PoolRow, 'order' | 'members'>): bigint {
  const parts = members.map(({ backend, seed, weight }) => `${backend}:${seed}:${order === 'members' ? '' : weight}`);
  return identityOf('recipe', order, ...parts);
}

function nextChange(candidates: readonly Candidate[]): number | null {
  const changes = candidates.flatMap(({ ramp }) => ramp.nextChangeMs ?? []);
  return changes.length > 0 ? Math.min(...changes) : null;
}

function devicesOf(candidates: readonly Candidate[]): readonly string[] {
  const devices = new Set<string>();
  for (const { nextHop } of candidates) if (isSteered(nextHop)) devices.add(nextHop.device);
  return [...devices];
}

const specs = new WeakMap<CompiledPool, PoolSpec>();

/** What a pool was compiled from. */
export function specOf(pool: CompiledPool): PoolSpec {
  return specs.get(pool)!;
}

function checkKeyOf({ key }: PoolSpec, { name, address }: Backend): string {
  return `${key}/${name}/${address}`;
}

/** Of the backend that a CheckTarget's key names. */
export function addressOfCheck(checkKey: string): string {
  return checkKey.slice(checkKey.lastIndexOf('/') + 1);
}

function candidateOf(spec: PoolSpec, backend: Backend, observed: Observed, ids: IdLedger): Candidate {
  const checkKey = checkKeyOf(spec, backend);
  const identity = rememberedIdentity('backend', checkKey);
  const nextHop = nextHopOf(spec, backend, observed);
  return {
    backend,
    identity,
    id: ids.backends.assign(identity),
    checkKey,
    health: spec.check ? (observed.health.get(checkKey) ?? 'unknown') : 'unchecked',
    ownHealth: spec.check ? ((observed.ownHealth ?? observed.health).get(checkKey) ?? 'unknown') : 'unchecked',
    nextHop,
    egress: isSteered(nextHop) ? ids.egresses.assign(egressIdentity(nextHop.device)) : 0,
    reachable: nextHop.state === 'resolved',
    ramp: rampOf(checkKey, spec.slowStartMs, observed),
  };
}

/** A gateway would route the packet to its VIP, which is here: round and round. */
function nextHopOf({ group: { forwarding } }: PoolSpec, { address }: Backend, { nextHops }: Observed): NextHop {
  const nextHop = nextHops.get(address) ?? unresolved;
  if (forwarding !== 'L2_DSR' || nextHop.state === 'unresolved' || nextHop.via === address) return nextHop;
  const reason =
    `L2_DSR wants ${address} on a network of this host, and the route to it leads through ${nextHop.via}: ` +
    'correct the route, or forward by IPIP or GUE';
  return { state: 'unresolved', reason };
}

type Resolved = Extract<NextHop, { state: 'resolved' }>;

function isSteered(nextHop: NextHop): nextHop is Resolved {
  return nextHop.state === 'resolved' && nextHop.steered;
}

/** And what of its weight the zones leave it. */
type Shared = Candidate & { readonly percent: number };

function backendOf(spec: PoolSpec, pool: number, candidate: Shared, failingOpen: boolean): CompiledBackend {
  const { backend, health, nextHop, reachable } = candidate;
  const judgedFit = health === 'healthy' || health === 'unchecked' || failingOpen;
  const up = reachable && judgedFit;
  return {
    id: candidate.id,
    pool,
    group: spec.group.name,
    backend,
    checkKey: candidate.checkKey,
    health,
    ownHealth: candidate.ownHealth,
    up,
    effectiveWeight: (backend.weight * candidate.ramp.parts * candidate.percent) / (weightScale * 100),
    problem: nextHop.state === 'unresolved' ? `no next hop: ${nextHop.reason}` : '',
    nextHopMac: nextHop.state === 'resolved' ? nextHop.mac : '',
    device: nextHop.state === 'resolved' ? nextHop.device : '',
    vlan: nextHop.state === 'resolved' ? nextHop.vlan : 0,
    row: backendRow(spec, candidate, { pool, up }),
  };
}

function backendRow(
  spec: PoolSpec,
  { backend, egress, ownHealth, identity, nextHop, ramp, percent }: Shared,
  { pool, up }: { pool: number; up: boolean },
): BackendRow {
  const { mode, outerBytes, protocol } = outerOf(spec.group, backend);
  const tunnel = outerBytes > 0;
  const resolved = nextHop.state === 'resolved';
  const address = sharedAddress(backend.address);
  const source = resolved && tunnel ? sharedAddress(nextHop.source) : noBytes;
  return {
    nextHop: sharedMac(resolved ? nextHop.mac : ''),
    forwarding: mode,
    flags:
      BackendFlags.BACKEND_IN_USE |
      (up ? BackendFlags.BACKEND_UP : 0) |
      (ownHealth === 'healthy' ? BackendFlags.BACKEND_HEALTHY : 0) |
      (ownHealth === 'healthy' || ownHealth === 'unhealthy' ? BackendFlags.BACKEND_CHECKED : 0) |
      (backend.weight === 0 ? BackendFlags.BACKEND_DRAINING : 0) |
      (egress === 0 ? 0 : BackendFlags.BACKEND_STEERED),
    outerSum: tunnel && backend.family === 4 ? outerSum(source, address, protocol) : 0,
    egress,
    tunnelPort: spec.group.forwarding === 'GUE' ? spec.group.tunnelPort : 0,
    outerBytes,
    // Compared only where its pool's table has it, and then it is not 0.
    weight: Math.ceil((backend.weight * ramp.parts * percent) / 100),
    identity,
    address,
    source,
    // As large as an IP packet can be; a loopback interface says more.
    mtu: resolved ? Math.min(0xffff, nextHop.mtu) : 0,
    pool,
  };
}

const UDP_BYTES = 8;

/** How packets of either family are wrapped on their way to this backend. */
function outerOf(
  { forwarding }: BackendGroup,
  { family }: Backend,
): { mode: (typeof Forwarding)[keyof typeof Forwarding]; outerBytes: number; protocol: number } {
  const ipBytes = family === 4 ? 20 : 40;
  switch (forwarding) {
    case 'L2_DSR':
      return { mode: Forwarding.FORWARD_L2_DSR, outerBytes: 0, protocol: 0 };
    case 'IPIP':
      return {
        mode: family === 4 ? Forwarding.FORWARD_IPIP4 : Forwarding.FORWARD_IPIP6,
        outerBytes: ipBytes,
        protocol: 4,
      };
    case 'GUE':
      return {
        mode: family === 4 ? Forwarding.FORWARD_GUE4 : Forwarding.FORWARD_GUE6,
        outerBytes: ipBytes + UDP_BYTES,
        protocol: 17,
      };
  }
}

/** Little-endian sum of the outer IPv4 header's words that never change: see put_outer4 in bpf/encap.h. */
export function outerSum(source: Uint8Array, destination: Uint8Array, protocol: number): number {
  const header = new DataView(new ArrayBuffer(20));
  header.setUint8(0, 0x45);
  header.setUint16(6, 0x4000);
  header.setUint8(8, 64);
  header.setUint8(9, protocol);
  new Uint8Array(header.buffer).set(source.subarray(12, 16), 12);
  new Uint8Array(header.buffer).set(destination.subarray(12, 16), 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.getUint16(at, true);
  return sum;
}

function checkOf(spec: PoolSpec, { backend, checkKey, id }: Candidate): CheckTarget | null {
  if (!spec.check) return null;
  const vip = probeVip(spec, backend);
  const toVip = spec.check.target === 'VIP' && vip !== null;
  return {
    key: checkKey,
    check: spec.check,
    address: toVip ? vip : backend.address,
    port: spec.check.port,
    mark: toVip ? (PROBE_MARK | id) >>> 0 : 0,
  };
}

/** Every way carries either family; the backend's own is tried first. */
function probeVip(spec: PoolSpec, backend: Backend): string | null {
  const own = familyOf(backend.address) === 4 ? spec.vip4 : spec.vip6;
  return own ?? spec.vip4 ?? spec.vip6;
}
