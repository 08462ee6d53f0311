/**
 * What port mapping should do to a frame, written from src/backend/README.md and the RFCs and not from the program:
 * parse, decide what is put where, put it there, and move every checksum that covers it by the difference (RFC 1624).
 */
import type { PortMapping } from '../../src/backend/mapping.js';
import { bytesToIp, type Ip, ipToPlainBytes } from '../../src/base/ip.js';
import type { EventName } from './decap_program.js';

export interface Mapped {
  readonly frame: Buffer;
  readonly event: EventName | null;
  /** Of a packet that leaves: the VIP that it now comes from. */
  readonly vip: Ip | null;
}

const protocols: Readonly<Record<number, 'tcp' | 'udp'>> = { 6: 'tcp', 17: 'udp' };
const checkAt = { tcp: 16, udp: 6 } as const;
const icmpErrors: Readonly<Record<number, readonly number[]>> = { 1: [3, 11, 12], 58: [1, 2, 3, 4] };
/** Nothing is looked for behind so many bytes of the frame, or so many IPv6 headers. */
const furthest = 384;
const mostHeaders = 4;

interface Parts {
  readonly v6: boolean;
  readonly ipAt: number;
  readonly l4At: number;
  /** Behind the packet, as it says. */
  readonly end: number;
  readonly protocol: number;
  readonly source: Ip;
  readonly destination: Ip;
  readonly fragment: 'none' | 'first' | 'later';
  /** Names the datagram that it is a fragment of. */
  readonly datagram: string;
}

interface Edit {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class PortsModel {
  /** Datagrams whose first fragment was mapped. */
  readonly #datagrams = new Map<string, PortMapping>();

  constructor(
    private readonly mappings: readonly PortMapping[],
    private readonly isExempt: (ip: Ip) => boolean,
  ) {}

  /** To a VIP some of whose ports are mapped; the IP header begins at `at`. */
  comeIn(frame: Buffer, at: number): Mapped {
    const parts = parse(frame, at);
    if (parts === null || parts.end > frame.length) return { frame, event: null, vip: null };
    return this.#map(frame, parts, 'in');
  }

  /** From an address that ports are mapped to. */
  leave(frame: Buffer, at: number): Mapped {
    const parts = parse(frame, at);
    if (parts === null) return { frame, event: null, vip: null };
    // More segments than a length field can say: 0.
    const end = parts.end === at + (parts.v6 ? 40 : 0) ? frame.length : parts.end;
    return this.#map(frame, { ...parts, end }, 'out');
  }

  #map(frame: Buffer, parts: Parts, direction: 'in' | 'out'): Mapped {
    if (parts.fragment === 'later') return this.#later(frame, parts, direction);
    return protocols[parts.protocol] === undefined
      ? this.#icmp(frame, parts, direction)
      : this.#flow(frame, parts, direction);
  }

