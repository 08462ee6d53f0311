import test from 'ava';
import type { Ip } from '../../../src/base/ip.js';
import { NUD, RTN } from '../../../src/netlink/kernel.js';
import { linkMessage, message, neighbourMessage, routeMessage } from './kernel_side.js';
import { ETH0, MAC_A, MAC_B, onLink, reason, setUp } from './tracker_bed.js';

test('an address on the link is asked for, then resolved with the interface, MTU and source', (t) => {
  const { kernel, tracker, run, neighbour, changes } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  t.true(kernel.asked.includes('manage 2 10.0.0.9'));
  t.regex(reason(tracker.get('10.0.0.9')), /waiting for the answer to ARP from 10.0.0.9 on eth0/);
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  t.deepEqual(tracker.get('10.0.0.9'), {
    state: 'resolved',
    mac: MAC_A,
    ifindex: 2,
    device: 'eth0',
    vlan: 0,
    steered: false,
    mtu: 1500,
    source: '10.0.0.1',
    via: '10.0.0.9',
  });
  t.deepEqual(changes.at(-1)?.addresses, ['10.0.0.9']);
  t.deepEqual(tracker.problems(), []);
});

test('addresses behind a gateway share its neighbour, and the smaller of route and link MTU holds', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  for (const ip of ['192.0.2.1', '192.0.2.2'])
    kernel.routes.set(ip, { ...onLink(ip), gateway: '10.0.0.254', mtu: 1400 });
  tracker.setAddresses(['192.0.2.1', '192.0.2.2']);
  run();
  t.is(kernel.asked.filter((wish) => wish === 'manage 2 10.0.0.254').length, 1);
  neighbour('10.0.0.254', { mac: MAC_A, state: NUD.STALE });
  t.like(tracker.get('192.0.2.2'), { mac: MAC_A, via: '10.0.0.254', mtu: 1400 });
  tracker.setAddresses(['192.0.2.1']);
  run();
  t.false(
    kernel.asked.some((wish) => wish.startsWith('release')),
    'one user is left',
  );
  tracker.setAddresses([]);
  run();
  t.is(kernel.asked.filter((wish) => wish === 'release 2 10.0.0.254').length, 1);
});

test('what is in the way is said with the interface and the remedy', (t) => {
  const { kernel, tracker, run } = setUp({ interfaces: ['eth0', 'wg0'] });
  const cases: readonly (readonly [Ip, Parameters<typeof kernel.routes.set>[1], RegExp])[] = [
    ['10.1.0.1', 101, /no route to 10.1.0.1: add a route/],
    ['10.1.0.2', 113, /unreachable route: remove it/],
    ['10.1.0.3', 13, /prohibit route/],
    ['10.1.0.4', 22, /blackhole route/],
    ['10.1.0.5', 105, /refused to look up the route to 10.1.0.5: ENOBUFS/],
    ['10.1.0.6', onLink('10.1.0.6', 3), /leaves by eth1, which is no interface of this agent \(eth0, wg0\): add eth1/],
    ['10.1.0.7', onLink('10.1.0.7', 4), /wg0 has no Ethernet address/],
    ['10.1.0.8', { ...onLink('10.1.0.8'), type: RTN.LOCAL }, /an address of this host/],
    ['10.1.0.9', { destination: '10.1.0.9', prefixBits: 32, oif: 2 }, /no source address towards 10.1.0.9/],
    ['10.1.0.10', onLink('10.1.0.10', 77), /names no interface/],
  ];
  for (const [ip, answer] of cases) kernel.routes.set(ip, answer);
  tracker.setAddresses(cases.map(([ip]) => ip));
  run();
  for (const [ip, , words] of cases) t.regex(reason(tracker.get(ip)), words);
  t.regex(reason(tracker.get('10.9.9.9')), /nobody asked/);
});

