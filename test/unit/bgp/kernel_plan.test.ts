import test from 'ava';
import fc from 'fast-check';
import { isOurs, kernelRouteOf, planKernel, routeOf } from '../../../src/bgp/kernel-plan.js';
import type { Route } from '../../../src/bgp/types.js';
import type { KernelTableConfig } from '../../../src/config/cluster.js';
import { decode, type RouteMessage } from '../../../src/netlink/decode.js';
import { encodeBlackhole, type RouteKey } from '../../../src/netlink/encode.js';
import { RTN } from '../../../src/netlink/kernel.js';
import { route } from './sample.js';

const config: KernelTableConfig = { kind: 'kernel', table: 83, protocol: 83, primaryMetric: 100, secondaryMetric: 200 };
const vips = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'];

/** As the kernel tells a blackhole route that was written with this key. */
function told(key: RouteKey, type: number = RTN.BLACKHOLE): RouteMessage {
  const [message] = decode(encodeBlackhole(1, key)).messages;
  if (message?.kind !== 'route') throw new Error(`a ${message?.kind}`);
  return { ...message, type };
}

const wanted: fc.Arbitrary<readonly Route[]> = fc
  .uniqueArray(
    fc.record({ vip: fc.constantFrom(...vips), preference: fc.constantFrom('primary' as const, 'secondary' as const) }),
    { selector: ({ vip }) => vip },
  )
  .map((routes) => routes.map(({ vip, preference }) => route(vip, { preference })));

const there = fc
  .uniqueArray(
    fc.record({
      vip: fc.constantFrom(...vips, '198.51.100.1'),
      metric: fc.constantFrom(0, 100, 200, 300),
      type: fc.constantFrom(RTN.BLACKHOLE, RTN.UNICAST, RTN.UNREACHABLE),
    }),
    { selector: ({ vip, metric }) => `${vip} ${metric}` },
  )
  .map((all) => all.map(({ vip, metric, type }) => told({ ...kernelRouteOf(route(vip), config), metric }, type)));

const keyOf = ({ destination, metric }: RouteKey): string => `${destination} ${metric}`;

test('a route is read as it was written', (t) => {
  for (const vip of vips) {
    for (const preference of ['primary', 'secondary'] as const) {
      const message = told(kernelRouteOf(route(vip, { preference }), config));
      t.like(message, { ...kernelRouteOf(route(vip, { preference }), config), type: RTN.BLACKHOLE });
      t.true(isOurs(message, config));
      t.deepEqual(routeOf(message, config), route(vip, { preference }));
    }
  }
  const far = kernelRouteOf(route('192.0.2.1'), { ...config, table: 70_000 });
  t.is(told(far).table, 70_000);
});

test('whatever is there, the plan leads to what is wanted, no step is refused, and no VIP is away meanwhile', (t) => {
  fc.assert(
    fc.property(there, wanted, (have, want) => {
      const table = new Map(have.map((message) => [keyOf(message), message.type]));
      const announced = (vip: string): boolean =>
        [...table].some(([key, type]) => key.startsWith(`${vip} `) && type === RTN.BLACKHOLE && !key.endsWith(' 300'));
      const stay = want.map(({ vip }) => vip).filter(announced);
      for (const { wish, route: key } of planKernel(have, want, config)) {
        t.is(table.has(keyOf(key)), wish === 'remove', `${wish} ${keyOf(key)}`);
        if (wish === 'add') table.set(keyOf(key), RTN.BLACKHOLE);
        else table.delete(keyOf(key));
        for (const vip of stay)
          t.true(
            [...table.keys()].some((one) => one.startsWith(`${vip} `)),
            vip,
          );
      }
      const expected = want.map((one) => [keyOf(kernelRouteOf(one, config)), RTN.BLACKHOLE] as const);
      t.deepEqual([...table].sort(), [...expected].sort());
    }),
  );
});

test('what is as it should be is left alone', (t) => {
  fc.assert(
    fc.property(wanted, (want) => {
      const have = want.map((one) => told(kernelRouteOf(one, config)));
      t.deepEqual(planKernel(have, want, config), []);
    }),
  );
});
