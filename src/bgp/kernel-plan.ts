import { familyOf } from '../base/ip.js';
import type { KernelTableConfig } from '../config/cluster.js';
import type { RouteMessage } from '../netlink/decode.js';
import type { RouteKey } from '../netlink/encode.js';
import { RTN } from '../netlink/kernel.js';
import type { Change } from './route-socket.js';
import type { Route } from './types.js';

/** What else may be in the table is not ours to touch. */
export function isOurs({ table, protocol }: RouteMessage, config: KernelTableConfig): boolean {
  return table === config.table && protocol === config.protocol;
}

export function kernelRouteOf({ vip, preference }: Route, config: KernelTableConfig): RouteKey {
  const { table, protocol, primaryMetric, secondaryMetric } = config;
  const family = familyOf(vip);
  const metric = preference === 'primary' ? primaryMetric : secondaryMetric;
  return { family, destination: vip, prefixBits: bitsOf(family), table, protocol, metric };
}

/** What a route of the kernel announces; null when it is none that we write. */
export function routeOf(message: RouteMessage, { primaryMetric, secondaryMetric }: KernelTableConfig): Route | null {
  const { destination, prefixBits, family, type, metric } = message;
  if (destination === null || prefixBits !== bitsOf(family) || type !== RTN.BLACKHOLE) return null;
  const preference = metric === primaryMetric ? 'primary' : metric === secondaryMetric ? 'secondary' : null;
  return preference && { vip: destination, preference, med: null, prepend: 0, communities: [] };
}

/** `have`: what `isOurs` of the kernel's routes. Additions come first: a route that changes its metric is never away. */
export function planKernel(
  have: readonly RouteMessage[],
  want: readonly Route[],
  config: KernelTableConfig,
): readonly Change[] {
  const missing = new Map(want.map((route) => [keyOf(kernelRouteOf(route, config)), kernelRouteOf(route, config)]));
  const removals: Change[] = [];
  for (const message of have) {
    // What we did not write, a route by an interface or to a network, is in the way or misleads: it goes.
    const good = message.type === RTN.BLACKHOLE && missing.delete(keyOf(message));
    if (!good) removals.push({ wish: 'remove', route: message });
  }
  const clearing = removals.filter(({ route }) => missing.has(keyOf(route)));
  return [
    ...clearing,
    ...[...missing.values()].map((route): Change => ({ wish: 'add', route })),
    ...removals.filter((removal) => !clearing.includes(removal)),
  ];
}

function keyOf({ destination, prefixBits, metric }: RouteKey): string {
  return `${destination} ${prefixBits} ${metric}`;
}

function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}
