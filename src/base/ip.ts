import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** An IP address in canonical text (RFC 5952), never IPv4-mapped. */
export type Ip = string;

/** Canonical text, or null when it is no plain unicast-style address (no prefix, no zone id, no IPv4 shorthand). */
export function parseIp(text: string): Ip | null {
  if (text.includes('%')) return null;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  if (!ipaddr.IPv6.isValid(text)) return null;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

export function familyOf(ip: Ip): Family {
  return ip.includes(':') ? 6 : 4;
}

/** 16 bytes, network order; IPv4 as ::ffff:a.b.c.d, as every map keeps it. */
export function ipToBytes(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(16);
  const plain = ipaddr.parse(ip).toByteArray();
  if (plain.length === 16) {
    bytes.set(plain);
  } else {
    bytes[10] = 0xff;
    bytes[11] = 0xff;
    bytes.set(plain, 12);
  }
  return bytes;
}

/** 4 or 16 bytes, as a socket address wants them. */
export function ipToPlainBytes(ip: Ip): Uint8Array {
  return Uint8Array.from(ipaddr.parse(ip).toByteArray());
}

export function bytesToIp(bytes: Uint8Array): Ip {
  if (isMapped(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  return new ipaddr.IPv6(Array.from(bytes.subarray(0, 16))).toRFC5952String();
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** "02:00:5e:10:00:01" */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}
