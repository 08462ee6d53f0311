import test from 'ava';
import type { Link } from '../../../src/netlink/links.js';
import { Ports } from '../../../src/netlink/ports.js';
import type { WayOut } from '../../../src/netlink/types.js';

const macs = { eth0: '02:00:00:00:00:01', eth1: '02:00:00:00:01:01', bond0: '02:00:00:00:02:01' };

function link(ifindex: number, name: string, more: Partial<Link> = {}): Link {
  return {
    ifindex,
    name,
    mac: macs.eth0,
    mtu: 1500,
    up: true,
    loopback: false,
    type: null,
    master: null,
    parent: null,
    vlan: null,
    bond: null,
    slave: null,
    ...more,
  };
}

const lo = link(1, 'lo', { loopback: true, mac: '00:00:00:00:00:00' });
const eth0 = link(2, 'eth0');
const eth1 = link(3, 'eth1', { mac: macs.eth1 });
const vlanOf = (parent: Link, id: number, ifindex: number, more: Partial<Link> = {}): Link =>
  link(ifindex, `${parent.name}.${id}`, {
    type: 'vlan',
    parent: parent.ifindex,
    vlan: { id, protocol: 0x8100 },
    mac: parent.mac,
    ...more,
  });
const bondOf = (mode: number, activeSlave: number | null = null): Link =>
  link(9, 'bond0', { type: 'bond', mac: macs.bond0, bond: { mode, activeSlave } });
const slave = (one: Link, state: Partial<NonNullable<Link['slave']>> = {}, more: Partial<Link> = {}): Link => ({
  ...one,
  mac: macs.bond0,
  master: 9,
  slave: { active: true, linkUp: true, ...state },
  ...more,
});

function portNames(ports: Ports): string[] {
  return ports.all.map(({ name, serves }) => (serves.join() === name ? name : `${name} for ${serves.join('+')}`));
}

/** "eth0.20 by 2 tag 20 from ...", or why not. */
function text(way: WayOut | string): string {
  if (typeof way === 'string') return way;
  const { device, ports, mac, vlan } = way;
  return `${device} by ${ports.join('+')}${vlan === 0 ? '' : ` tag ${vlan}`} from ${mac}`;
}

test('one interface without VLANs: packets go back by the way that they came', (t) => {
  const ports = new Ports(['eth0'], [lo, eth0, eth1]);
  t.deepEqual(portNames(ports), ['eth0']);
  t.is(text(ports.wayOut(eth0)), `eth0 by 2 from ${macs.eth0}`);
  t.false(ports.isSteered(ports.wayOut(eth0) as WayOut));
  t.deepEqual([...ports.waysOut().keys()], []);
  t.deepEqual([ports.missing, ports.problems(), ports.macs], [[], [], [macs.eth0]]);
});

test('a VLAN on the interface, wanted or not, has every backend steered: tags may come in', (t) => {
  const tagged = vlanOf(eth0, 20, 5);
  const ports = new Ports(['eth0'], [lo, eth0, tagged]);
  t.true(ports.isSteered(ports.wayOut(eth0) as WayOut));
  t.deepEqual([...ports.waysOut().values()].map(text), [
    `eth0 by 2 from ${macs.eth0}`,
    `eth0.20 by 2 tag 20 from ${macs.eth0}`,
  ]);
});

test('VLANs are attached at their parent, once; their own addresses are own addresses', (t) => {
  const own = vlanOf(eth0, 10, 5, { mac: '02:00:00:00:07:01' });
  const other = vlanOf(eth0, 20, 6);
  const ports = new Ports(['eth0.10', 'eth0.20'], [lo, eth0, own, other]);
  t.deepEqual(portNames(ports), ['eth0 for eth0.10+eth0.20']);
  t.deepEqual(ports.macs, ['02:00:00:00:07:01', macs.eth0]);
  t.is(text(ports.wayOut(own)), 'eth0.10 by 2 tag 10 from 02:00:00:00:07:01');
  t.is(text(ports.wayOut(eth0)), `eth0 by 2 from ${macs.eth0}`, 'untagged too: the program is there');
});