test('a neighbour that falls silent keeps its MAC for 30 s, and is asked for again at once', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  const asked = kernel.asked.length;
  neighbour('10.0.0.9', { mac: null, state: NUD.FAILED });
  t.deepEqual(kernel.asked.slice(asked), ['manage 2 10.0.0.9']);
  run(29_900);
  t.is(tracker.get('10.0.0.9').state, 'resolved');
  run(200);
  t.regex(reason(tracker.get('10.0.0.9')), /no answer to ARP from 10.0.0.9 on eth0/);
});

test('a changed MAC is taken at once; an answer within the grace ends it', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  neighbour('10.0.0.9', { mac: null, state: NUD.FAILED });
  neighbour('10.0.0.9', { mac: MAC_B, state: NUD.REACHABLE });
  run(40_000);
  t.like(tracker.get('10.0.0.9'), { mac: MAC_B });
});

test('an interface that goes down unresolves at once; back up it is asked for again', (t) => {
  const { kernel, tracker, run, neighbour, changes } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  kernel.notify(
    linkMessage({ ...ETH0, up: false }),
    neighbourMessage({ ifindex: 2, address: '10.0.0.9', mac: null, state: 0 }, { removed: true }),
  );
  kernel.neighbours.clear();
  run();
  t.regex(reason(tracker.get('10.0.0.9')), /interface eth0 is down/);
  t.true(changes.at(-1)?.interfaces);
  t.regex(tracker.problems().join(), /interface eth0 is down/);
  const asked = kernel.asked.length;
  kernel.notify(linkMessage(ETH0));
  run();
  t.true(kernel.asked.slice(asked).includes('manage 2 10.0.0.9'));
  t.like(tracker.get('10.0.0.9'), { mac: MAC_A }, 'its last MAC serves while ARP is under way');
});

test('a route change moves only the addresses in its prefix', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  for (const ip of ['192.0.2.1', '198.51.100.1']) kernel.routes.set(ip, { ...onLink(ip), gateway: '10.0.0.254' });
  tracker.setAddresses(['192.0.2.1', '198.51.100.1']);
  run();
  neighbour('10.0.0.254', { mac: MAC_A, state: NUD.REACHABLE });
  const asked = kernel.asked.length;
  kernel.routes.set('192.0.2.1', { ...onLink('192.0.2.1'), gateway: '10.0.0.253' });
  kernel.notify(routeMessage({ destination: '192.0.2.0', prefixBits: 24, oif: 2, gateway: '10.0.0.253' }));
  run();
  t.deepEqual(kernel.asked.slice(asked), ['route 192.0.2.1', 'manage 2 10.0.0.253']);
  neighbour('10.0.0.253', { mac: MAC_B, state: NUD.REACHABLE });
  t.like(tracker.get('192.0.2.1'), { mac: MAC_B });
  t.like(tracker.get('198.51.100.1'), { mac: MAC_A });
});

test('a permanent entry is used and never touched', (t) => {
  const { kernel, tracker, run } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  kernel.neighbours.set('2 10.0.0.9', { ifindex: 2, address: '10.0.0.9', mac: MAC_A, state: NUD.PERMANENT });
  tracker.setAddresses(['10.0.0.9']);
  run();
  t.like(tracker.get('10.0.0.9'), { mac: MAC_A });
  tracker.setAddresses([]);
  run();
  t.false(kernel.asked.some((wish) => /^(manage|use|release)/.test(wish)));
});

test('a kernel without managed neighbours is found out, and aged entries are triggered again', (t) => {
  const { kernel, tracker, run, neighbour } = setUp({ managed: false });
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  t.regex(tracker.problems().join(), /no managed neighbours/);
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  const asked = kernel.asked.length;
  run(6000);
  t.deepEqual(kernel.asked.slice(asked), [], 'a fresh entry is left alone');
  neighbour('10.0.0.9', { state: NUD.STALE });
  run(6000);
  t.deepEqual(kernel.asked.slice(asked), ['use 2 10.0.0.9']);
});

