import { formatMac } from '../base/ip.js';
import { BOND, ETH_P, IFF, IFLA, IFLA_BOND, IFLA_BOND_SLAVE, IFLA_INFO, IFLA_VLAN } from './kernel.js';
import {
  type Attributes,
  be16Attribute,
  nestedAttributes,
  readI32,
  readU32,
  textOf,
  u8Attribute,
  u16Attribute,
  u32Attribute,
} from './wire.js';

export interface LinkMessage {
  readonly kind: 'link';
  readonly removed: boolean;
  readonly ifindex: number;
  readonly name: string | null;
  /** Null for devices without a 6-byte address (tunnels). */
  readonly mac: string | null;
  readonly mtu: number | null;
  /** Administratively up, and the carrier is there. */
  readonly up: boolean;
  readonly loopback: boolean;
  /** "vlan", "bond", "bridge", "veth"...; null: a network card. */
  readonly type: string | null;
  /** The bridge or bond that it belongs to. */
  readonly master: number | null;
  /** The device that it lies on, where that is in this namespace. */
  readonly parent: number | null;
  readonly vlan: VlanFacts | null;
  readonly bond: BondFacts | null;
  readonly slave: SlaveFacts | null;
}

export interface VlanFacts {
  readonly id: number;
  /** 0x8100 (802.1Q) or 0x88a8 (802.1ad). */
  readonly protocol: number;
}

export interface BondFacts {
  readonly mode: number;
  /** Index; null in modes that have none, and while there is none. */
  readonly activeSlave: number | null;
}

/** What a bond thinks of one of its interfaces. */
export interface SlaveFacts {
  /** In use; with 802.3ad: of the aggregator in use, and collecting and distributing. */
  readonly active: boolean;
  /** Its own link monitoring finds it up. */
  readonly linkUp: boolean;
}

/** struct ifinfomsg */
export function decodeLink(
  removed: boolean,
  body: Uint8Array,
  attributes: Attributes,
): LinkMessage | { kind: 'other' } {
  // Bridge ports announce themselves a second time under AF_BRIDGE, with other attributes.
  if (body[0] !== 0) return { kind: 'other' };
  const flags = readU32(body, 8);
  const mac = attributes.get(IFLA.ADDRESS);
  const name = attributes.get(IFLA.IFNAME);
  const info = nestedAttributes(attributes, IFLA.LINKINFO) ?? new Map();
  const type = textAttribute(info, IFLA_INFO.KIND);
  const data = nestedAttributes(info, IFLA_INFO.DATA) ?? new Map();
  const isSlave = textAttribute(info, IFLA_INFO.SLAVE_KIND) === 'bond';
  return {
    kind: 'link',
    removed,
    ifindex: readI32(body, 4),
    name: name ? textOf(name) : null,
    mac: mac?.length === 6 ? formatMac(mac) : null,
    mtu: u32Attribute(attributes, IFLA.MTU),
    up: (flags & IFF.UP) !== 0 && (flags & IFF.LOWER_UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    type,
    master: u32Attribute(attributes, IFLA.MASTER),
    // With LINK_NETNSID the index is another namespace's.
    parent: attributes.has(IFLA.LINK_NETNSID) ? null : u32Attribute(attributes, IFLA.LINK),
    vlan: type === 'vlan' ? vlanFrom(data) : null,
    bond: type === 'bond' ? bondFrom(data) : null,
    slave: isSlave ? slaveFrom(nestedAttributes(info, IFLA_INFO.SLAVE_DATA) ?? new Map()) : null,
  };
}

function textAttribute(attributes: Attributes, type: number): string | null {
  const payload = attributes.get(type);
  return payload ? textOf(payload) : null;
}

function vlanFrom(data: Attributes): VlanFacts | null {
  const id = u16Attribute(data, IFLA_VLAN.ID);
  return id === null ? null : { id, protocol: be16Attribute(data, IFLA_VLAN.PROTOCOL) ?? ETH_P.VLAN_8021Q };
}

function bondFrom(data: Attributes): BondFacts {
  return {
    mode: u8Attribute(data, IFLA_BOND.MODE) ?? 0,
    activeSlave: u32Attribute(data, IFLA_BOND.ACTIVE_SLAVE) || null,
  };
}

function slaveFrom(data: Attributes): SlaveFacts {
  return {
    active: u8Attribute(data, IFLA_BOND_SLAVE.STATE) === BOND.STATE_ACTIVE,
    linkUp: u8Attribute(data, IFLA_BOND_SLAVE.MII_STATUS) === BOND.LINK_UP,
  };
}
