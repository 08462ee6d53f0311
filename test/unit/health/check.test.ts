import test from 'ava';
import type { HealthCheck, Probe } from '../../../src/config/desired.js';
import { compileCheck, sameSpec } from '../../../src/health/check.js';
import { formatDuration } from '../../../src/health/errno.js';
import { formatCodes, serverName } from '../../../src/health/http.js';
import type { ProbeReply } from '../../../src/health/ports.js';
import { target, tcpCheck } from './fakes.js';

const http = {
  kind: 'http',
  method: 'GET',
  path: '/healthz?full=1',
  host: '',
  expectedCodes: [[200, 299]],
  tls: false,
} as const satisfies Probe;
const udp = { kind: 'udp', request: Buffer.from('ping'), expectedReply: new Uint8Array() } as const satisfies Probe;

function compiled(probe: Probe, check: Partial<HealthCheck> = {}, address = '192.0.2.10', port = 80) {
  return compileCheck(target('a', { check: { ...tcpCheck, ...check, probe }, address, port }));
}

function says(probe: Probe, reply: Partial<ProbeReply>, check: Partial<HealthCheck> = {}): string {
  const verdict = compiled(probe, check).judge({ error: null, data: null, ...reply });
  if (verdict.kind === 'passed') return 'passed';
  return verdict.kind === 'failed' ? verdict.reason : `local ${verdict.error}`;
}

function head(text: string): { data: Uint8Array } {
  return { data: Buffer.from(text, 'latin1') };
}

test('TCP: a connection is a pass, an error a reason in words', (t) => {
  t.is(says({ kind: 'tcp' }, {}), 'passed');
  t.is(says({ kind: 'tcp' }, { error: 'ECONNREFUSED' }), 'connect: ECONNREFUSED');
  t.is(says({ kind: 'tcp' }, { error: 'EHOSTUNREACH' }), 'connect: EHOSTUNREACH');
  t.is(says({ kind: 'tcp' }, { error: 'ETIMEDOUT' }, { timeoutMs: 5000 }), 'connect: no answer within 5 s');
  t.is(says({ kind: 'tcp' }, { error: 'EMFILE' }), 'local EMFILE');
});

test('the probe carries address, port and mark of its target', (t) => {
  const { request } = compiled({ kind: 'tcp' }, {}, '2001:db8::1', 443);
  t.like(request, { kind: 'tcp', port: 443, mark: 0x53570001, timeoutMs: 500, send: null, receive: 0 });
  t.is(request.address.length, 16);
  t.deepEqual([...compiled({ kind: 'tcp' }).request.address], [192, 0, 2, 10]);
});

test('HTTP: the request is HTTP/1.1 and asks to close', (t) => {
  const text = Buffer.from(compiled(http).request.send!).toString();
  t.is(
    text,
    'GET /healthz?full=1 HTTP/1.1\r\nHost: 192.0.2.10\r\nUser-Agent: spillway-health\r\nAccept: */*\r\nConnection: close\r\n\r\n',
  );
  t.regex(
    Buffer.from(compiled(http, {}, '2001:db8::1', 8080).request.send!).toString(),
    /Host: \[2001:db8::1\]:8080\r\n/,
  );
  t.regex(
    Buffer.from(compiled({ ...http, host: 'a.example' }, {}, '192.0.2.10', 8080).request.send!).toString(),
    /Host: a\.example\r\n/,
  );
  t.regex(
    Buffer.from(compiled({ ...http, tls: true }, {}, '192.0.2.10', 443).tls!.send).toString(),
    /Host: 192\.0\.2\.10\r\n/,
  );
});

test('HTTP: the status code decides', (t) => {
  t.is(says(http, head('HTTP/1.1 200 OK\r\nServer: x\r\n\r\n')), 'passed');
  t.is(says(http, head('HTTP/1.0 204\r\n\r\nleft over')), 'passed');
  t.is(says(http, head('HTTP/1.1 503 Service Unavailable\r\n\r\n')), 'HTTP 503, expected 2xx');
  const codes = {
    ...http,
    expectedCodes: [
      [200, 200],
      [301, 302],
    ],
  } as const;
  t.is(says(codes, head('HTTP/1.1 302 Found\r\n\r\n')), 'passed');
  t.is(says(codes, head('HTTP/1.1 204 No Content\r\n\r\n')), 'HTTP 204, expected 200, 301-302');
});

