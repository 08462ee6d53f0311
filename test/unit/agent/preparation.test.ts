import test from 'ava';
import { type Backend, BackendFlags, Forwarding } from '../../../src/abi/abi.generated.js';
import { NextHopPreparation } from '../../../src/agent/preparation.js';
import { ObservedState } from '../../../src/agent/state.js';
import { ipToBytes, parseMac } from '../../../src/base/ip.js';
import type { BackendGroup, Desired } from '../../../src/config/desired.js';
import type { NextHopTracker } from '../../../src/netlink/tracker.js';
import type { NextHop } from '../../../src/netlink/types.js';

const address = '203.0.113.21';
const mac = '02:00:5e:10:00:01';

function desiredOf(...addresses: string[]): Desired {
  const backends = addresses.map((one, i) => ({ name: `be${i}`, address: one, family: 4, weight: 100, zone: '' }));
  return {
    loadBalancers: [],
    accessLists: [],
    addressPools: [],
    backendGroups: [{ name: 'web', forwarding: 'L2_DSR', backends } as unknown as BackendGroup],
  };
}

function rowOf(flags: number): Backend {
  return {
    nextHop: parseMac(mac)!,
    forwarding: Forwarding.FORWARD_L2_DSR,
    flags,
    outerSum: 0,
    identity: 1n,
    address: ipToBytes(address),
    source: new Uint8Array(16),
    mtu: 1500,
    pool: 0,
    egress: 0,
    tunnelPort: 0,
    outerBytes: 0,
    weight: 100,
  };
}

/** A tracker whose answers are set by hand. */
function trackerOf(hops: Map<string, NextHop>): NextHopTracker {
  const silent: NextHop = { state: 'unresolved', reason: 'waiting for the answer to ARP' };
  const tracker: Partial<NextHopTracker> = {
    setAddresses: () => {},
    settled: async () => {},
    get: (one) => hops.get(one) ?? silent,
  };
  return tracker as NextHopTracker;
}

const answered: NextHop = {
  state: 'resolved',
  mac: '02:00:5e:10:00:02',
  ifindex: 3,
  device: 'eth0',
  vlan: 0,
  steered: false,
  mtu: 1500,
  source: '203.0.113.11',
  via: address,
};

test('after a restart a neighbour that is slow to answer keeps the MAC by which packets go to it', async (t) => {
  const observed = new ObservedState();
  const hops = new Map<string, NextHop>();
  const preparation = new NextHopPreparation(trackerOf(hops), observed);
  preparation.adopt([rowOf(BackendFlags.BACKEND_IN_USE | BackendFlags.BACKEND_UP)], { onEnd: () => {} });
  await preparation.prepare(desiredOf(address));
  t.like(observed.now.nextHops.get(address), { state: 'resolved', mac });

  hops.set(address, answered);
  t.true(preparation.take([address]));
  t.deepEqual(observed.now.nextHops.get(address), answered);
  hops.delete(address);
  t.true(preparation.take([address]), 'once the kernel has answered, it is believed');
  t.like(observed.now.nextHops.get(address), { state: 'unresolved' });
});

test('a backend that was down gets no next hop from the tables', async (t) => {
  const observed = new ObservedState();
  const preparation = new NextHopPreparation(trackerOf(new Map()), observed);
  preparation.adopt([rowOf(BackendFlags.BACKEND_IN_USE)], { onEnd: () => {} });
  await preparation.prepare(desiredOf(address));
  t.like(observed.now.nextHops.get(address), { state: 'unresolved' });
});

test('next hops that no configuration names any more are forgotten once it is in force', async (t) => {
  const observed = new ObservedState();
  const preparation = new NextHopPreparation(trackerOf(new Map([[address, answered]])), observed);
  await preparation.prepare(desiredOf(address, '203.0.113.22'));
  await preparation.prepare(desiredOf('203.0.113.22'));
  t.true(observed.now.nextHops.has(address), 'the configuration before may have to come back');
  preparation.forgetUnused();
  t.deepEqual([...observed.now.nextHops.keys()], ['203.0.113.22']);
});