test('after an overrun everything is read again, and what was missed is found', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  kernel.neighbours.set('2 10.0.0.9', {
    ifindex: 2,
    address: '10.0.0.9',
    mac: MAC_B,
    state: NUD.REACHABLE,
    extendedFlags: 1,
  });
  kernel.overrun();
  run(200);
  t.like(tracker.get('10.0.0.9'), { mac: MAC_B });
  t.regex(tracker.problems().join(), /overran 1 times/);
});

test('a kernel that does not answer is asked again, and said to be silent', (t) => {
  const { kernel, tracker, run } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  run();
  kernel.silent = true;
  tracker.setAddresses(['10.0.0.9']);
  run(4100);
  t.regex(tracker.problems().join(), /no answer from netlink/);
  kernel.silent = false;
  run(1100);
  t.regex(reason(tracker.get('10.0.0.9')), /waiting for the answer/);
  t.deepEqual(tracker.problems(), []);
});

test('a dump that was interrupted is repeated', (t) => {
  const { kernel, run, tracker } = setUp();
  run();
  kernel.asked.length = 0;
  kernel.interruptions = 2;
  tracker.refresh();
  run();
  t.deepEqual(kernel.asked, ['links', 'neighbours', 'links', 'neighbours']);
});

test('a table that changes during each dump is not asked for without end: told, and tried again after a pause', (t) => {
  const { kernel, run, tracker } = setUp();
  run();
  kernel.asked.length = 0;
  kernel.interruptions = 1_000_000;
  tracker.refresh();
  run();
  t.is(kernel.asked.filter((what) => what === 'links').length, 11);
  t.regex(tracker.problems().join(), /refused to list its links: .*(EINTR|4)/);
  kernel.interruptions = 0;
  run(1100);
  t.deepEqual(tracker.problems(), []);
});

test('2,000 addresses at once: requests are paced, changes told in few calls', async (t) => {
  const { kernel, tracker, run, changes, neighbour } = setUp();
  const addresses = Array.from({ length: 2000 }, (_, i) => `10.2.${i >> 8}.${i & 255}`);
  for (const ip of addresses) kernel.routes.set(ip, { ...onLink(ip), gateway: '10.0.0.254' });
  tracker.setAddresses(addresses);
  const settled = tracker.settled();
  run(100);
  await settled;
  changes.length = 0;
  neighbour('10.0.0.254', { mac: MAC_A, state: NUD.REACHABLE });
  t.is(changes.length, 1);
  t.is(changes[0]?.addresses.length, 2000);
});

test('neighbours are asked whether they are still there on demand, and stay managed', (t) => {
  const { kernel, tracker, run, neighbour } = setUp();
  kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
  tracker.setAddresses(['10.0.0.9']);
  run();
  neighbour('10.0.0.9', { mac: MAC_A, state: NUD.REACHABLE });
  const asked = kernel.asked.length;
  tracker.verify(['10.0.0.9', '10.0.0.77']);
  run();
  t.deepEqual(kernel.asked.slice(asked), ['verify 2 10.0.0.9', 'manage 2 10.0.0.9']);
  t.is(kernel.neighbours.get('2 10.0.0.9')?.extendedFlags, 1);
});

test('closing leaves the neighbours resolved for the next agent, unless asked to release them', (t) => {
  for (const release of [false, true]) {
    const { kernel, tracker, run } = setUp();
    kernel.routes.set('10.0.0.9', onLink('10.0.0.9'));
    tracker.setAddresses(['10.0.0.9']);
    run();
    tracker.close({ release });
    t.is(kernel.asked.includes('release 2 10.0.0.9'), release);
    t.true(kernel.closed);
  }
});

test('a datagram that makes no sense is counted and told, and nothing else happens', (t) => {
  const { kernel, tracker, run } = setUp();
  run();
  kernel.notify(Uint8Array.of(1, 2, 3));
  run();
  kernel.notify(message(28, new Uint8Array(4), []));
  run();
  t.regex(tracker.problems().join(), /2 netlink messages made no sense/);
});