test('several interfaces: each way out has its own interface and address', (t) => {
  const ports = new Ports(['eth1', 'eth0'], [lo, eth0, eth1]);
  t.deepEqual(portNames(ports), ['eth0', 'eth1']);
  t.deepEqual(ports.macs, [macs.eth1, macs.eth0]);
  t.deepEqual([...ports.waysOut().values()].map(text), [`eth0 by 2 from ${macs.eth0}`, `eth1 by 3 from ${macs.eth1}`]);
});

test('a bond is attached at each slave; what it sends goes by those that may send', (t) => {
  const bond = bondOf(4);
  const [a, b] = [slave(eth0), slave(eth1)];
  const ways = (...links: Link[]): string => text(new Ports(['bond0'], [lo, bond, ...links]).wayOut(bond));
  t.deepEqual(portNames(new Ports(['bond0'], [bond, a, b])), ['eth0 for bond0', 'eth1 for bond0']);
  t.is(ways(a, b), `bond0 by 2+3 from ${macs.bond0}`);
  t.is(ways(a, slave(eth1, { active: false })), `bond0 by 2 from ${macs.bond0}`, 'not of the aggregator in use');
  t.is(ways(a, slave(eth1, { linkUp: false })), `bond0 by 2 from ${macs.bond0}`);
  t.is(ways(slave(eth0, {}, { up: false }), b), `bond0 by 3 from ${macs.bond0}`);
  t.regex(ways(slave(eth0, { linkUp: false }), slave(eth1, { active: false })), /bond bond0 has no interface that may/);
});

test('active-backup sends by the active slave, and so do the modes that give each slave an address', (t) => {
  for (const mode of [1, 5, 6]) {
    const bond = bondOf(mode, 3);
    const ports = new Ports(['bond0'], [bond, slave(eth0, { active: mode !== 1 }), slave(eth1)]);
    t.is(text(ports.wayOut(bond)), `bond0 by 3 from ${macs.bond0}`, `mode ${mode}`);
    const none = bondOf(mode);
    t.regex(text(new Ports(['bond0'], [none, slave(eth0)]).wayOut(none)), /no interface that may send/);
  }
});

test('round-robin, xor and broadcast send by every slave whose link is up', (t) => {
  for (const mode of [0, 2, 3]) {
    const bond = bondOf(mode);
    const ports = new Ports(['bond0'], [bond, slave(eth0), slave(eth1)]);
    t.is(text(ports.wayOut(bond)), `bond0 by 2+3 from ${macs.bond0}`, `mode ${mode}`);
  }
});

test('a VLAN on a bond: tagged, by the slaves', (t) => {
  const bond = bondOf(4);
  const tagged = vlanOf(bond, 30, 12);
  const ports = new Ports(['bond0.30'], [bond, slave(eth0), slave(eth1), tagged]);
  t.deepEqual(portNames(ports), ['eth0 for bond0.30', 'eth1 for bond0.30']);
  t.is(text(ports.wayOut(tagged)), `bond0.30 by 2+3 tag 30 from ${macs.bond0}`);
});

test('a bond of one slave is one port; a VLAN on the bond counts as one on it', (t) => {
  const bond = bondOf(1, 2);
  const alone = new Ports(['bond0'], [bond, slave(eth0)]);
  t.false(alone.isSteered(alone.wayOut(bond) as WayOut));
  const tagged = new Ports(['bond0'], [bond, slave(eth0), vlanOf(bond, 30, 12)]);
  t.true(tagged.isSteered(tagged.wayOut(bond) as WayOut));
});

