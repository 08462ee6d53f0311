import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { Prefix } from '../config/desired.js';

/** Addresses of one family as numbers, both ends included. Never enumerated: an IPv6 prefix has more than fit. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Of a canonical address. Of those of every LoadBalancer with each document, so without a general parser. */
export function toNumber(ip: Ip): bigint {
  if (familyOf(ip) === 4) return BigInt(ip.split('.').reduce((number, part) => number * 256 + Number(part), 0));
  const [head = '', tail] = ip.split('::');
  const [left, right] = [digits(head), digits(tail ?? '')];
  return BigInt(`0x${left}${'0'.repeat(32 - left.length - right.length)}${right}`);
}

function digits(groups: string): string {
  if (groups === '') return '';
  let text = '';
  for (const group of groups.split(':')) text += group.padStart(4, '0');
  return text;
}

/** Canonical text (RFC 5952). */
export function toIp(number: bigint, family: Family): Ip {
  if (family === 4) {
    const value = Number(number);
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  const groups = number.toString(16).padStart(32, '0').match(/..../g)!;
  const short = groups.map((group) => group.replace(/^0{1,3}/, ''));
  const { at, length } = longestZeros(short);
  if (length < 2) return short.join(':');
  return `${short.slice(0, at).join(':')}::${short.slice(at + length).join(':')}`;
}

/** The first of the longest. */
function longestZeros(groups: readonly string[]): { at: number; length: number } {
  let longest = { at: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === '0') length++;
    if (length > longest.length) longest = { at, length };
    at += length;
  }
  return longest;
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
