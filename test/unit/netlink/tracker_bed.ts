/** A tracker of next hops on a kernel and a clock that the test moves. */
import type { Ip } from '../../../src/base/ip.js';
import { createNextHopTracker, type NextHopChange } from '../../../src/netlink/tracker.js';
import { FakeClock, FakeKernel, type FakeNeighbour, neighbourMessage } from './kernel_side.js';

export const ETH0 = { ifindex: 2, name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500, up: true };
export const ETH1 = { ifindex: 3, name: 'eth1', mac: '02:00:00:00:01:01', mtu: 9000, up: true };
export const MAC_A = '02:00:00:00:00:0a';
export const MAC_B = '02:00:00:00:00:0b';

export function onLink(address: Ip, oif = 2) {
  return { destination: address, prefixBits: 32, oif, source: '10.0.0.1' };
}

export function setUp(options: { readonly managed?: boolean; readonly interfaces?: readonly string[] } = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const changes: NextHopChange[] = [];
  kernel.knowsManaged = options.managed ?? true;
  kernel.links.push(ETH0, ETH1, { ifindex: 4, name: 'wg0', mac: null, mtu: 1420, up: true });
  const tracker = createNextHopTracker({
    netlink: kernel.port,
    clock,
    interfaces: options.interfaces ?? ['eth0'],
    onChange: (change) => changes.push(change),
    graceMs: 30_000,
  });
  const run = (ms = 20) => {
    for (let passed = 0; passed < ms; passed += 5) {
      kernel.deliver();
      clock.advance(5);
    }
    kernel.deliver();
  };
  const neighbour = (address: Ip, change: Partial<FakeNeighbour>) => {
    const key = `2 ${address}`;
    const after = { ifindex: 2, address, mac: null, state: 0, ...kernel.neighbours.get(key), ...change };
    kernel.neighbours.set(key, after);
    kernel.notify(neighbourMessage(after));
    run();
  };
  return { kernel, clock, changes, tracker, run, neighbour };
}

export function reason(hop: ReturnType<ReturnType<typeof setUp>['tracker']['get']>): string {
  return hop.state === 'unresolved' ? hop.reason : `resolved ${hop.mac}`;
}
