import { bytesToIp, type Family, familyOf, type Ip, ipToPlainBytes } from '../base/ip.js';
import type { Prefix } from '../config/desired.js';

/** Addresses of one family as numbers, both ends included. Never enumerated: an IPv6 prefix has more than fit. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export function toNumber(ip: Ip): bigint {
  let number = 0n;
  for (const byte of ipToPlainBytes(ip)) number = (number << 8n) | BigInt(byte);
  return number;
}

export function toIp(number: bigint, family: Family): Ip {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.fill(0xff, 10, 12);
  let rest = number;
  for (let i = 15; rest > 0n; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytesToIp(bytes);
}

export function rangeOf({ address, bits }: Prefix): Range {
  const width = familyOf(address) === 4 ? 32 : 128;
  const first = toNumber(address);
  return { first, last: first + (1n << BigInt(width - bits)) - 1n };
}

/**
 * Without what no host may have: an IPv4 subnet's network and broadcast address, and an IPv6 subnet's router anycast
 * address (RFC 4291, 2.6.1). A /31 (RFC 3021), a /127 (RFC 6164) and a single address are whole.
 */
export function hostsOf(prefix: Prefix): Range {
  const { first, last } = rangeOf(prefix);
  if (familyOf(prefix.address) === 4)
    return prefix.bits < 31 ? { first: first + 1n, last: last - 1n } : { first, last };
  return prefix.bits < 127 ? { first: first + 1n, last } : { first, last };
}

/** In order, without those of `holes`. */
export function without(ranges: readonly Range[], holes: readonly Range[]): readonly Range[] {
  return holes.reduce<readonly Range[]>((left, hole) => left.flatMap((range) => cut(range, hole)), ranges);
}

function cut(range: Range, hole: Range): readonly Range[] {
  if (hole.last < range.first || hole.first > range.last) return [range];
  return [
    ...(hole.first > range.first ? [{ first: range.first, last: hole.first - 1n }] : []),
    ...(hole.last < range.last ? [{ first: hole.last + 1n, last: range.last }] : []),
  ];
}

export function has(ranges: readonly Range[], number: bigint): boolean {
  return ranges.some(({ first, last }) => number >= first && number <= last);
}

export function sizeOf(ranges: readonly Range[]): bigint {
  return ranges.reduce((total, { first, last }) => total + last - first + 1n, 0n);
}
