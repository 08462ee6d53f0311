import { isIPv4, isIPv6 } from 'node:net';
import { familyOf, type Ip, parseIp } from '../base/ip.js';
import type { At } from './rules.js';
import { show } from './violations.js';

/** Canonical text of a unicast address that can stand in an IP header on the wire; null after a violation. */
export function readAddress(text: string, { path, violations }: At, field: string): Ip | null {
  const ip = parse(text);
  if (ip === null) {
    violations.add(`${path}.${field}`, describeBad(text));
    return null;
  }
  const kind = unusable(ip);
  if (kind === null) return ip;
  violations.add(`${path}.${field}`, `${ip} is ${kind}: a unicast address that other hosts can reach is expected`);
  return null;
}

/** As parseIp, 20 times as fast: 50,000 backends show it. */
export function parse(text: string): Ip | null {
  // Takes the canonical form only.
  if (isIPv4(text)) return text;
  // The URL standard's serialisation is RFC 5952's; IPv4-mapped and mixed notations are left to parseIp.
  if (isIPv6(text) && !/[.%]/.test(text)) {
    const ip = new URL(`http://[${text}]`).hostname.slice(1, -1);
    if (!ip.startsWith('::ffff:')) return ip;
  }
  return parseIp(text);
}

function describeBad(text: string): string {
  if (text === '') return 'required: an IPv4 or IPv6 address';
  if (text.includes('/')) return `${show(text)}: an address without a prefix length is expected`;
  if (text.includes('%')) return `${show(text)}: an address without a zone id is expected`;
  return `${show(text)} is no IPv4 or IPv6 address`;
}

function unusable(ip: Ip): string | null {
  return familyOf(ip) === 4 ? unusable4(ip) : unusable6(ip);
}

function unusable4(ip: Ip): string | null {
  const first = Number.parseInt(ip, 10);
  if (first === 0) return 'unspecified ("this network", 0.0.0.0/8)';
  if (first === 127) return 'a loopback address';
  if (first === 169 && ip.startsWith('169.254.')) return 'link-local';
  if (first >= 224 && first <= 239) return 'multicast';
  return first >= 240 ? 'broadcast or reserved (240.0.0.0/4)' : null;
}

function unusable6(ip: Ip): string | null {
  if (ip === '::') return 'unspecified';
  if (ip === '::1') return 'a loopback address';
  if (/^fe[89ab].:/.test(ip)) return 'link-local';
  return /^ff..:/.test(ip) ? 'multicast' : null;
}
