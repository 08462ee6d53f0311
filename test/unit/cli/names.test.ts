import test from 'ava';
import { UsageError } from '../../../src/cli/errors.js';
import { formatEndpoint, parseBackendName, parseEndpoint, parseHex, parseWord } from '../../../src/cli/names.js';
import { toFilter } from '../../../src/cli/session_filter.js';

test('endpoints are ADDRESS:PORT, IPv6 in brackets', (t) => {
  t.deepEqual(parseEndpoint('198.51.100.7:40000'), { address: '198.51.100.7', port: 40_000 });
  t.deepEqual(parseEndpoint('[2001:db8::7]:53'), { address: '2001:db8::7', port: 53 });
  for (const wrong of [
    '198.51.100.7',
    '198.51.100.7:0',
    '198.51.100.7:65536',
    '2001:db8::7:53',
    '[198.51.100.7]:53',
    '[2001:db8::7]',
    'host:80',
    ':80',
    '',
  ]) {
    t.throws(() => parseEndpoint(wrong), { instanceOf: UsageError }, wrong);
  }
});

test('what is printed as an endpoint is read as one', (t) => {
  for (const [address, port] of [
    ['192.0.2.1', 443],
    ['2001:db8::1', 53],
  ] as const) {
    t.deepEqual(parseEndpoint(formatEndpoint(address, port)), { address, port });
  }
});

test('bytes are pairs of hexadecimal digits', (t) => {
  t.deepEqual([...parseHex('--quic-id', '07c4:605E')], [7, 0xc4, 0x60, 0x5e]);
  t.is(parseHex('--quic-id', '').length, 0);
  for (const wrong of ['7', '0x07', '07 c4', 'zz']) {
    t.throws(() => parseHex('--quic-id', wrong), { instanceOf: UsageError, message: /--quic-id/ });
  }
});

test('a backend is named with its group', (t) => {
  t.deepEqual(parseBackendName('web/be1'), { group: 'web', backend: 'be1' });
  for (const wrong of ['be1', 'web/', '/be1', 'a/b/c', ''])
    t.throws(() => parseBackendName(wrong), { instanceOf: UsageError });
});

test('words are taken in any case; unknown ones are answered with those that are known', (t) => {
  t.is(parseWord('protocol', 'tcp', ['TCP', 'UDP']), 'TCP');
  t.throws(() => parseWord('protocol', 'sctp', ['TCP', 'UDP']), { message: /tcp, udp/ });
});

test('filters hold what was given and nothing else', (t) => {
  t.is(toFilter({}), null);
  t.deepEqual(toFilter({ backend: 'web/be1', port: 443, protocol: 'udp', state: 'young' }), {
    backendGroup: 'web',
    backend: 'be1',
    vipPort: 443,
    protocol: 'UDP',
    state: 'YOUNG',
  });
  t.deepEqual(toFilter({ group: 'web', backend: 'be1', client: '198.51.100.0/24' }), {
    backendGroup: 'web',
    backend: 'be1',
    client: '198.51.100.0/24',
  });
});
