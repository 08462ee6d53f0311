/** Messages as the kernel sends them, and a kernel that remembers what it was asked. */
import { endianness } from 'node:os';
import { familyOf, type Ip, ipToPlainBytes, parseMac } from '../../../src/base/ip.js';
import {
  AF_INET,
  AF_INET6,
  IFF,
  IFLA,
  IFLA_BOND,
  IFLA_BOND_SLAVE,
  IFLA_INFO,
  IFLA_VLAN,
  NDA,
  NLM_F,
  NLMSG,
  NUD,
  RTA,
  RTM,
  RTN,
} from '../../../src/netlink/kernel.js';
import type { Clock, NetlinkConnection, Timer } from '../../../src/netlink/port.js';
import {
  type Attribute,
  concat,
  readU16,
  readU32,
  splitDatagram,
  u16Payload,
  u32Payload,
  viewOf,
  writeMessage,
} from '../../../src/netlink/wire.js';

const LITTLE = endianness() === 'LE';
export const PORT = 4242;

export interface Envelope {
  readonly sequence?: number;
  readonly flags?: number;
  readonly port?: number;
}

export function message(
  type: number,
  fixed: Uint8Array,
  attributes: readonly Attribute[],
  envelope: Envelope = {},
): Uint8Array {
  const { sequence = 0, flags = 0, port = 0 } = envelope;
  const bytes = writeMessage({ type, flags, sequence }, fixed, attributes);
  viewOf(bytes).setUint32(12, port, LITTLE);
  return bytes;
}

function familyNumber(address: Ip): number {
  return familyOf(address) === 4 ? AF_INET : AF_INET6;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

export interface FakeLink {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: string | null;
  readonly mtu: number;
  readonly up: boolean;
  /** "vlan", "bond"...; a network card has none. */
  readonly type?: string;
  readonly master?: number;
  readonly parent?: number;
  /** The parent is in another namespace. */
  readonly foreignParent?: boolean;
  readonly vlan?: { readonly id: number; readonly protocol?: number };
  readonly bond?: { readonly mode: number; readonly activeSlave?: number };
  readonly slave?: { readonly active: boolean; readonly linkUp: boolean };
}

function nested(type: number, attributes: readonly Attribute[]): Attribute[] {
  if (attributes.length === 0) return [];
  return [
    { type, payload: writeMessage({ type: 0, flags: 0, sequence: 0 }, new Uint8Array(0), attributes).subarray(16) },
  ];
}

/** As rtnl_link_fill() writes it: of a VLAN or bond what it is, of a slave what its bond thinks of it. */
function linkInfo({ type, vlan, bond, slave }: FakeLink): Attribute[] {
  const data: Attribute[] = [];
  if (vlan) {
    data.push({ type: IFLA_VLAN.ID, payload: u16Payload(vlan.id) });
    const protocol = vlan.protocol ?? 0x8100;
    data.push({ type: IFLA_VLAN.PROTOCOL, payload: Uint8Array.of(protocol >> 8, protocol & 0xff) });
  }
  if (bond) {
    data.push({ type: IFLA_BOND.MODE, payload: Uint8Array.of(bond.mode) });
    if (bond.activeSlave) data.push({ type: IFLA_BOND.ACTIVE_SLAVE, payload: u32Payload(bond.activeSlave) });
  }
  const state = slave && [
    { type: IFLA_BOND_SLAVE.STATE, payload: Uint8Array.of(slave.active ? 0 : 1) },
    { type: IFLA_BOND_SLAVE.MII_STATUS, payload: Uint8Array.of(slave.linkUp ? 0 : 2) },
  ];
  return nested(IFLA.LINKINFO, [
    ...(type ? [{ type: IFLA_INFO.KIND, payload: text(type) }] : []),
    ...nested(IFLA_INFO.DATA, data),
    ...(state ? [{ type: IFLA_INFO.SLAVE_KIND, payload: text('bond') }] : []),
    ...(state ? nested(IFLA_INFO.SLAVE_DATA, state) : []),
  ]);
}

export function linkMessage(link: FakeLink, envelope: Envelope & { readonly removed?: boolean } = {}): Uint8Array {
  const fixed = new Uint8Array(16);
  viewOf(fixed).setInt32(4, link.ifindex, LITTLE);
  viewOf(fixed).setUint32(8, link.up ? IFF.UP | IFF.LOWER_UP : 0, LITTLE);
  const attributes: Attribute[] = [
    { type: IFLA.IFNAME, payload: text(link.name) },
    { type: IFLA.MTU, payload: u32Payload(link.mtu) },
    { type: 250, payload: Uint8Array.of(1, 2, 3) },
  ];
  if (link.mac !== null) attributes.push({ type: IFLA.ADDRESS, payload: parseMac(link.mac)! });
  if (link.master) attributes.push({ type: IFLA.MASTER, payload: u32Payload(link.master) });
  if (link.parent) attributes.push({ type: IFLA.LINK, payload: u32Payload(link.parent) });
  if (link.foreignParent) attributes.push({ type: IFLA.LINK_NETNSID, payload: u32Payload(0) });
  attributes.push(...linkInfo(link));
  return message(envelope.removed ? RTM.DELLINK : RTM.NEWLINK, fixed, attributes, envelope);
}

export interface FakeRoute {
  readonly destination: Ip;
  readonly prefixBits: number;
  readonly oif: number;
  readonly gateway?: Ip;
  readonly source?: Ip;
  readonly mtu?: number;
  readonly type?: number;
}

export function routeMessage(route: FakeRoute, envelope: Envelope & { readonly removed?: boolean } = {}): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = familyNumber(route.destination);
  fixed[1] = route.prefixBits;
  fixed[7] = route.type ?? RTN.UNICAST;
  const attributes: Attribute[] = [
    { type: RTA.DST, payload: ipToPlainBytes(route.destination) },
    { type: RTA.OIF, payload: u32Payload(route.oif) },
  ];
  if (route.gateway !== undefined && familyOf(route.gateway) === familyOf(route.destination)) {
    attributes.push({ type: RTA.GATEWAY, payload: ipToPlainBytes(route.gateway) });
  } else if (route.gateway !== undefined) {
    const family = new Uint8Array(2);
    viewOf(family).setUint16(0, familyNumber(route.gateway), LITTLE);
    attributes.push({ type: RTA.VIA, payload: concat([family, ipToPlainBytes(route.gateway)]) });
  }
  if (route.source !== undefined) attributes.push({ type: RTA.PREFSRC, payload: ipToPlainBytes(route.source) });
  if (route.mtu !== undefined) {
    const nested = new Uint8Array(8);
    viewOf(nested).setUint16(0, 8, LITTLE);
    viewOf(nested).setUint16(2, 2, LITTLE);
    nested.set(u32Payload(route.mtu), 4);
    attributes.push({ type: RTA.METRICS, payload: nested });
  }
  return message(envelope.removed ? RTM.DELROUTE : RTM.NEWROUTE, fixed, attributes, envelope);
}

