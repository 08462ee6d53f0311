import { bytesToIp, type Family, formatMac, type Ip } from '../base/ip.js';
import { decodeLink, type LinkMessage } from './decode-link.js';
import { AF_INET, AF_INET6, NDA, NLM_F, NLMSG, NLMSGERR_ATTR, RTA, RTAX, RTM, RTM_F_CLONED } from './kernel.js';
import {
  type Attributes,
  align4,
  HEADER_BYTES,
  type Header,
  readAttributes,
  readI32,
  readU16,
  readU32,
  splitDatagram,
  textOf,
  u32Attribute,
} from './wire.js';

export interface RouteMessage {
  readonly kind: 'route';
  readonly removed: boolean;
  readonly family: Family;
  /** Null: the default route. */
  readonly destination: Ip | null;
  readonly prefixBits: number;
  /** RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE... */
  readonly type: number;
  readonly table: number;
  /** RTPROT_: who put it there. */
  readonly protocol: number;
  /** 0: none. */
  readonly metric: number;
  readonly oif: number | null;
  readonly gateway: Ip | null;
  readonly preferredSource: Ip | null;
  /** The route's own metric, or the path MTU learnt; null: the link's. */
  readonly mtu: number | null;
  readonly cloned: boolean;
}

export interface NeighbourMessage {
  readonly kind: 'neighbour';
  readonly removed: boolean;
  readonly ifindex: number;
  readonly address: Ip;
  readonly mac: string | null;
  /** NUD_ bits. */
  readonly state: number;
  /** NTF_ bits. */
  readonly flags: number;
  /** NTF_EXT_ bits. */
  readonly extendedFlags: number;
}

export type Message = { readonly header: Header } & (
  | LinkMessage
  | RouteMessage
  | NeighbourMessage
  | { readonly kind: 'address'; readonly removed: boolean; readonly family: Family; readonly ifindex: number }
  | {
      readonly kind: 'policy' /** A rule or a nexthop object: any route may mean something else now. */;
      readonly type: number;
    }
  | {
      readonly kind: 'error' /** Positive; 0 = acknowledgement. */;
      readonly errno: number;
      readonly text: string | null;
    }
  | { readonly kind: 'done' /** Positive; 0 = the dump is whole. */; readonly errno: number }
  /** A type or family that nobody here reads. */
  | { readonly kind: 'other' }
  /** Attributes whose lengths lie, or a fixed part cut off. */
  | { readonly kind: 'malformed'; readonly what: string }
);

type Body = Message extends infer M ? (M extends Message ? Omit<M, 'header'> : never) : never;

/** Never throws: a datagram that makes no sense gives `fault`, a message that makes none gives kind "malformed". */
export function decode(datagram: Uint8Array): { readonly messages: readonly Message[]; readonly fault: string | null } {
  const { messages, fault } = splitDatagram(datagram);
  return {
    messages: messages.map(({ header, body }) => ({ header, ...decodeBody(header, body) }) as Message),
    fault,
  };
}

function decodeBody(header: Header, body: Uint8Array): Body {
  switch (header.type) {
    case NLMSG.ERROR:
      return decodeError(header, body);
    case NLMSG.DONE:
      return { kind: 'done', errno: body.length >= 4 ? Math.abs(readI32(body, 0)) : 0 };
    case RTM.NEWLINK:
    case RTM.DELLINK:
      return withAttributes(header, body, 16, (_, link, attributes) =>
        decodeLink(header.type === RTM.DELLINK, link, attributes),
      );
    case RTM.NEWADDR:
    case RTM.DELADDR:
      return withAttributes(header, body, 8, decodeAddress);
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      return withAttributes(header, body, 12, decodeRoute);
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH:
      return withAttributes(header, body, 12, decodeNeighbour);
    case RTM.NEWRULE:
    case RTM.DELRULE:
    case RTM.NEWNEXTHOP:
    case RTM.DELNEXTHOP:
      return { kind: 'policy', type: header.type };
    default:
      return { kind: 'other' };
  }
}

type Decoder = (header: Header, body: Uint8Array, attributes: Attributes) => Body;

function withAttributes(header: Header, body: Uint8Array, fixedBytes: number, decoder: Decoder): Body {
  if (body.length < fixedBytes)
    return { kind: 'malformed', what: `type ${header.type}: ${body.length} bytes of ${fixedBytes}` };
  const attributes = readAttributes(body, fixedBytes);
  if (attributes === null) return { kind: 'malformed', what: `type ${header.type}: an attribute's length lies` };
  return decoder(header, body, attributes);
}

