/** What a kernel with VLANs and bonds announced, read as the agent reads it: links-6.1.txt says where it is from. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { decode } from '../../../src/netlink/decode.js';
import { Links } from '../../../src/netlink/links.js';
import { Ports } from '../../../src/netlink/ports.js';

const file = new URL('../../../../test/unit/netlink/links-6.1.txt', import.meta.url);
const lines = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split('\t') as [step: string, hex: string]);

/** The links after a step and all before it. */
function after(step: string): Links {
  const links = new Links();
  const last = lines.findLastIndex(([name]) => name === step);
  for (const [, hex] of lines.slice(0, last + 1)) {
    const { messages, fault } = decode(Buffer.from(hex, 'hex'));
    if (fault !== null) throw new Error(fault);
    for (const message of messages) if (message.kind === 'link') links.update(message);
  }
  return links;
}

/** "bond0.30 by eth0 tag 30", or why not. */
function way(step: string, device: string, interfaces: readonly string[]): string {
  const links = after(step);
  const found = new Ports(interfaces, links.all()).wayOut(links.named(device)!);
  if (typeof found === 'string') return found;
  const names = found.ports.map((index) => links.get(index)!.name);
  return `${found.device} by ${names.join('+')}${found.vlan === 0 ? '' : ` tag ${found.vlan}`}`;
}

test('every announcement makes sense', (t) => {
  for (const [, hex] of lines) {
    const { messages, fault } = decode(Buffer.from(hex, 'hex'));
    t.deepEqual([messages.length, messages[0]?.kind, fault], [1, 'link', null]);
  }
  t.true(lines.length > 40);
});

test('VLANs: their number, their parent, and 802.1ad told apart', (t) => {
  t.is(way('vlan', 'eth0.20', ['eth0']), 'eth0.20 by eth0 tag 20');
  t.regex(way('vlan 802.1ad', 'eth0.30', ['eth0']), /eth0.30 has 802.1ad tags/);
  t.is(after('bond').named('eth0.20'), null, 'gone');
});

test('active-backup: the active slave, before and after its cable is pulled', (t) => {
  t.is(way('slaves', 'bond0', ['bond0']), 'bond0 by eth0');
  t.is(way('vlan on the bond', 'bond0.30', ['bond0.30']), 'bond0.30 by eth0 tag 30');
  t.is(way('failover', 'bond0', ['bond0']), 'bond0 by eth1');
  t.is(way('failover', 'bond0.30', ['bond0.30']), 'bond0.30 by eth1 tag 30');
  t.is(way('back up', 'bond0', ['bond0']), 'bond0 by eth1', 'what came back waits');
});

test('a slave that is taken out is no port any more, and the other takes over', (t) => {
  const ports = (step: string): string[] => new Ports(['bond0'], after(step).all()).all.map(({ name }) => name);
  t.deepEqual(ports('back up'), ['eth0', 'eth1']);
  t.deepEqual(ports('slave removed'), ['eth0']);
  t.is(way('slave removed', 'bond0', ['bond0']), 'bond0 by eth0');
});

test('802.3ad: the slaves of the aggregator in use; the other end knows no LACP here, so that is one', (t) => {
  t.is(way('8023ad', 'bond0', ['bond0']), 'bond0 by eth0');
  t.deepEqual(
    new Ports(['bond0'], after('8023ad').all()).all.map(({ name }) => name),
    ['eth0', 'eth1'],
  );
});
