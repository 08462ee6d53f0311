import {
  DecapClamp,
  DecapVipFlags,
  decapConfigSize,
  decapPortKeySize,
  decapPortSize,
  decapPrefixSize,
  decapVipSize,
  readDecapConfig,
  readDecapPort,
  readDecapPortKey,
  readDecapPrefix,
  readDecapVip,
  writeDecapConfig,
  writeDecapPort,
  writeDecapPortKey,
  writeDecapPrefix,
  writeDecapVip,
} from '../abi/abi.generated.js';
import { bytesToIp, formatMac, type Ip, ipToBytes, parseMac } from '../base/ip.js';
import { mappedHosts, mappedVips, type PortMapping } from './mapping.js';
import { mappedBits, type Prefix, prefixFromMapped } from './prefix.js';

/** off; auto: what fits the MTU behind the outer header that the VIP's packets come in; or so many bytes. */
export type Clamp = 'off' | 'auto' | number;

/** What the program is loaded with. */
export interface Rules {
  /** Frames for other addresses pass untouched: veth and promiscuous NICs show them too. */
  readonly macs: readonly string[];
  /** Of the interface that tunnels come in by. */
  readonly ifindex: number;
  /** Empty: tunnels from anywhere are stripped. */
  readonly from: readonly Prefix[];
  /** Strip only what goes to `vips`. */
  readonly onlyVips: boolean;
  /** Whose traffic is counted. Holds the VIPs of mappings. */
  readonly vips: readonly Ip[];
  readonly mappings: readonly PortMapping[];
  /** Of these addresses nothing is mapped. */
  readonly exempt: readonly Prefix[];
  /** UDP; null: GUE is not stripped. */
  readonly guePort: number | null;
  readonly clamp: Clamp;
}

/** The addresses that the program looks at, by direction. */
export function watched(rules: Rules): { readonly inbound: readonly Ip[]; readonly outbound: readonly Ip[] } {
  return { inbound: rules.vips, outbound: [...new Set([...rules.vips, ...mappedHosts(rules.mappings)])] };
}

export function encodeConfig(rules: Rules, frags: boolean): Uint8Array {
  const bytes = new Uint8Array(decapConfigSize);
  const { clamp } = rules;
  writeDecapConfig(new DataView(bytes.buffer), 0, {
    macs: rules.macs.map(macWord),
    checkSource: flag(rules.from.length > 0),
    checkVip: flag(rules.onlyVips),
    frags: flag(frags),
    mapPorts: flag(rules.mappings.length > 0),
    checkExempt: flag(rules.exempt.length > 0),
    clamp:
      clamp === 'off'
        ? DecapClamp.DECAP_CLAMP_OFF
        : clamp === 'auto'
          ? DecapClamp.DECAP_CLAMP_AUTO
          : DecapClamp.DECAP_CLAMP_FIXED,
    clampMss: typeof clamp === 'number' ? clamp : 0,
    ifindex: rules.ifindex,
    guePort: rules.guePort ?? 0,
  });
  return bytes;
}

export type DecodedConfig = Pick<Rules, 'macs' | 'ifindex' | 'onlyVips' | 'guePort' | 'clamp'>;

export function decodeConfig(value: Uint8Array): DecodedConfig {
  const config = readDecapConfig(viewOf(value), 0);
  return {
    macs: config.macs.filter((word) => word !== 0n).map(wordMac),
    ifindex: config.ifindex,
    onlyVips: config.checkVip === 1,
    guePort: config.guePort === 0 ? null : config.guePort,
    clamp:
      config.clamp === DecapClamp.DECAP_CLAMP_AUTO
        ? 'auto'
        : config.clamp === DecapClamp.DECAP_CLAMP_FIXED
          ? config.clampMss
          : 'off',
  };
}

export type Entry = readonly [key: Uint8Array, value: Uint8Array];