/** struct nlmsgerr, then (unless capped) the request, then the TLVs of extended acknowledgement. */
function decodeError(header: Header, body: Uint8Array): Body {
  if (body.length < 4) return { kind: 'malformed', what: 'NLMSG_ERROR without an error number' };
  const errno = Math.abs(readI32(body, 0));
  if ((header.flags & NLM_F.ACK_TLVS) === 0 || body.length < 4 + HEADER_BYTES)
    return { kind: 'error', errno, text: null };
  const echoed = (header.flags & NLM_F.CAPPED) !== 0 ? HEADER_BYTES : align4(readU32(body, 4));
  const attributes = readAttributes(body, 4 + echoed);
  const text = attributes?.get(NLMSGERR_ATTR.MSG);
  return { kind: 'error', errno, text: text ? textOf(text) : null };
}

/** struct ifaddrmsg */
function decodeAddress(header: Header, body: Uint8Array): Body {
  const family = familyFrom(body[0]);
  if (family === null) return { kind: 'other' };
  return { kind: 'address', removed: header.type === RTM.DELADDR, family, ifindex: readU32(body, 4) };
}

/** struct rtmsg */
function decodeRoute(header: Header, body: Uint8Array, attributes: Attributes): Body {
  const family = familyFrom(body[0]);
  const prefixBits = body[1] ?? 0;
  if (family === null) return { kind: 'other' };
  if (prefixBits > (family === 4 ? 32 : 128)) return { kind: 'malformed', what: `route of ${prefixBits} bits` };
  return {
    kind: 'route',
    removed: header.type === RTM.DELROUTE,
    family,
    destination: ipFrom(attributes.get(RTA.DST), family),
    prefixBits,
    type: body[7] ?? 0,
    table: u32Attribute(attributes, RTA.TABLE) ?? body[4] ?? 0,
    protocol: body[5] ?? 0,
    metric: u32Attribute(attributes, RTA.PRIORITY) ?? 0,
    oif: u32Attribute(attributes, RTA.OIF),
    gateway: ipFrom(attributes.get(RTA.GATEWAY), family) ?? viaFrom(attributes.get(RTA.VIA)),
    preferredSource: ipFrom(attributes.get(RTA.PREFSRC), family),
    mtu: routeMtu(attributes.get(RTA.METRICS)),
    cloned: (readU32(body, 8) & RTM_F_CLONED) !== 0,
  };
}

function routeMtu(payload: Uint8Array | undefined): number | null {
  const metrics = payload ? readAttributes(payload, 0) : null;
  return metrics && (u32Attribute(metrics, RTAX.MTU) || null);
}

/** struct rtvia: a gateway of the other family (IPv4 route by an IPv6 neighbour). */
function viaFrom(payload: Uint8Array | undefined): Ip | null {
  if (!payload || payload.length < 2) return null;
  const family = familyFrom(readU16(payload, 0));
  return family && ipFrom(payload.subarray(2), family);
}

/** struct ndmsg */
function decodeNeighbour(header: Header, body: Uint8Array, attributes: Attributes): Body {
  const family = familyFrom(body[0]);
  const address = family && ipFrom(attributes.get(NDA.DST), family);
  if (!address) return { kind: 'other' };
  const mac = attributes.get(NDA.LLADDR);
  return {
    kind: 'neighbour',
    removed: header.type === RTM.DELNEIGH,
    ifindex: readI32(body, 4),
    address,
    mac: mac?.length === 6 ? sharedMac(mac) : null,
    state: readU16(body, 8),
    flags: body[10] ?? 0,
    extendedFlags: u32Attribute(attributes, NDA.FLAGS_EXT) ?? 0,
  };
}

const MOST_SHARED = 4096;
const macs = new Map<string, string>();

/** Many neighbours may have few MACs, and each is kept in several places: one text each. */
function sharedMac(bytes: Uint8Array): string {
  const text = formatMac(bytes);
  const known = macs.get(text);
  if (known !== undefined) return known;
  if (macs.size >= MOST_SHARED) macs.clear();
  macs.set(text, text);
  return text;
}

function familyFrom(number: number | undefined): Family | null {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : null;
}

function ipFrom(payload: Uint8Array | undefined, family: Family): Ip | null {
  if (payload?.length !== (family === 4 ? 4 : 16)) return null;
  return family === 4 ? payload.join('.') : bytesToIp(payload);
}
