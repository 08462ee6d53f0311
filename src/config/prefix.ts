import { familyOf, type Ip } from '../base/ip.js';
import { parse } from './address.js';
import type { Prefix } from './desired.js';
import { show } from './violations.js';

/** A prefix with what comparing needs. */
export interface ReadPrefix {
  readonly prefix: Prefix;
  /** First and last address as digits: those of one family compare as text in the order of numbers. */
  readonly first: string;
  readonly last: string;
}

/** Or what is wrong with the text, and what to write instead. */
export type PrefixRead = ReadPrefix | { readonly problem: string };

/**
 * "198.51.100.0/24", "2001:db8::/48", or an address alone, which is a prefix of full length. IPv4-mapped ones become
 * IPv4. What lies behind the length has to be zero: a slip of the pen would else allow or deny strangers.
 */
export function readPrefix(text: string): PrefixRead {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const address = parse(host);
  if (address === null) return { problem: describeBad(text) };
  const most = familyOf(address) === 4 ? 32 : 128;
  const bits = slash < 0 ? most : readLength(text.slice(slash + 1), { host, most });
  if (bits === null) return { problem: `${show(text)}: a length of 0 to ${most} is expected behind the "/"` };
  if (bits < 0) return { problem: `${show(text)}: more than the IPv4-mapped addresses: write IPv4 or IPv6` };
  const digits = digitsOf(address);
  const first = masked(digits, bits, '0');
  if (first === digits) return { prefix: { address, bits }, first, last: masked(digits, bits, 'f') };
  const right = formatPrefix({ address: addressOf(first), bits });
  return {
    problem: `${show(text)} has bits set behind its length: write "${right}", or "${address}" for that address alone`,
  };
}

/** The shortest text: without a length where it is full. */
export function formatPrefix({ address, bits }: Prefix): string {
  return bits === (familyOf(address) === 4 ? 32 : 128) ? address : `${address}/${bits}`;
}

/** For prefixes known to be right. */
export function rangeOf({ address, bits }: Prefix): { first: string; last: string } {
  const first = digitsOf(address);
  return { first, last: masked(first, bits, 'f') };
}

/** Both of one family or not. */
export function contains(outer: { first: string; last: string }, inner: { first: string; last: string }): boolean {
  return outer.first.length === inner.first.length && outer.first <= inner.first && inner.last <= outer.last;
}

function readLength(text: string, { host, most }: { host: string; most: number }): number | null {
  if (!/^(0|[1-9]\d{0,2})$/.test(text)) return null;
  // Written as IPv6, so counted as IPv6.
  const mapped = most === 32 && host.includes(':');
  const bits = Number(text);
  if (bits > (mapped ? 128 : most)) return null;
  return mapped ? bits - 96 : bits;
}

function describeBad(text: string): string {
  if (text === '') return 'required: an address or a prefix, as "198.51.100.0/24"';
  if (text.includes('%')) return `${show(text)}: an address without a zone id is expected`;
  return `${show(text)} is no address or prefix: as "198.51.100.7", "198.51.100.0/24" or "2001:db8::/48"`;
}

/** Hexadecimal digits of a canonical address: 8 or 32. */
function digitsOf(ip: Ip): string {
  if (familyOf(ip) === 4) {
    let value = 0;
    for (const part of ip.split('.')) value = value * 256 + Number(part);
    return value.toString(16).padStart(8, '0');
  }
  const [head = '', tail] = ip.split('::');
  const left = groups(head);
  if (tail === undefined) return left;
  const right = groups(tail);
  return left + '0'.repeat(32 - left.length - right.length) + right;
}

function groups(text: string): string {
  if (text === '') return '';
  let digits = '';
  for (const group of text.split(':')) digits += group.padStart(4, '0');
  return digits;
}

/** Every bit behind `bits` as in `fill`: all of them clear or all of them set. */
function masked(digits: string, bits: number, fill: '0' | 'f'): string {
  const whole = bits >> 2;
  if (whole === digits.length) return digits;
  const behind = 0xf >> (bits & 3);
  const digit = Number.parseInt(digits[whole]!, 16);
  const edge = fill === '0' ? digit & ~behind & 0xf : digit | behind;
  return digits.slice(0, whole) + edge.toString(16) + fill.repeat(digits.length - whole - 1);
}

function addressOf(digits: string): Ip {
  if (digits.length === 8)
    return digits
      .match(/../g)!
      .map((byte) => Number.parseInt(byte, 16))
      .join('.');
  return parse(digits.match(/..../g)!.join(':'))!;
}
