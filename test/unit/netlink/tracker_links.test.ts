/** Next hops behind VLANs and bonds, and the ways out to them. */
import test from 'ava';
import { NUD } from '../../../src/netlink/kernel.js';
import { linkMessage } from './kernel_side.js';
import { ETH0, ETH1, MAC_A, MAC_B, onLink, setUp } from './tracker_bed.js';

const VLAN = {
  ifindex: 5,
  name: 'eth0.20',
  mac: ETH0.mac,
  mtu: 1500,
  up: true,
  type: 'vlan',
  parent: 2,
  vlan: { id: 20 },
};

test('a next hop behind a VLAN names its tag; the way out its parent', (t) => {
  const { kernel, tracker, run, changes } = setUp();
  kernel.notify(linkMessage(VLAN));
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9', 5));
  kernel.neighbours.set('5 10.0.0.9', { ifindex: 5, address: '10.0.0.9', mac: MAC_A, state: NUD.REACHABLE });
  tracker.setAddresses(['10.0.0.9']);
  run();
  t.true(kernel.asked.includes('manage 5 10.0.0.9'), 'the VLAN asks');
  t.like(tracker.get('10.0.0.9'), {
    state: 'resolved',
    mac: MAC_A,
    ifindex: 5,
    device: 'eth0.20',
    vlan: 20,
    steered: true,
  });
  t.deepEqual(tracker.waysOut().get('eth0.20'), { device: 'eth0.20', ports: [2], mac: ETH0.mac, vlan: 20 });
  t.true(changes.some(({ waysOut }) => waysOut));
});

test('a VLAN that appears on the interface has what went back untagged steered, and back when it goes', (t) => {
  const { kernel, tracker, run, neighbour, changes } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  t.like(tracker.get('10.0.0.9'), { device: 'eth0', steered: false });
  t.is(tracker.waysOut().size, 0);
  changes.length = 0;

  kernel.notify(linkMessage(VLAN));
  run();
  t.like(tracker.get('10.0.0.9'), { device: 'eth0', vlan: 0, steered: true });
  t.like(changes[0], { addresses: ['10.0.0.9'], waysOut: true }, 'told at once, with its way out');
  kernel.notify(linkMessage(VLAN, { removed: true }));
  run();
  t.like(tracker.get('10.0.0.9'), { device: 'eth0', steered: false });
});

test("a bond's failover, and another MAC, change its way out alone: no next hop", (t) => {
  const { kernel, tracker, run, changes } = setUp({ interfaces: ['bond0'] });
  const bond = { ifindex: 9, name: 'bond0', mac: ETH0.mac, mtu: 1500, up: true, type: 'bond' };
  const slaveOf = (link: typeof ETH0, active: boolean) => ({ ...link, master: 9, slave: { active, linkUp: true } });
  kernel.notify(linkMessage({ ...bond, bond: { mode: 1, activeSlave: 2 } }));
  kernel.notify(linkMessage(slaveOf(ETH0, true)), linkMessage(slaveOf(ETH1, false)));
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9', 9));
  kernel.neighbours.set('9 10.0.0.9', { ifindex: 9, address: '10.0.0.9', mac: MAC_A, state: NUD.REACHABLE });
  tracker.setAddresses(['10.0.0.9']);
  run();
  t.like(tracker.get('10.0.0.9'), { state: 'resolved', device: 'bond0', vlan: 0, steered: true });
  t.deepEqual(tracker.waysOut().get('bond0')?.ports, [2]);
  t.deepEqual(
    tracker.ports().map(({ name }) => name),
    ['eth0', 'eth1'],
  );
  t.deepEqual(tracker.macs(), [ETH0.mac, ETH1.mac]);
  changes.length = 0;

  kernel.notify(linkMessage({ ...bond, bond: { mode: 1, activeSlave: 3 } }));
  kernel.notify(linkMessage(slaveOf(ETH0, false)), linkMessage(slaveOf(ETH1, true)));
  run();
  t.deepEqual(changes, [{ addresses: [], interfaces: true, waysOut: true }]);
  t.deepEqual(tracker.waysOut().get('bond0')?.ports, [3]);

  kernel.notify(linkMessage({ ...bond, mac: MAC_B, bond: { mode: 1, activeSlave: 3 } }));
  run();
  t.is(tracker.waysOut().get('bond0')?.mac, MAC_B);
  t.like(tracker.get('10.0.0.9'), { mac: MAC_A, device: 'bond0' });
});

test('slaves that come and go while running are ports that come and go', (t) => {
  const { kernel, tracker, run } = setUp({ interfaces: ['bond0'] });
  const bond = { ifindex: 9, name: 'bond0', mac: ETH0.mac, mtu: 1500, up: true, type: 'bond', bond: { mode: 4 } };
  const slaveOf = (link: typeof ETH0) => ({ ...link, master: 9, slave: { active: true, linkUp: true } });
  run();
  t.deepEqual([tracker.ports(), tracker.missing()], [[], ['bond0']]);
  kernel.notify(linkMessage(bond));
  run();
  t.regex(tracker.problems().join(), /bond bond0 has no interface yet/);
  kernel.notify(linkMessage(slaveOf(ETH0)), linkMessage(slaveOf(ETH1)));
  run();
  t.deepEqual(
    tracker.ports().map(({ name, serves }) => `${name} ${serves}`),
    ['eth0 bond0', 'eth1 bond0'],
  );
  t.deepEqual([tracker.missing(), tracker.problems()], [[], []]);
  kernel.notify(linkMessage(ETH0));
  run();
  t.deepEqual(
    tracker.ports().map(({ name }) => name),
    ['eth1'],
  );
  t.deepEqual(tracker.waysOut().size, 0, 'one port again: nothing to steer');
});

test('an interface that is made anew under its name is a way out with another index', (t) => {
  const { kernel, tracker, run } = setUp({ interfaces: ['eth0', 'eth1'] });
  run();
  t.deepEqual(tracker.waysOut().get('eth1')?.ports, [3]);
  kernel.notify(linkMessage(ETH1, { removed: true }));
  run();
  t.false(tracker.waysOut().has('eth1'));
  t.deepEqual(tracker.missing(), ['eth1']);
  kernel.notify(linkMessage({ ...ETH1, ifindex: 33, mac: MAC_B }));
  run();
  t.deepEqual(tracker.waysOut().get('eth1'), { device: 'eth1', ports: [33], mac: MAC_B, vlan: 0 });
});
