import { BOND, ETH_P } from './kernel.js';
import type { Link } from './links.js';
import type { Port, WayOut } from './types.js';

/**
 * The ports behind the interfaces that the configuration names (a VLAN's parent, a bond's slaves, else the interface
 * itself), and by which of them, with which tag, frames leave by a device. Pure: from the links as they are now.
 */
export class Ports {
  /** In order of their index. */
  readonly all: readonly Port[];
  /** Own addresses: those of the interfaces that are named come first. */
  readonly macs: readonly string[];
  /** Names whose ports are not known: the interface, or what it lies on, does not exist. */
  readonly missing: readonly string[];
  /** Frames go back by the way that they came: there is one port, and no VLAN on it. */
  readonly #plain: boolean;
  readonly #names: readonly string[];
  readonly #links: ReadonlyMap<number, Link>;
  readonly #ways = new Map<number, WayOut | string>();

  constructor(names: readonly string[], links: Iterable<Link>) {
    this.#names = names;
    this.#links = new Map([...links].map((link) => [link.ifindex, link]));
    const named = names.map((name) => ({ name, link: this.#named(name) }));
    const serves = new Map<number, string[]>();
    for (const { name, link } of named) {
      for (const { ifindex } of link ? this.#below(link) : [])
        serves.set(ifindex, [...(serves.get(ifindex) ?? []), name]);
    }
    this.all = [...serves]
      .sort(([a], [b]) => a - b)
      .map(([index, list]) => {
        const { ifindex, name, mac, mtu, up } = this.#links.get(index)!;
        return { ifindex, name, mac, mtu, up, serves: list };
      });
    this.missing = named.filter(({ link }) => !link || this.#below(link).length === 0).map(({ name }) => name);
    const macs = [...named.map(({ link }) => link?.mac ?? ''), ...this.all.map(({ mac }) => mac)];
    this.macs = [...new Set(macs)].filter((mac) => mac !== '');
    this.#plain = this.all.length === 1 && !this.#carriesVlan(this.all[0]!.ifindex);
  }

  /** How frames leave by this device, or why they cannot. */
  wayOut(link: Link): WayOut | string {
    const known = this.#ways.get(link.ifindex);
    if (known !== undefined) return known;
    const way = this.#findWay(link);
    this.#ways.set(link.ifindex, way);
    return way;
  }

  /** Not just back by the port, and with the tags, that a packet came with. */
  isSteered({ vlan }: WayOut): boolean {
    return !this.#plain || vlan !== 0;
  }

  /** By device: all that frames can be steered out of. */
  waysOut(): ReadonlyMap<string, WayOut> {
    const ways = new Map<string, WayOut>();
    for (const link of this.#links.values()) {
      const way = this.wayOut(link);
      if (typeof way !== 'string' && this.isSteered(way)) ways.set(link.name, way);
    }
    return ways;
  }

  /** What an operator should mend at the interfaces that are named. */
  problems(): readonly string[] {
    return this.#names.flatMap((name) => this.#problem(name) ?? []);
  }

  #problem(name: string): string | null {
    const link = this.#named(name);
    if (!link) {
      return `interface ${name} does not exist: it is attached when it appears; create it, or correct the agent's interfaces`;
    }
    const odd = this.#oddVlan(link);
    if (odd !== null) return `interface ${odd}`;
    if (this.#base(link)?.bond && this.#below(link).length === 0) {
      return `bond ${this.#base(link)!.name} has no interface yet: those that it gets are attached when they appear`;
    }
    const dead = link.up ? this.#below(link).find(({ up }) => !up) : undefined;
    if (dead) return `interface ${dead.name} of bond ${this.#base(link)!.name} is down: check its cable or peer`;
    if (!link.up) return `interface ${name} is down: bring it up, and check its cable or peer`;
    const way = this.wayOut(link);
    return typeof way === 'string' ? `interface ${way}` : null;
  }

  #findWay(link: Link): WayOut | string {
    const base = this.#base(link);
    const odd = this.#oddVlan(link);
    if (odd !== null) return odd;
    if (base?.mac === '') return `${base.name} has no Ethernet address: only Ethernet devices can forward`;
    if (!base) return `${link.name} is a VLAN of a device in another network namespace: name a device of this one`;
    const attached = new Set(this.all.map(({ ifindex }) => ifindex));
    const below = this.#below(link).filter(({ ifindex }) => attached.has(ifindex));
    if (below.length === 0) return this.#stranger(link);
    const ports = base.bond ? below.filter((slave) => maySend(slave, base)) : below;
    if (ports.length === 0)
      return `bond ${base.name} has no interface that may send: check their cables and the switch`;
    return { device: link.name, ports: ports.map(({ ifindex }) => ifindex), mac: link.mac, vlan: link.vlan?.id ?? 0 };
  }

  /** Why a device that is none of ours is of no use, and what would help. */
  #stranger({ name, type, vlan }: Link): string {
    const list = this.#names.join(', ') || 'none';
    if (type !== null && !ethernetTypes.has(type)) {
      return `${name} is a ${type} device, which XDP cannot send through: let the route leave by a network card, a VLAN or a bond (interfaces: ${list})`;
    }
    const what = vlan ? `${name}, a VLAN of what` : `${name}, which`;
    return `${what} is no interface of this agent (${list}): add ${name} to the agent's interfaces, or change the route`;
  }

  /** A VLAN that one 802.1Q tag does not make. */
  #oddVlan({ name, type, vlan, parent }: Link): string | null {
    if (type !== 'vlan') return null;
    if (!vlan) return `${name} is a VLAN whose number the kernel does not tell`;
    if (vlan.protocol !== ETH_P.VLAN_8021Q) return `${name} has 802.1ad tags: only VLANs of 802.1Q can be sent to`;
    const below = parent === null ? null : this.#links.get(parent);
    if (below?.type === 'vlan') return `${name} is a VLAN within VLAN ${below.name}: frames are sent with one tag only`;
    return null;
  }

  /** Of a VLAN its parent, else the device itself. */
  #base(link: Link): Link | null {
    if (link.type !== 'vlan') return link;
    return (link.parent === null ? undefined : this.#links.get(link.parent)) ?? null;
  }

  /** Where frames of this device are seen on their way. */
  #below(link: Link): readonly Link[] {
    const base = this.#oddVlan(link) === null ? this.#base(link) : null;
    if (!base) return [];
    if (!base.bond) return base.mac === '' ? [] : [base];
    return [...this.#links.values()].filter(({ master }) => master === base.ifindex);
  }

  #carriesVlan(port: number): boolean {
    const master = this.#links.get(port)?.master ?? null;
    for (const { type, parent } of this.#links.values()) {
      if (type === 'vlan' && parent !== null && (parent === port || parent === master)) return true;
    }
    return false;
  }

  #named(name: string): Link | null {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return null;
  }
}

/** Types of link that are Ethernet ports of their own; a network card has none. */
const ethernetTypes = new Set(['veth', 'tun', 'dummy', 'vlan', 'bond', 'netkit', 'netdevsim']);

function maySend(slave: Link, { bond }: Link): boolean {
  if (!slave.up || !slave.slave?.linkUp) return false;
  switch (bond!.mode) {
    case BOND.MODE_ACTIVE_BACKUP:
    // These spread by address, each with a MAC of its own: the bond's is that of the active one.
    case BOND.MODE_TLB:
    case BOND.MODE_ALB:
      return slave.ifindex === bond!.activeSlave;
    default:
      return slave.slave.active;
  }
}
