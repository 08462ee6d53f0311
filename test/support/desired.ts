/** Small desired states and observations, written as a test thinks of them. */
import { familyOf, type Ip } from '../../src/base/ip.js';
import type { Observed } from '../../src/compile/compiled.js';
import {
  type Backend,
  type BackendGroup,
  type Desired,
  type HealthCheck,
  type Listener,
  type LoadBalancer,
  noLimits,
  plainAnnouncement,
} from '../../src/config/desired.js';
import type { CheckTarget, HealthState } from '../../src/health/types.js';
import type { NextHop, WayOut } from '../../src/netlink/types.js';

export const tcpCheck: HealthCheck = {
  probe: { kind: 'tcp' },
  port: 0,
  intervalMs: 2000,
  timeoutMs: 1000,
  rise: 3,
  fall: 3,
  target: 'VIP',
};

export function listener(fields: Partial<Listener> & Pick<Listener, 'port' | 'backendGroup'>): Listener {
  return {
    name: `${fields.protocol ?? 'tcp'}-${fields.port}`,
    protocol: 'tcp',
    scheduler: 'TCH',
    sessionTimeoutMs: 900_000,
    healthCheck: null,
    allUnhealthy: 'FAIL_OPEN',
    stopped: false,
    description: '',
    sourcePersistenceMs: 0,
    accessControl: null,
    limits: noLimits,
    quic: [],
    slowStartMs: 0,
    locality: null,
    ...fields,
  };
}

export function loadBalancer(
  name: string,
  addresses: readonly Ip[],
  listeners: readonly Listener[],
  fields: Partial<LoadBalancer> = {},
): LoadBalancer {
  return {
    name,
    addresses,
    listeners,
    description: '',
    labels: {},
    addressRequest: null,
    limits: noLimits,
    maxSegmentSize: 0,
    primaryZone: '',
    secondaryZone: '',
    announcement: plainAnnouncement,
    ...fields,
  };
}

export function backend(name: string, address: Ip, weight = 100): Backend {
  return { name, address, family: familyOf(address), port: 0, weight, zone: '', quicServerId: new Uint8Array() };
}

export function group(
  name: string,
  forwarding: BackendGroup['forwarding'],
  backends: readonly Backend[],
  fields: Partial<BackendGroup> = {},
): BackendGroup {
  return { name, forwarding, backends, description: '', tunnelPort: 6080, portMapping: false, ...fields };
}

export function desiredOf(
  loadBalancers: readonly LoadBalancer[],
  backendGroups: readonly BackendGroup[],
  rest: Partial<Pick<Desired, 'accessLists' | 'addressPools'>> = {},
): Desired {
  return { loadBalancers, backendGroups, accessLists: [], addressPools: [], ...rest };
}

/** Outer source addresses of next hops that `seen` resolves. */
export const lbAddress4 = '203.0.113.11';
export const lbAddress6 = '2001:db8:200::11';

/** The MAC that `seen` gives an address: its last byte or group, so that a failure names the backend. */
export function macOf(address: Ip): string {
  const last =
    familyOf(address) === 4 ? Number(address.split('.').at(-1)) : Number.parseInt(address.split(':').at(-1)!, 16);
  const [high, low] = [last >> 8, last & 0xff].map((byte) => byte.toString(16).padStart(2, '0'));
  return `02:00:00:be:${high}:${low}`;
}

/** What next hops are steered out of by `resolved`; a test run's packets come in by interface 1. */
export const waysOut: ReadonlyMap<string, WayOut> = new Map(
  (
    [
      { device: 'eth1', ports: [11], mac: '02:00:00:00:01:11', vlan: 0 },
      { device: 'eth0.20', ports: [1], mac: '02:00:00:00:00:11', vlan: 20 },
      { device: 'eth1.30', ports: [11], mac: '02:00:00:00:01:11', vlan: 30 },
      { device: 'bond0', ports: [12, 1], mac: '02:00:00:00:02:11', vlan: 0 },
      { device: 'bond1.4094', ports: [13, 14, 15], mac: '02:00:00:00:03:11', vlan: 4094 },
    ] satisfies WayOut[]
  ).map((way) => [way.device, way]),
);

/** `device`: one of waysOut to be steered out of; else packets go back by the way that they came. */
export function resolved(address: Ip, mtu = 1500, device = 'eth0'): NextHop {
  const source = familyOf(address) === 4 ? lbAddress4 : lbAddress6;
  const way = waysOut.get(device);
  return {
    state: 'resolved',
    mac: macOf(address),
    ifindex: 2,
    device,
    vlan: way?.vlan ?? 0,
    steered: way !== undefined,
    mtu,
    source,
    via: address,
  };
}

export interface World {
  /** Bytes of IP packet on the way to each backend; 1500. */
  readonly mtu?: number;
  /** Backends by name. */
  readonly unhealthy?: readonly string[];
  readonly unresolved?: readonly string[];
  /** Of waysOut: what each backend is reached by. */
  readonly devices?: Readonly<Record<string, string>>;
}

/** What is seen of a desired state's backends: all resolved and healthy but for those named. */
export function seen(desired: Desired, world: World = {}): Observed {
  const backends = desired.backendGroups.flatMap(({ backends: members }) => members);
  const nextHops = new Map<Ip, NextHop>();
  for (const { name, address } of backends) {
    const lost = world.unresolved?.includes(name) ?? false;
    nextHops.set(
      address,
      lost ? { state: 'unresolved', reason: 'no route' } : resolved(address, world.mtu, world.devices?.[name]),
    );
  }
  return { nextHops, waysOut, health: new HealthByName(new Set(world.unhealthy)) };
}

/** Health by the backend's name, which is the second to last part of a CheckTarget's key. */
class HealthByName extends Map<CheckTarget['key'], HealthState> {
  constructor(private readonly unhealthy: ReadonlySet<string>) {
    super();
  }

  override get(key: string): HealthState {
    return this.unhealthy.has(key.split('/').at(-2) ?? '') ? 'unhealthy' : 'healthy';
  }
}
