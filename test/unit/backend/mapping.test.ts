import test from 'ava';
import fc from 'fast-check';
import { BackendError } from '../../../src/backend/errors.js';
import { checkMappings, formatMapping, type PortMapping, parseMapping } from '../../../src/backend/mapping.js';
import { bytesToIp } from '../../../src/base/ip.js';

const mapping = (text: string): PortMapping => {
  const parsed = parseMapping(text);
  if (parsed === null) throw new Error(`no mapping: ${text}`);
  return parsed;
};

function refusal(...texts: readonly string[]): string {
  try {
    checkMappings(texts.map(mapping));
  } catch (error) {
    if (error instanceof BackendError) return `${error.message} | ${error.hint}`;
    throw error;
  }
  return '';
}

test('a mapping names protocol, VIP and port, and the own address and port; IPv6 addresses stand in brackets', (t) => {
  t.deepEqual(mapping('tcp:192.0.2.10:80=203.0.113.21:8080'), {
    protocol: 'tcp',
    vip: '192.0.2.10',
    vipPort: 80,
    host: '203.0.113.21',
    hostPort: 8080,
  });
  t.deepEqual(mapping('udp:[2001:DB8::10]:53=[2001:db8:200::21]:5353'), {
    protocol: 'udp',
    vip: '2001:db8::10',
    vipPort: 53,
    host: '2001:db8:200::21',
    hostPort: 5353,
  });
  for (const text of [
    '',
    'tcp:192.0.2.10:80',
    'sctp:192.0.2.10:80=203.0.113.21:8080',
    'tcp:192.0.2.10=203.0.113.21:8080',
    'tcp:192.0.2.10:0=203.0.113.21:8080',
    'tcp:192.0.2.10:65536=203.0.113.21:8080',
    'tcp:2001:db8::10:80=203.0.113.21:8080',
    'tcp:[192.0.2.10]:80=203.0.113.21:8080',
    'tcp:192.0.2.10:80=203.0.113.21:8080=1.2.3.4:5',
    'tcp:web:80=203.0.113.21:8080',
  ])
    t.is(parseMapping(text), null, text);
});

test('every mapping survives its text', (t) => {
  const v4 = fc.tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255)).map((n) => n.join('.'));
  const v6 = fc.uint8Array({ minLength: 15, maxLength: 15 }).map((bytes) => bytesToIp(Uint8Array.of(0x20, ...bytes)));
  const port = fc.integer({ min: 1, max: 65535 });
  const some = fc.record({
    protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
    vip: fc.oneof(v4, v6),
    vipPort: port,
    host: fc.oneof(v4, v6),
    hostPort: port,
  });
  fc.assert(fc.property(some, (one) => void t.deepEqual(parseMapping(formatMapping(one)), one)));
});

test("mappings by which a reply's VIP would not be clear are refused, and told why", (t) => {
  t.regex(
    refusal('tcp:192.0.2.10:80=203.0.113.21:8080', 'tcp:192.0.2.11:80=203.0.113.21:8080'),
    /^--map tcp:192\.0\.2\.11:80=203\.0\.113\.21:8080: tcp 203\.0\.113\.21:8080 belongs to tcp 192\.0\.2\.10:80 already \| .*second port/,
  );
  t.regex(
    refusal('tcp:192.0.2.10:80=203.0.113.21:8080', 'tcp:192.0.2.10:80=203.0.113.21:8081'),
    /192\.0\.2\.10:80 is mapped to tcp 203\.0\.113\.21:8080 already/,
  );
  t.regex(
    refusal('tcp:192.0.2.10:80=203.0.113.21:8080', 'tcp:203.0.113.21:8080=203.0.113.21:9090'),
    /203\.0\.113\.21:8080 is itself mapped/,
  );
  t.is(refusal('tcp:192.0.2.10:80=203.0.113.21:8080', 'udp:192.0.2.11:80=203.0.113.21:8080'), '');
  t.is(refusal('tcp:192.0.2.10:80=203.0.113.21:8080', 'tcp:192.0.2.10:80=203.0.113.21:8080'), '');
});

test('mappings that the host could not serve are refused', (t) => {
  t.regex(refusal('tcp:192.0.2.10:80=[2001:db8::21]:8080'), /192\.0\.2\.10 is IPv4 and 2001:db8::21 is IPv6/);
  t.regex(refusal('tcp:192.0.2.10:80=127.0.0.1:8080'), /127\.0\.0\.1 is a loopback address/);
  t.regex(refusal('tcp:[2001:db8::10]:80=[::1]:8080'), /::1 is a loopback address/);
  t.regex(refusal('tcp:192.0.2.10:80=0.0.0.0:8080'), /no unicast address/);
  t.regex(refusal('tcp:192.0.2.10:80=224.0.0.1:8080'), /no unicast address/);
  t.regex(refusal('udp:[2001:db8::10]:80=[ff02::1]:8080'), /no unicast address/);
  t.regex(refusal('tcp:192.0.2.10:80=192.0.2.10:80'), /nothing would change/);
  t.is(refusal('tcp:192.0.2.10:80=192.0.2.10:8080'), '');
});

test('the same mapping twice is one', (t) => {
  const one = mapping('tcp:192.0.2.10:80=203.0.113.21:8080');
  t.deepEqual(checkMappings([one, { ...one }]), [one]);
});
