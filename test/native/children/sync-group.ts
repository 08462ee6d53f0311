/**
 * In a network namespace of its own, which is both ends of a cable: nodes find each other by a group of IPv4 and of
 * IPv6; datagrams are lost, asked for and sent again; the cable is replaced; one has a peer to which there is no way.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { waitUntil } from '../fixture.js';
import { engineNode } from '../sync-engine-fixture.js';

const ip = (...words: string[]): void => void execFileSync('ip', words);
ip('link', 'set', 'lo', 'up');
function prepare(i: number, name: string): void {
  ip('address', 'add', `192.0.2.${i + 1}/24`, 'dev', name);
  ip('address', 'add', `2001:db8::${i + 1}/64`, 'dev', name, 'nodad');
  ip('link', 'set', name, 'up');
  // Both addresses are this host's: what comes from one of them is no forgery here.
  writeFileSync(`/proc/sys/net/ipv4/conf/${name}/accept_local`, '1');
  writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '0');
}
function makeCable(): void {
  ip('link', 'add', 'nat0', 'type', 'veth', 'peer', 'name', 'nat1');
  for (const [i, name] of ['nat0', 'nat1'].entries()) prepare(i, name);
}
makeCable();
writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '0');

async function pair(addresses: readonly [string, string], group: string) {
  const nodes = addresses.map((address, i) =>
    engineNode(i + 1, { interface: `nat${i}`, address, group, port: 4790, peers: [] }),
  );
  const [one, two] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  one.engine.admit(2, 1n);
  two.engine.admit(1, 1n);
  await waitUntil(() => two.engine.peers()[0]!.datagrams > 0n, 'the first datagram');
  one.establish(3, 77n);
  one.engine.control(Uint8Array.of(1), null);
  await waitUntil(() => two.store.rows().length === 1 && two.heard().length === 1, 'session and message');
  return { one, two, result: { sessions: two.store.rows().length, messages: two.heard() } };
}

const six = await pair(['2001:db8::1', '2001:db8::2'], 'ff02::5357');
six.one.engine.close();
six.two.engine.close();

const four = await pair(['192.0.2.1', '192.0.2.2'], '239.83.87.1');

/* Cut, so that datagrams are lost; then mended. */
ip('link', 'set', 'nat1', 'down');
four.one.establish(4, 78n);
const sent = (): bigint => four.one.engine.counters()['recordsSent']!;
await waitUntil(() => sent() === 2n, 'the session was sent into nothing');
ip('link', 'set', 'nat1', 'up');
await waitUntil(() => four.two.store.rows().length === 2, 'the session that was lost');
const repaired = four.two.engine.counters()['repaired']! > 0n;

/* Made anew, as by a restart of the network: the same names, other interfaces. */
ip('link', 'del', 'nat0');
makeCable();
four.one.establish(5, 79n);
await waitUntil(() => four.two.store.rows().length === 3, 'a session over the new interfaces', 20_000);
const { datagrams } = four.two.engine.peers()[0]!;
await waitUntil(() => four.two.engine.peers()[0]!.datagrams > datagrams + 2n, 'the group over the new interfaces');
four.one.engine.close();
four.two.engine.close();

const lonely = engineNode(5, {
  interface: 'nat0',
  address: '192.0.2.1',
  group: null,
  port: 4791,
  peers: ['198.51.100.1'],
});
await waitUntil(() => lonely.engine.sendError() !== null, 'an error of sending');
const errors = lonely.engine.counters()['sendErrors']!;
lonely.engine.control(Uint8Array.of(1), null);
await waitUntil(() => lonely.engine.counters()['sendErrors']! > errors, 'the next error');
const unreachable = { error: lonely.engine.sendError(), goesOn: true };
lonely.engine.close();
console.log(JSON.stringify({ four: four.result, six: six.result, unreachable, repaired }));