test('slaves keep addresses of their own where the bond lets them: all are own addresses', (t) => {
  const bond = bondOf(1, 2);
  const [a, b] = [slave(eth0), slave(eth1)].map((one, i) => ({ ...one, mac: `02:00:00:00:03:0${i}` }));
  const ports = new Ports(['bond0'], [bond, a!, b!]);
  t.deepEqual(ports.macs, [macs.bond0, '02:00:00:00:03:00', '02:00:00:00:03:01']);
});

test('what cannot be sent by is said with its kind', (t) => {
  const bridge = link(20, 'br0', { type: 'bridge' });
  const macvlan = link(21, 'mv0', { type: 'macvlan', parent: 2 });
  const stranger = vlanOf(eth1, 30, 22);
  const qinq = vlanOf(vlanOf(eth0, 10, 23), 5, 24, { name: 'eth0.10.5', parent: 23 });
  const provider = vlanOf(eth0, 40, 25, { vlan: { id: 40, protocol: 0x88a8 } });
  const lost = vlanOf(eth0, 50, 26, { parent: null });
  const wg0 = link(27, 'wg0', { mac: '', type: 'wireguard' });
  const all = [lo, eth0, eth1, bridge, macvlan, stranger, vlanOf(eth0, 10, 23), qinq, provider, lost, wg0];
  const ports = new Ports(['eth0'], all);
  t.regex(text(ports.wayOut(bridge)), /br0 is a bridge device, which XDP cannot send through/);
  t.regex(text(ports.wayOut(macvlan)), /mv0 is a macvlan device, which XDP cannot send through/);
  t.regex(text(ports.wayOut(eth1)), /eth1, which is no interface of this agent \(eth0\): add eth1/);
  t.regex(text(ports.wayOut(stranger)), /eth1.30, a VLAN of what is no interface of this agent \(eth0\): add eth1.30/);
  t.regex(text(ports.wayOut(qinq)), /a VLAN within VLAN eth0.10: frames are sent with one tag only/);
  t.regex(text(ports.wayOut(provider)), /eth0.40 has 802.1ad tags/);
  t.regex(text(ports.wayOut(lost)), /a device in another network namespace/);
  t.regex(text(ports.wayOut(wg0)), /wg0 has no Ethernet address/);
  t.regex(text(ports.wayOut(lo)), /lo, which is no interface of this agent/);
});

test('what is missing or down is told; what cannot carry traffic is no port', (t) => {
  const bond = bondOf(4);
  const problems = (names: readonly string[], ...links: Link[]): readonly string[] =>
    new Ports(names, links).problems();
  t.regex(problems(['eth0', 'eth9'], eth0)[0]!, /interface eth9 does not exist: it is attached when it appears/);
  t.regex(problems(['eth0'], { ...eth0, up: false })[0]!, /interface eth0 is down/);
  t.regex(problems(['bond0'], bond)[0]!, /bond bond0 has no interface yet/);
  t.deepEqual(new Ports(['bond0'], [bond]).missing, ['bond0']);
  t.regex(
    problems(['bond0'], bond, slave(eth0), slave(eth1, {}, { up: false }))[0]!,
    /interface eth1 of bond bond0 is down/,
  );
  t.regex(problems(['bond0'], bond, slave(eth0, { active: false }))[0]!, /bond bond0 has no interface that may send/);
  t.regex(problems(['wg0'], link(27, 'wg0', { mac: '' }))[0]!, /wg0 has no Ethernet address/);
  t.deepEqual(new Ports(['wg0'], [link(27, 'wg0', { mac: '' })]).all, []);
  const qinq = vlanOf(vlanOf(eth0, 10, 23), 5, 24, { parent: 23 });
  t.regex(problems([qinq.name], eth0, vlanOf(eth0, 10, 23), qinq)[0]!, /frames are sent with one tag only/);
  t.deepEqual(problems(['eth0', 'eth0.10', 'bond0'], eth0, vlanOf(eth0, 10, 5), bond, slave(eth1)), []);
});