export function prefixEntries(prefixes: readonly Prefix[]): readonly Entry[] {
  return prefixes.map((prefix) => {
    const bytes = new Uint8Array(decapPrefixSize);
    const value = { prefixBits: mappedBits(prefix), address: ipToBytes(prefix.address) };
    writeDecapPrefix(new DataView(bytes.buffer), 0, value);
    return [bytes, new Uint8Array(4)];
  });
}

export function decodePrefix(key: Uint8Array): Prefix {
  const { prefixBits, address } = readDecapPrefix(viewOf(key), 0);
  return prefixFromMapped(address, prefixBits);
}

/** @param slots where each VIP counts */
export function vipEntries(rules: Rules, slots: ReadonlyMap<Ip, number>): readonly Entry[] {
  const [vips, mapped, hosts] = [rules.vips, mappedVips(rules.mappings), mappedHosts(rules.mappings)].map(
    (ips) => new Set(ips),
  ) as [Set<Ip>, Set<Ip>, Set<Ip>];
  return [...new Set([...vips, ...hosts])].map((ip) => {
    const bytes = new Uint8Array(decapVipSize);
    const flags =
      (vips.has(ip) ? DecapVipFlags.DECAP_VIP_COUNTED : 0) |
      (mapped.has(ip) ? DecapVipFlags.DECAP_VIP_MAPPED : 0) |
      (hosts.has(ip) ? DecapVipFlags.DECAP_VIP_HOST : 0);
    writeDecapVip(new DataView(bytes.buffer), 0, { slot: slots.get(ip) ?? 0, flags, overhead: 0 });
    return [ipToBytes(ip), bytes];
  });
}

/** A VIP as the program knows it; null: an address that ports are mapped to. */
export function decodeVip([key, value]: Entry): { readonly vip: Ip; readonly overhead: number } | null {
  const { flags, overhead } = readDecapVip(viewOf(value), 0);
  return flags & DecapVipFlags.DECAP_VIP_COUNTED ? { vip: bytesToIp(key), overhead } : null;
}

const protocols = { tcp: 6, udp: 17 } as const;

/** What to do with packets to the VIP, and with those from the host. */
export function portEntries(
  { protocol, vip, vipPort, host, hostPort }: PortMapping,
  slot: number,
): { readonly inbound: Entry; readonly outbound: Entry } {
  const here = { address: ipToBytes(host), port: hostPort };
  const there = { address: ipToBytes(vip), port: vipPort };
  const entry = (from: typeof here, to: typeof here): Entry => {
    const key = new Uint8Array(decapPortKeySize);
    const value = new Uint8Array(decapPortSize);
    writeDecapPortKey(new DataView(key.buffer), 0, { ...from, protocol: protocols[protocol] });
    writeDecapPort(new DataView(value.buffer), 0, {
      ...to,
      addressSum: changeSum(from.address, to.address),
      portSum: changeSum(portBytes(from.port), portBytes(to.port)),
      slot,
    });
    return [key, value];
  };
  return { inbound: entry(there, here), outbound: entry(here, there) };
}

export function decodeMapping([key, value]: Entry): PortMapping {
  const from = readDecapPortKey(viewOf(key), 0);
  const to = readDecapPort(viewOf(value), 0);
  return {
    protocol: from.protocol === protocols.tcp ? 'tcp' : 'udp',
    vip: bytesToIp(from.address),
    vipPort: from.port,
    host: bytesToIp(to.address),
    hostPort: to.port,
  };
}

/** RFC 1624: ~m + m' of each word as it lies in memory, folded. */
export function changeSum(before: Uint8Array, after: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < before.length; at += 2) {
    sum += (~viewOf(before).getUint16(at, true) & 0xffff) + viewOf(after).getUint16(at, true);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255);
}

/** Six bytes in memory order, read as the little-endian word that the program compares. */
function macWord(mac: string): bigint {
  const bytes = new Uint8Array(8);
  bytes.set(parseMac(mac)!);
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

function wordMac(word: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, word, true);
  return formatMac(bytes);
}

function flag(on: boolean): number {
  return on ? 1 : 0;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