  #later(frame: Buffer, parts: Parts, direction: 'in' | 'out'): Mapped {
    const mapping = this.#datagrams.get(parts.datagram);
    if (mapping === undefined) return { frame, event: null, vip: null };
    const copy = Buffer.from(frame);
    edit(copy, [addressEdit(parts, mapping, direction)], parts.v6 ? [] : [{ at: parts.ipAt + 10 }]);
    return { frame: copy, event: `mapped_later_${direction}`, vip: mapping.vip };
  }

  #flow(frame: Buffer, parts: Parts, direction: 'in' | 'out'): Mapped {
    const protocol = protocols[parts.protocol]!;
    const check = parts.l4At + checkAt[protocol];
    if (!isHeld(frame, parts, parts.l4At, 4) || !isHeld(frame, parts, check, 2))
      return { frame, event: null, vip: null };
    const own = direction === 'in' ? parts.destination : parts.source;
    const client = direction === 'in' ? parts.source : parts.destination;
    const at = parts.l4At + (direction === 'in' ? 2 : 0);
    const found = this.#find({ direction, protocol, own, port: frame.readUInt16BE(at), client });
    if (parts.fragment === 'first') {
      if (found.mapping === null) this.#datagrams.delete(parts.datagram);
      else this.#datagrams.set(parts.datagram, found.mapping);
    }
    const { mapping } = found;
    if (mapping === null) return { frame, event: found.event, vip: null };
    const copy = Buffer.from(frame);
    const edits = [addressEdit(parts, mapping, direction), portEdit(at, mapping, direction)];
    // The transport's sum covers the address too, by its pseudo header; the IPv4 header's covers no port.
    edit(copy, edits, [{ at: check, udp: protocol === 'udp' }]);
    if (!parts.v6) sumEdit(copy, frame, [addressEdit(parts, mapping, direction)], parts.ipAt + 10);
    return { frame: copy, event: `mapped_${direction}`, vip: mapping.vip };
  }

  /** The quoted packet went the other way: what was its destination here is its source there. */
  #icmp(frame: Buffer, parts: Parts, direction: 'in' | 'out'): Mapped {
    const none: Mapped = { frame, event: null, vip: null };
    if (parts.fragment !== 'none' || !isHeld(frame, parts, parts.l4At, 8)) return none;
    if (!icmpErrors[parts.protocol]?.includes(frame[parts.l4At]!) || (parts.protocol === 58) !== parts.v6) return none;
    if (parts.l4At + 8 > furthest) return none;
    const quoted = parse(frame, parts.l4At + 8);
    if (quoted === null || quoted.v6 !== parts.v6 || quoted.fragment === 'later') return none;
    const protocol = protocols[quoted.protocol];
    const own = direction === 'in' ? quoted.source : quoted.destination;
    const client = direction === 'in' ? quoted.destination : quoted.source;
    if (protocol === undefined || own !== (direction === 'in' ? parts.destination : parts.source)) return none;
    if (!isHeld(frame, parts, quoted.l4At, 4)) return none;
    const at = quoted.l4At + (direction === 'in' ? 0 : 2);
    const { mapping, event } = this.#find({ direction, protocol, own, port: frame.readUInt16BE(at), client });
    if (mapping === null) return { frame, event, vip: null };

    const copy = Buffer.from(frame);
    const within = addressEdit(quoted, mapping, direction, 'quoted');
    const port = portEdit(at, mapping, direction);
    const check = quoted.l4At + checkAt[protocol];
    const hasCheck = isHeld(frame, parts, check, 2);
    edit(copy, [within, port], hasCheck ? [{ at: check, udp: protocol === 'udp' }] : []);
    if (!quoted.v6) sumEdit(copy, frame, [within], quoted.ipAt + 10);
    // Last the message's own sum, over all that changed in it, and in IPv6 over the packet's own addresses.
    const outer = addressEdit(parts, mapping, direction);
    const changed: Edit[] = [within, port, ...(parts.v6 ? [outer] : [])].map(({ at: from, bytes }) => ({
      at: from,
      bytes,
    }));
    if (hasCheck) changed.push({ at: check, bytes: copy.subarray(check, check + 2) });
    if (!quoted.v6) changed.push({ at: quoted.ipAt + 10, bytes: copy.subarray(quoted.ipAt + 10, quoted.ipAt + 12) });
    sumEdit(copy, frame, changed, parts.l4At + 2);
    outer.bytes.forEach((byte, i) => {
      copy[outer.at + i] = byte;
    });
    if (!parts.v6) sumEdit(copy, frame, [outer], parts.ipAt + 10);
    return { frame: copy, event: `mapped_icmp_${direction}`, vip: mapping.vip };
  }

  #find(flow: {
    readonly direction: 'in' | 'out';
    readonly protocol: 'tcp' | 'udp';
    readonly own: Ip;
    readonly port: number;
    readonly client: Ip;
  }): { readonly mapping: PortMapping | null; readonly event: EventName | null } {
    const { direction, protocol, own, port, client } = flow;
    const mapping = this.mappings.find((one) => {
      const [ip, number] = direction === 'in' ? [one.vip, one.vipPort] : [one.host, one.hostPort];
      return one.protocol === protocol && ip === own && number === port;
    });
    if (mapping === undefined) return { mapping: null, event: null };
    if (this.isExempt(client)) return { mapping: null, event: `exempt_${direction}` };
    return { mapping, event: null };
  }
}

