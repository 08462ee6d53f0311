import { familyOf, type Ip } from '../base/ip.js';
import type { Probe } from '../config/desired.js';
import { quoteBytes } from './errno.js';
import { failed, passed, type Verdict } from './verdict.js';

export type HttpProbe = Extract<Probe, { kind: 'http' }>;

/** Enough for every head seen in practice; a longer one is judged by its status line alone. */
export const headLimit = 8192;
export const headEnd: Buffer = Buffer.from('\r\n\r\n', 'latin1');

/** `Host` is the probe's, as written; without one, the probed address, with the port unless it is the scheme's. */
export function buildRequest(probe: HttpProbe, address: Ip, port: number): Uint8Array {
  const literal = familyOf(address) === 6 ? `[${address}]` : address;
  const host = probe.host || (port === (probe.tls ? 443 : 80) ? literal : `${literal}:${port}`);
  const head = [
    `${probe.method} ${probe.path || '/'} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: spillway-health',
    'Accept: */*',
    'Connection: close',
    '',
    '',
  ];
  return Buffer.from(head.join('\r\n'), 'latin1');
}

/** For the server name extension: the host without its port; null for addresses, which RFC 6066 forbids there. */
export function serverName(host: string): string | null {
  const name = host.replace(/:\d+$/, '');
  return name === '' || name.includes(':') || name.includes('[') || /^[\d.]+$/.test(name) ? null : name;
}

/** RFC 9112, section 4; the space after the code is often missing where there is no reason phrase. */
const statusLine = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r\n/;

export function judgeReply(reply: Uint8Array | null, expected: HttpProbe['expectedCodes']): Verdict {
  if (reply === null || reply.length === 0) return failed('connection closed without a reply');
  const bytes = Buffer.from(reply.buffer, reply.byteOffset, reply.length);
  const code = statusLine.exec(bytes.toString('latin1', 0, 1024))?.[1];
  if (code === undefined) return failed(`malformed reply: ${quoteBytes(reply)}`);
  if (bytes.length < headLimit && !bytes.includes(headEnd)) {
    return failed(`HTTP ${code}, but the connection closed within the header`);
  }
  const status = Number(code);
  if (expected.some(([from, to]) => status >= from && status <= to)) return passed;
  return failed(`HTTP ${code}, expected ${formatCodes(expected)}`);
}

/** "2xx", "200, 204", "200-204" */
export function formatCodes(ranges: HttpProbe['expectedCodes']): string {
  const words = ranges.map(([from, to]) => {
    if (from === to) return `${from}`;
    return from % 100 === 0 && to === from + 99 ? `${from / 100}xx` : `${from}-${to}`;
  });
  return words.join(', ');
}