export interface FakeNeighbour {
  readonly ifindex: number;
  readonly address: Ip;
  readonly mac: string | null;
  readonly state: number;
  readonly flags?: number;
  readonly extendedFlags?: number;
}

export function neighbourMessage(
  neighbour: FakeNeighbour,
  envelope: Envelope & { readonly removed?: boolean } = {},
): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = familyNumber(neighbour.address);
  viewOf(fixed).setInt32(4, neighbour.ifindex, LITTLE);
  viewOf(fixed).setUint16(8, neighbour.state, LITTLE);
  fixed[10] = neighbour.flags ?? 0;
  const attributes: Attribute[] = [{ type: NDA.DST, payload: ipToPlainBytes(neighbour.address) }];
  if (neighbour.mac !== null) attributes.push({ type: NDA.LLADDR, payload: parseMac(neighbour.mac)! });
  if (neighbour.extendedFlags) attributes.push({ type: NDA.FLAGS_EXT, payload: u32Payload(neighbour.extendedFlags) });
  return message(envelope.removed ? RTM.DELNEIGH : RTM.NEWNEIGH, fixed, attributes, envelope);
}

/** Extended acknowledgement, capped, as the socket option NETLINK_EXT_ACK gives it. */
export function errorMessage(errno: number, words: string | null, envelope: Envelope): Uint8Array {
  const fixed = new Uint8Array(20);
  viewOf(fixed).setInt32(0, -errno, LITTLE);
  const attributes = words === null ? [] : [{ type: 1, payload: text(words) }];
  const flags = NLM_F.CAPPED | (words === null ? 0 : NLM_F.ACK_TLVS);
  return message(NLMSG.ERROR, fixed, attributes, { ...envelope, flags });
}

/** Time that passes only when the test says so. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.action();
    }
    this.#nowMs = untilMs;
  }
}

/** Answers within send(), as the kernel does; its answers arrive when {@link deliver} is called. */
export class FakeKernel {
  readonly links: FakeLink[] = [];
  /** By address asked for; a number is an errno. */
  readonly routes = new Map<Ip, FakeRoute | number>();
  readonly neighbours = new Map<string, FakeNeighbour>();
  /** "manage 2 10.0.0.1", "use ...", "verify ...", "release ...", "route 10.0.0.9", "links", "neighbours" */
  readonly asked: string[] = [];
  /** Kernels before 5.16 do not know NDA_FLAGS_EXT. */
  knowsManaged = true;
  silent = false;
  /** So many dumps are marked as inconsistent. */
  interruptions = 0;
  groups: readonly number[] = [];
  #pending: Uint8Array[] = [];
  #onDatagram: (datagram: Uint8Array | null, overrun: boolean) => void = () => {};
  closed = false;