test('HTTP: what is no reply is a failure that says what came', (t) => {
  for (const text of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    '\r\n\r\n',
  ]) {
    t.regex(says(http, head(text)), /^malformed reply: "/, text);
  }
  t.is(says(http, head('\x1b[2J"\\\n')), 'malformed reply: "\\x1b[2J\\x22\\x5c\\x0a"');
  t.is(says(http, {}), 'connection closed without a reply');
  t.is(says(http, head('HTTP/1.1 200 OK\r\nServer')), 'HTTP 200, but the connection closed within the header');
  t.is(
    says(http, head(`HTTP/1.1 200 OK\r\n${'x'.repeat(8175)}`)),
    'passed',
    'a head above the limit: status line alone',
  );
  t.is(says(http, { error: 'ETIMEDOUT' }), 'no reply within 500 ms');
  t.is(says(http, { error: 'ECONNRESET' }), 'exchange: ECONNRESET');
  t.is(says(http, { error: 'ECONNREFUSED' }), 'connect: ECONNREFUSED');
  t.is(says({ ...http, tls: true }, { error: 'ERR_SSL_WRONG_VERSION_NUMBER' }), 'TLS: ERR_SSL_WRONG_VERSION_NUMBER');
});

test('UDP: silence passes where no reply is expected, an ICMP error fails', (t) => {
  t.is(says(udp, {}), 'passed');
  t.is(says(udp, { error: 'ECONNREFUSED' }), 'ICMP port unreachable');
  t.is(says(udp, { error: 'EHOSTUNREACH' }), 'send: EHOSTUNREACH');
  t.is(
    compiled(udp, { intervalMs: 5000, timeoutMs: 10_000 }).request.timeoutMs,
    5000,
    'silence is awaited one interval at most',
  );
});

test('UDP: an expected reply must come and begin as expected', (t) => {
  const probe = { ...udp, expectedReply: Buffer.from('pong') };
  t.is(compiled(probe, { intervalMs: 5000, timeoutMs: 10_000 }).request.timeoutMs, 10_000);
  t.is(compiled(probe).request.receive, 4);
  t.is(says(probe, head('pong 42')), 'passed');
  t.is(says(probe, head('pin')), 'reply "pin", expected "pong"');
  t.is(says(probe, { error: 'ETIMEDOUT' }), 'no reply within 500 ms');
});

test('the server name of TLS is the host without port, and never an address', (t) => {
  t.is(serverName('www.example.org:8443'), 'www.example.org');
  for (const host of ['', '192.0.2.1', '192.0.2.1:443', '[2001:db8::1]:443', '2001:db8::1'])
    t.is(serverName(host), null, host);
});

test('codes and durations read as people write them', (t) => {
  t.is(
    formatCodes([
      [200, 299],
      [304, 304],
      [400, 403],
    ]),
    '2xx, 304, 400-403',
  );
  t.deepEqual([250, 5000, 1500].map(formatDuration), ['250 ms', '5 s', '1.5 s']);
});

test('specs are compared by value, down to bytes and ranges', (t) => {
  const a = target('a', { check: { ...tcpCheck, probe: udp } });
  t.true(sameSpec(a, structuredClone(a)));
  t.false(sameSpec(a, { ...a, mark: 0 }));
  t.false(sameSpec(a, { ...a, check: { ...a.check, rise: 9 } }));
  t.false(sameSpec(a, { ...a, check: { ...a.check, probe: { ...udp, request: Buffer.from('pinG') } } }));
  const b = target('b', { check: { ...tcpCheck, probe: http } });
  t.true(sameSpec(b, structuredClone(b)));
  t.false(sameSpec(b, { ...b, check: { ...b.check, probe: { ...http, expectedCodes: [[200, 298]] } } }));
  t.false(sameSpec(a, b));
});
