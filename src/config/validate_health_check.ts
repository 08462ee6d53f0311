import type * as message from '../api/generated/messages.generated.js';
import type { HealthCheck, Probe } from './desired.js';
import { type At, checkPort, checkText, durationMs, rangeOr } from './rules.js';
import { unknown } from './validate_listener.js';
import { show } from './violations.js';

const interval = { min: 100, max: 50_000 };
const timeout = { min: 50, max: 300_000 };
const threshold = { min: 1, max: 10, unset: 3 };
/** What fits an unfragmented datagram on any IPv6 path: RFC 8200's minimum MTU less IPv6 and UDP headers. */
const maxDatagram = 1232;

export function readHealthCheck(from: message.HealthCheck, at: At): HealthCheck {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  const probe = readProbe(from, at);
  const slow = probe.kind === 'udp';
  if (from.port !== 0) checkPort(from.port, inside('port'));
  return {
    probe,
    port: from.port,
    intervalMs: durationMs(from.interval, { ...interval, unset: slow ? 5000 : 2000 }, inside('interval')),
    timeoutMs: durationMs(from.timeout, { ...timeout, unset: slow ? 10_000 : 5000 }, inside('timeout')),
    rise: rangeOr(from.rise, threshold, inside('rise')),
    fall: rangeOr(from.fall, threshold, inside('fall')),
    target: readTarget(from.target, inside('target')),
  };
}

function readTarget(target: message.ProbeTarget, at: At): HealthCheck['target'] {
  if (target === 'PROBE_TARGET_UNSPECIFIED' || target === 'VIP') return 'VIP';
  if (target === 'BACKEND_ADDRESS') return target;
  return unknown(target, 'VIP or BACKEND_ADDRESS', at) ?? 'VIP';
}

function readProbe({ tcp, http, udp }: message.HealthCheck, { path, violations }: At): Probe {
  if (http !== undefined) return readHttp(http, { path: `${path}.http`, violations });
  if (udp !== undefined) return readUdp(udp, { path: `${path}.udp`, violations });
  if (tcp === undefined) {
    violations.add(path, 'required: one of tcp, http, udp (for a plain connect, tcp: {}); or leave healthCheck out');
  }
  return { kind: 'tcp' };
}

function readHttp(from: message.HttpCheck, { path, violations }: At): Probe {
  const method = from.method === '' ? 'HEAD' : from.method;
  if (method !== 'GET' && method !== 'HEAD') {
    violations.add(`${path}.method`, `${show(method)}: GET or HEAD is expected`);
  }
  const uri = from.path === '' ? '/' : from.path;
  checkText(uri, 80, { path: `${path}.path`, violations });
  if (!/^\/[!-~]*$/.test(uri)) {
    violations.add(
      `${path}.path`,
      `${show(uri)}: "/", then no spaces and only ASCII, is expected: escape others as %XX`,
    );
  }
  checkText(from.host, 80, { path: `${path}.host`, violations });
  if (!/^[\w.:[\]-]*$/.test(from.host)) {
    violations.add(`${path}.host`, `${show(from.host)}: a host name or address is expected, perhaps with a port`);
  }
  return {
    kind: 'http',
    method: method === 'GET' ? 'GET' : 'HEAD',
    path: uri,
    host: from.host,
    expectedCodes: readCodes(from.expectedCodes, { path: `${path}.expectedCodes`, violations }),
    tls: from.tls,
  };
}

type CodeRange = readonly [number, number];

function readCodes(texts: readonly string[], { path, violations }: At): CodeRange[] {
  if (texts.length === 0) return [[200, 299]];
  return texts.map((text, index) => {
    const range = readCodeRange(text);
    if (range === null) {
      violations.add(`${path}[${index}]`, `${show(text)}: "200", "2xx" or "200-299" is expected, within 100 to 599`);
    }
    return range ?? [200, 299];
  });
}

function readCodeRange(text: string): CodeRange | null {
  const hundred = /^([1-5])xx$/i.exec(text);
  if (hundred !== null) return [Number(hundred[1]) * 100, Number(hundred[1]) * 100 + 99];
  const range = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text);
  if (range === null) return null;
  const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])];
  return from <= to ? [from, to] : null;
}

function readUdp({ request, expectedReply }: message.UdpCheck, { path, violations }: At): Probe {
  if (request.length === 0 && expectedReply.length > 0) {
    violations.add(`${path}.request`, 'required with expectedReply: nobody answers an empty datagram');
  }
  for (const [name, bytes] of Object.entries({ request, expectedReply })) {
    if (bytes.length > maxDatagram) violations.add(`${path}.${name}`, `${bytes.length} bytes; at most ${maxDatagram}`);
  }
  // Copies: from the wire they are views that would keep the whole request in memory.
  return { kind: 'udp', request: Uint8Array.from(request), expectedReply: Uint8Array.from(expectedReply) };
}