/** The packet's own end that is mapped: destination on the way in, source on the way out; in a quote the other. */
function addressEdit(
  parts: Parts,
  mapping: PortMapping,
  direction: 'in' | 'out',
  where: 'outer' | 'quoted' = 'outer',
): Edit {
  const isDestination = (direction === 'in') === (where === 'outer');
  const offset = parts.v6 ? (isDestination ? 24 : 8) : isDestination ? 16 : 12;
  return { at: parts.ipAt + offset, bytes: ipToPlainBytes(direction === 'in' ? mapping.host : mapping.vip) };
}

function portEdit(at: number, mapping: PortMapping, direction: 'in' | 'out'): Edit {
  const port = direction === 'in' ? mapping.hostPort : mapping.vipPort;
  return { at, bytes: Uint8Array.of(port >> 8, port & 255) };
}

/** Puts the edits in place, and moves these checksums by what they change. */
function edit(
  frame: Buffer,
  edits: readonly Edit[],
  checks: readonly { readonly at: number; readonly udp?: boolean }[],
): void {
  const before = Buffer.from(frame);
  for (const { at, bytes } of edits) frame.set(bytes, at);
  for (const { at, udp = false } of checks) {
    if (udp && before.readUInt16BE(at) === 0) continue;
    sumEdit(frame, before, edits, at);
    if (udp && frame.readUInt16BE(at) === 0) frame.writeUInt16BE(0xffff, at);
  }
}

/** RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
function sumEdit(frame: Buffer, before: Buffer, edits: readonly Edit[], check: number): void {
  let sum = ~before.readUInt16BE(check) & 0xffff;
  for (const { at, bytes } of edits) {
    const after = Buffer.from(bytes);
    for (let i = 0; i < bytes.length; i += 2) {
      sum += (~before.readUInt16BE(at + i) & 0xffff) + after.readUInt16BE(i);
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(~sum & 0xffff, check);
}

function isHeld(frame: Buffer, parts: Parts, at: number, length: number): boolean {
  return at <= furthest && at + length <= parts.end && at + length <= frame.length;
}

function parse(frame: Buffer, at: number): Parts | null {
  if (frame.length <= at) return null;
  return frame[at]! >> 4 === 6 ? parse6(frame, at) : parse4(frame, at);
}

function parse4(frame: Buffer, at: number): Parts | null {
  const packet = frame.subarray(at);
  const words = (packet[0] ?? 0) & 15;
  if (packet.length < 20 || packet[0]! >> 4 !== 4 || words < 5) return null;
  const field = packet.readUInt16BE(6);
  const source = packet.subarray(12, 16).join('.');
  const destination = packet.subarray(16, 20).join('.');
  return {
    v6: false,
    ipAt: at,
    l4At: at + words * 4,
    end: at + packet.readUInt16BE(2),
    protocol: packet[9]!,
    source,
    destination,
    fragment: (field & 0x1fff) !== 0 ? 'later' : (field & 0x2000) !== 0 ? 'first' : 'none',
    datagram: `${source} ${destination} ${packet[9]} ${packet.readUInt16BE(4)}`,
  };
}

function parse6(frame: Buffer, at: number): Parts | null {
  const packet = frame.subarray(at);
  if (packet.length < 40) return null;
  const source = bytesToIp(packet.subarray(8, 24));
  const destination = bytesToIp(packet.subarray(24, 40));
  let protocol = packet[6]!;
  let l4At = at + 40;
  let fragment: Parts['fragment'] = 'none';
  let datagram = '';
  for (let i = 0; i < mostHeaders && fragment !== 'later' && [0, 44, 60].includes(protocol); i++) {
    if (l4At > furthest || l4At + 8 > frame.length) return null;
    if (protocol === 44) {
      if (fragment !== 'none') return null;
      const offset = frame.readUInt16BE(l4At + 2);
      fragment = offset >= 8 ? 'later' : (offset & 1) === 1 ? 'first' : 'none';
      protocol = frame[l4At]!;
      datagram = `${source} ${destination} ${protocol} ${frame.readUInt32BE(l4At + 4)}`;
      l4At += 8;
    } else {
      protocol = frame[l4At]!;
      l4At += (frame[l4At + 1]! + 1) * 8;
    }
  }
  const end = at + 40 + packet.readUInt16BE(4);
  return { v6: true, ipAt: at, l4At, end, protocol, source, destination, fragment, datagram };
}
