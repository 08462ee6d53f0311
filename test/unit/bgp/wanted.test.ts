import test from 'ava';
import fc from 'fast-check';
import { parseIp } from '../../../src/base/ip.js';
import { adopt } from '../../../src/bgp/adopt.js';
import { modelOf } from '../../../src/bgp/model.js';
import { render } from '../../../src/bgp/render.js';
import type { Route } from '../../../src/bgp/types.js';
import { attributesOf, parseCommunity, wantedOf } from '../../../src/bgp/wanted.js';
import { configOf, neighbor, route } from './sample.js';

const vip = fc.oneof(
  fc.ipV4(),
  fc
    .ipV6()
    .filter((text) => parseIp(text) !== null)
    .map((text) => parseIp(text)!),
);
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const community = fc.oneof(
  fc.tuple(u16, u16).map((parts) => parts.join(':')),
  fc.tuple(u32, u32, u32).map((parts) => parts.join(':')),
);
const anyRoute: fc.Arbitrary<Route> = fc.record({
  vip,
  preference: fc.constantFrom('primary' as const, 'secondary' as const),
  med: fc.option(u32),
  prepend: fc.integer({ min: 0, max: 64 }),
  communities: fc.array(community, { maxLength: 4 }),
});

test('what was rendered is read again, whatever the routes', (t) => {
  fc.assert(
    fc.property(fc.array(anyRoute), (routes) => {
      const wanted = wantedOf(routes);
      const surroundings = { passwords: new Map(), bootId: 'b', logFile: null };
      const text = render(modelOf(configOf(), wanted.routes, surroundings));
      t.deepEqual(adopt(text), { bootId: 'b', routes: wanted.routes });
    }),
  );
});

test('a file that somebody edited is not taken up', (t) => {
  const surroundings = { passwords: new Map(), bootId: 'b', logFile: null };
  const text = render(modelOf(configOf(), [route('192.0.2.1'), route('2001:db8::1')], surroundings));
  for (const [from, to] of [
    ['/32', '/24'],
    ['192.0.2.1', '192.0.2.1000'],
    ['"primary"', '"first"'],
    [' # {"preference":"primary"}', ''],
    ['# Written', '# written'],
    ['# boot b', '#'],
    ['blackhole;', 'via 10.0.0.1;'],
    ['{"preference":"primary"}', '{"preference":"primary","communities":["1"]}'],
    ['{"preference":"primary"}', '{"preference":"primary","communities":[1]}'],
    ['2001:db8::1/128 blackhole', '192.0.2.1/32 blackhole'],
  ] as const) {
    t.true(text.includes(from), from);
    t.is(adopt(text.replace(from, to)), null, `${from} -> ${to}`);
  }
});

test('the order in which routes are told makes no difference', (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyRoute, { selector: (one) => parseIp(one.vip) }),
      fc.func(fc.integer()),
      (routes, key) => {
        const shuffled = [...routes].sort((a, b) => key(a.vip) - key(b.vip));
        t.deepEqual(wantedOf(shuffled), wantedOf(routes));
      },
    ),
  );
});

test('a route that makes no sense is left out and named, the others stay', (t) => {
  const { routes, faults } = wantedOf([
    route('192.0.2.1'),
    route('192.0.2.2', { communities: ['70000:1'] }),
    route('192.0.2.3', { communities: ['1'] }),
    route('192.0.2.4/24'),
    route('192.0.2.5', { med: -1 }),
    route('192.0.2.6', { prepend: 65 }),
    route('192.0.2.7', { prepend: 1.5 }),
    route('192.0.2.8; } protocol kernel { export all'),
    route('192.0.2.9', { communities: ['1:2)); }'] }),
  ]);
  t.deepEqual(
    routes.map((one) => one.vip),
    ['192.0.2.1'],
  );
  t.is(faults.length, 8);
  t.is(
    faults[0],
    '192.0.2.2 is not announced: community "70000:1": "65000:100", or a large one as "65000:1:2", is expected',
  );
  t.is(faults[3], '192.0.2.5 is not announced: med -1: 0 to 4294967295 is expected');
});

test("a route's own attributes are added to those of its preference", (t) => {
  const preference = { med: 100, prepend: 2, communities: ['65000:1'] };
  t.deepEqual(attributesOf(route('192.0.2.1', { med: 5, prepend: 1, communities: ['65000:1', '1:2:3'] }), preference), {
    med: 105,
    prepend: 3,
    communities: [[65000, 1]],
    largeCommunities: [[1, 2, 3]],
  });
  t.is(attributesOf(route('192.0.2.1', { med: 0xffff_ffff }), preference).med, 0xffff_ffff);
  t.is(attributesOf(route('192.0.2.1'), { ...preference, med: null }).med, null);
  t.is(attributesOf(route('192.0.2.1'), { ...preference, med: 0 }).med, 0);
});

test('communities have two parts of 16 bits, or three of 32', (t) => {
  t.deepEqual(parseCommunity('65535:65535'), [65535, 65535]);
  t.deepEqual(parseCommunity('4294967295:0:1'), [4294967295, 0, 1]);
  for (const text of [
    '',
    '1',
    '1:',
    ':1',
    '65536:1',
    '1:65536',
    '4294967296:1:1',
    '1:1:1:1',
    '-1:1',
    '1e3:1',
    ' 1:1',
  ]) {
    t.throws(() => parseCommunity(text), { message: /is expected/ }, text);
  }
});

test('what BIRD could not express is said with field and remedy', (t) => {
  const surroundings = (text: string) => ({ passwords: new Map([['/p', text]]), bootId: 'b', logFile: null });
  const withPassword = configOf({ neighbors: [neighbor('203.0.113.1', { passwordFile: '/p' })] });
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['', /\/p is empty/],
    ['\n', /\/p is empty/],
    ['a"b', /without quotation marks/],
    ['two\nlines', /one line/],
    ['é', /printable ASCII/],
    ['x'.repeat(81), /81 characters, TCP MD5 takes 80/],
  ];
  for (const [text, message] of refusals) {
    t.throws(() => modelOf(withPassword, [], surroundings(text)), { message }, text);
  }
  t.is(modelOf(withPassword, [], surroundings('secret\r\n')).neighbors[0]!.password, 'secret');
  const far = configOf({ neighbors: [neighbor('2001:db8::1', { multihop: 2 })] });
  t.throws(() => modelOf(far, [], surroundings('')), { message: /BFD to it needs routes.localAddress6/ });
});
