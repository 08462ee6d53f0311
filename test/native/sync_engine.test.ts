import { createSocket } from 'node:dgram';
import test from 'ava';
import { notifySystemd, type SyncEngineOptions } from '../../src/dataplane/addon.js';
import { nativeError, runChild, waitUntil } from './fixture.js';
import { engineNode, type Where } from './sync-engine-fixture.js';
import { data } from './sync-fixture.js';

const BASE = 42_000 + (process.pid % 1000) * 10;
let used = 0;

/** Nodes of one cluster: addresses of the loopback interface, one port. */
function loopback(count: number): Where[] {
  const port = BASE + used++;
  const addresses = Array.from({ length: count }, (_, i) => `127.0.0.${i + 1}`);
  return addresses.map((address) => ({
    ...{ interface: 'lo', address, group: null, port },
    peers: addresses.filter((other) => other !== address),
  }));
}

test('a session reaches every peer within milliseconds, and messages reach who they are for', async (t) => {
  const where = loopback(3);
  const nodes = where.map((each, i) => engineNode(i + 1, each));
  t.teardown(() => nodes.forEach(({ engine }) => void engine.close()));
  for (const { engine } of nodes) for (const node of [1, 2, 3]) engine.admit(node, 1n);
  const heard = (): boolean =>
    nodes.every(({ engine }) => engine.peers().filter(({ datagrams }) => datagrams > 0n).length >= 2);
  await waitUntil(heard, 'first datagrams');
  const row = nodes[0]!.establish(7, 99n);
  await waitUntil(() => nodes.every(({ store }) => store.rows().length === 1), 'the session everywhere');
  for (const { store } of nodes) t.deepEqual(store.rows(), [row]);

  nodes[0]!.engine.control(Uint8Array.of(1), null);
  nodes[0]!.engine.control(Uint8Array.of(2), { address: '127.0.0.3', port: where[2]!.port });
  await waitUntil(() => nodes[2]!.heard().length === 2 && nodes[1]!.heard().length === 1, 'messages');
  t.deepEqual(
    nodes.map((each) => each.heard()),
    [[], [1], [1, 2]],
  );
  t.deepEqual(
    nodes[1]!.events.flatMap(({ control }) => control.map(({ from }) => from.address)),
    ['127.0.0.1'],
  );
  const { datagramsSent, recordsSent, sendErrors } = nodes[0]!.engine.counters();
  t.true(datagramsSent! >= 4n + 3n, 'a copy for each peer is counted');
  t.deepEqual([recordsSent, sendErrors, nodes[0]!.engine.sendError()], [1n, 0n, null]);
  t.true(nodes[0]!.engine.cpuNs() > 0n);

  nodes[0]!.engine.setPeers(['127.0.0.2']);
  nodes[0]!.engine.control(Uint8Array.of(3), null);
  await waitUntil(() => nodes[1]!.heard().length === 2, 'a message to the one that is left');
  t.deepEqual(nodes[2]!.heard(), [1, 2]);
});

test('thousands of sessions at once all arrive', async (t) => {
  const [one, two] = loopback(2).map((where, i) => engineNode(i + 1, where, 8192));
  t.teardown(() => [one, two].forEach((each) => void each!.engine.close()));
  two!.engine.admit(1, 1n);
  await waitUntil(() => two!.engine.peers()[0]!.datagrams > 0n, 'the first datagram');
  const tags: bigint[] = [];
  for (let n = 0; n < 10_000; n++) {
    const tag = (BigInt(n + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn;
    const free = one!.store.bucketsOf(tag).flatMap((bucket) => [0, 1, 2, 3].map((i) => bucket * 4 + i));
    const slot = free.find((each) => one!.store.words[each * 2] === 0n);
    if (slot === undefined) continue;
    one!.establish(slot, tag);
    tags.push(tag);
  }
  await waitUntil(() => two!.engine.counters()['recordsReceived']! >= BigInt(tags.length), 'all of them');
  t.true(tags.length > 9_900);
  t.deepEqual(two!.store.rows(), one!.store.rows());
  t.deepEqual(await two!.store.table.digest(64), await one!.store.table.digest(64));
});

test('a multicast group of IPv4 and of IPv6, a cut cable, an interface made anew, and a peer that cannot be reached', async (t) => {
  t.deepEqual(await runChild('sync-group', { ownNetwork: true }), {
    four: { sessions: 1, messages: [1] },
    six: { sessions: 1, messages: [1] },
    unreachable: { error: 'ENETUNREACH', goesOn: true },
    repaired: true,
  });
});

test('datagrams of strangers are dropped and counted', async (t) => {
  const [where] = loopback(1);
  const { engine, store } = engineNode(1, where!);
  const socket = createSocket('udp4');
  t.teardown(() => {
    engine.close();
    socket.close();
  });
  socket.send(Buffer.from('hello'), where!.port, where!.address);
  socket.send(Buffer.alloc(9300), where!.port, where!.address);
  socket.send(
    data({ node: 9, sequence: 1n }, [{ tag: 5n, service: 1, backend: 1, state: 2, age: 0 }]),
    where!.port,
    where!.address,
  );
  await waitUntil(() => engine.counters()['datagramsReceived'] === 3n, 'three datagrams');
  t.is(engine.counters()['droppedMalformed'], 2n);
  t.is(engine.counters()['droppedUnadmitted'], 1n);
  t.deepEqual(store.rows(), []);
});

test('what cannot be opened says which address, port and interface', (t) => {
  const [where] = loopback(1);
  const refused = (changes: Partial<SyncEngineOptions>) =>
    nativeError(t, () => engineNode(1, { ...where!, ...changes } as Where));
  t.is(refused({ interface: 'none0' }).code, 'ENODEV');
  const absent = refused({ address: '203.0.113.77' });
  t.deepEqual([absent.code, absent.syscall], ['EADDRNOTAVAIL', 'bind']);
  t.regex(absent.message, /203\.0\.113\.77 port \d+ on lo/);
  const group = refused({ group: '192.0.2.1' });
  t.regex(group.message, /group 192\.0\.2\.1/);
  t.is(refused({ group: 'ff02::5357' }).code, 'ERR_ARG', 'of the other family');
  t.is(refused({ peers: ['::1'] }).code, 'ERR_ARG');
  t.is(refused({ address: 'here' }).code, 'ERR_ARG');
  t.is(refused({ port: 0 }).code, 'ERR_ARG');
  const { engine } = engineNode(1, where!);
  t.teardown(() => engine.close());
  t.is(refused({}).code, 'EADDRINUSE');
});

test('a closed engine refuses everything but to be closed', (t) => {
  const { engine } = engineNode(1, loopback(1)[0]!);
  engine.close();
  engine.close();
  for (const call of [
    () => engine.counters(),
    () => engine.peers(),
    () => engine.admit(1, 1n),
    () => engine.control(new Uint8Array(1), null),
    () => engine.cpuNs(),
  ]) {
    t.is(nativeError(t, call).code, 'ERR_CLOSED');
  }
});

test('systemd is told by path and by abstract name; a path that nobody listens on is an error', async (t) => {
  t.is(await runChild('notify'), 'READY=1\nSTATUS=here');
  t.is(nativeError(t, () => notifySystemd('/nowhere/notify', 'READY=1')).code, 'ENOENT');
  t.is(nativeError(t, () => notifySystemd('relative', 'READY=1')).code, 'ERR_ARG');
  t.is(nativeError(t, () => notifySystemd(`/${'x'.repeat(200)}`, 'READY=1')).code, 'ERR_ARG');
});