  /** A NetlinkPort of this kernel. */
  readonly port = portOf(this);

  open(groups: readonly number[], onDatagram: (datagram: Uint8Array | null, overrun: boolean) => void): void {
    this.groups = groups;
    this.#onDatagram = onDatagram;
  }

  send(messages: Uint8Array): void {
    if (this.silent) return;
    for (const { header, body } of splitDatagram(messages).messages) {
      const envelope = { sequence: header.sequence, port: PORT };
      const isDump = (header.flags & NLM_F.DUMP) === NLM_F.DUMP;
      const interrupted = isDump && this.interruptions-- > 0 ? NLM_F.DUMP_INTR : 0;
      const multi = { ...envelope, flags: NLM_F.MULTI | interrupted };
      if (header.type === RTM.GETLINK) {
        this.asked.push('links');
        this.notify(
          ...this.links.map((link) => linkMessage(link, multi)),
          message(NLMSG.DONE, new Uint8Array(4), [], multi),
        );
      } else if (header.type === RTM.GETNEIGH) {
        this.asked.push('neighbours');
        const all = [...this.neighbours.values()].map((neighbour) => neighbourMessage(neighbour, multi));
        this.notify(...all, message(NLMSG.DONE, new Uint8Array(4), [], multi));
      } else if (header.type === RTM.GETROUTE) {
        this.#route(body, envelope);
      } else if (header.type === RTM.NEWNEIGH) {
        this.#wish(body, envelope);
      }
    }
  }

  notify(...messages: readonly Uint8Array[]): void {
    this.#pending.push(...messages);
  }

  overrun(): void {
    this.#onDatagram(null, true);
  }

  /** Until nothing more is under way. */
  deliver(): void {
    while (this.#pending.length > 0) {
      const datagram = concat(this.#pending);
      this.#pending = [];
      this.#onDatagram(datagram, false);
    }
  }

  #route(body: Uint8Array, envelope: Envelope): void {
    const address = [...this.routes.keys()].find((ip) => endsWith(body, ipToPlainBytes(ip)));
    const answer = address === undefined ? 101 : this.routes.get(address)!;
    this.asked.push(`route ${address ?? '?'}`);
    if (typeof answer === 'number') this.notify(errorMessage(answer, null, envelope));
    else this.notify(routeMessage({ ...answer, destination: address! }, envelope));
  }

  #wish(body: Uint8Array, envelope: { readonly sequence: number; readonly port: number }): void {
    const family = body[0] === AF_INET ? 4 : 16;
    const destination = body.subarray(16, 16 + family);
    const address =
      family === 4
        ? destination.join('.')
        : [...this.routes.keys()].find((ip) => endsWith(destination, ipToPlainBytes(ip)))!;
    const ifindex = readU32(body, 4);
    const managed = body.length > 16 + family && this.knowsManaged;
    const state = readU16(body, 8);
    this.asked.push(`${wishName(body, managed)} ${ifindex} ${address}`);
    const key = `${ifindex} ${address}`;
    const before = this.neighbours.get(key) ?? { ifindex, address, mac: null, state: 1 };
    const after = {
      ...before,
      state: state || (before.state === NUD.FAILED ? NUD.INCOMPLETE : before.state),
      flags: body[10]! & 0x10,
      extendedFlags: managed ? 1 : 0,
    };
    this.neighbours.set(key, after);
    this.notify(neighbourMessage(after, { port: envelope.port }), errorMessage(0, null, envelope));
  }
}

function wishName(body: Uint8Array, managed: boolean): string {
  if (readU16(body, 8) !== 0) return 'verify';
  if (managed) return 'manage';
  return (body[10]! & 0x10) !== 0 ? 'use' : 'release';
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  return bytes.length >= end.length && end.every((byte, index) => bytes[bytes.length - end.length + index] === byte);
}

function portOf(kernel: FakeKernel) {
  return class implements NetlinkConnection {
    constructor(groups: readonly number[], onDatagram: (datagram: Uint8Array | null, overrun: boolean) => void) {
      kernel.open(groups, onDatagram);
    }
    send(messages: Uint8Array): void {
      kernel.send(messages);
    }
    close(): void {
      kernel.closed = true;
    }
  };
}
