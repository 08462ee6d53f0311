/** Nodes that are whole, on sockets of the loopback interface: what they tell each other and fetch from each other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { makeCertificates } from '../../support/certificates.js';
import { until } from '../../support/lab/until.js';
import { tagOf } from '../../support/sync/memory_table.js';
import { cluster, type Node } from './nodes.js';

const join = (node: Node) => node.sync.join({ onProgress: () => {} });
const all = (nodes: readonly Node[], tags: readonly bigint[]) =>
  nodes.every((node) => tags.every((tag) => node.has(tag)));

async function meet(...nodes: Node[]): Promise<void> {
  await until('all nodes know each other', () => nodes.every((node) => node.alive().length === nodes.length - 1));
}

const tags = (count: number, from = 1) => Array.from({ length: count }, (_, i) => tagOf(from + i));

test('a node that is alone says so after a second and a half, and has its sessions', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const node = await start('lb1');
  node.establish(1n);
  const { from, sessions, reason, durationMs } = await join(node);
  t.deepEqual(
    { from, sessions, reason },
    { from: null, sessions: 1, reason: 'no other node was heard within 1500 ms' },
  );
  t.true(durationMs < 3000);
});

test('a session made on one node is on every other within moments, and what was there before comes with joining', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2', 'lb3']);
  const one = await start('lb1');
  const before = tags(8000);
  for (const tag of before) one.establish(tag);
  const two = await start('lb2');
  const progress: number[] = [];
  const joined = await two.sync.join({ onProgress: ({ sessions }) => progress.push(sessions) });
  t.like(joined, { from: 'lb1', sessions: 8000, reason: '' });
  t.true(progress.length > 0);
  t.true(all([two], before));
  const three = await start('lb3');
  t.like(await join(three), { sessions: 8000, reason: '' });
  await meet(one, two, three);
  two.establish(77n);
  await until('everywhere', () => all([one, two, three], [77n]));
  t.deepEqual(
    [one, two, three].flatMap(({ sync }) => sync.problems()),
    [],
  );
  await two.sync.close();
  await until('goodbye is heard at once', () => !one.alive().includes('lb2'), { withinMs: 500 });
  /* Whoever still holds it may go on asking. */
  two.sync.setVerdicts({ configDigest: 1n, unhealthy: new Set(), unknown: new Set() });
  t.true(two.sync.counters().datagramsSent > 0n);
  t.deepEqual(two.sync.problems(), []);
});

test('an agent that restarts over a kept table joins by the difference, and what was made meanwhile is told', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const one = await start('lb1');
  const two = await start('lb2');
  await meet(one, two);
  const early = tags(5000);
  for (const tag of early) two.establish(tag);
  await until('told', () => all([one], early));
  await two.sync.close();
  const late = tags(50, 9000);
  for (const tag of late) two.establish(tag);
  /* An engine that was closed gives its socket back when node comes round to it. */
  const again = await until('the address is free', () => start('lb2', two));
  const progress: number[] = [];
  const joined = await again.sync.join({ onProgress: ({ sessions }) => progress.push(sessions) });
  t.like(joined, { from: 'lb1', sessions: 5050, reason: '' });
  t.true(Math.max(0, ...progress) < 500, 'the ranges that differ alone were fetched');
  await until('told, too', () => all([one], late));
});

test('a session that no announcement told of is found by comparing', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const one = await start('lb1');
  const two = await start('lb2');
  await meet(one, two);
  await until(
    'the first comparisons are over',
    () => one.sync.repairs().compared > 0 && two.sync.repairs().compared > 0,
  );
  one.establish(5n);
  await until('told', () => two.has(5n));
  /* Taken from the copy behind everybody's back. */
  new BigUint64Array(two.kernel.sessions)[two.kernel.find(5n)!.slot * 2 + 1] = 0n;
  await until('mended', () => two.has(5n), { withinMs: 60_000, everyMs: 200 });
  t.true(two.sync.repairs().applied >= 1);
});

test('verdicts and reports reach the peers, purges their tables', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const filters: string[] = [];
  const one = await start('lb1');
  const two = await start('lb2', {
    purge: async (filter) => {
      filters.push(Buffer.from(filter).toString());
      return 3;
    },
  });
  await meet(one, two);
  let changes = 0;
  const stop = one.sync.onPeers(() => changes++);
  two.sync.setVerdicts({ configDigest: 5n, unhealthy: new Set([1n, 2n]), unknown: new Set() });
  await until('verdicts', () => one.sync.peers()[0]!.verdicts?.unhealthy.has(2n) === true);
  t.true(changes > 0);
  stop();
  t.deepEqual(await one.sync.purgeOnPeers(Buffer.from('who')), [{ peer: 'lb2', purged: 3, error: '' }]);
  t.deepEqual(filters, ['who']);
});

function certificates(t: ExecutionContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-sync-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  makeCertificates(folder);
  return (name: string) => ({
    tls: {
      certificate: path.join(folder, `${name}.crt`),
      key: path.join(folder, `${name}.key`),
      ca: path.join(folder, 'ca.crt'),
    },
  });
}

test('with mutual TLS a node of the authority joins; one with the certificate of a stranger goes on without, and says so', async (t) => {
  const of = certificates(t);
  const { start } = cluster(t, ['lb1', 'lb2', 'lb3']);
  const one = await start('lb1', { config: of('server') });
  one.establish(9n);
  t.like(await join(await start('lb2', { config: of('client') })), { from: 'lb1', sessions: 1, reason: '' });
  const stranger = await start('lb3', { config: { ...of('stranger'), joinTimeoutMs: 3000 } });
  const { sessions, reason } = await join(stranger);
  t.is(sessions, 0);
  t.regex(reason, /lb[12] \(127\.0\.0\.1[12] port \d+\)|sessions of lb[12]/);
});

test('a node with another secret is no peer, and both say what is wrong', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const one = await start('lb1');
  const two = await start('lb2', { secret: Buffer.from('another secret of sixteen bytes') });
  for (const { sync } of [one, two]) {
    await until('the problem is named', () =>
      /signed by no key of this node.*clusterSecretFile/.test(sync.problems().join()),
    );
  }
  t.deepEqual([one.alive(), two.alive()], [[], []]);
  two.establish(4n);
  t.like(await join(one), { from: null, sessions: 0 });
});

test('a node with another flow key is shown and refused, and joining from it says why', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const one = await start('lb1');
  const two = await start('lb2', { report: { flowKeyDigest: 1n } });
  await meet(one, two);
  two.establish(4n);
  const { from, reason } = await join(one);
  t.is(from, null);
  t.regex(reason, /node "lb2" marks flows by another key/);
  t.false(one.has(4n));
});

test('keys are rotated by the procedure of the README, and no datagram is refused meanwhile', async (t) => {
  const { start } = cluster(t, ['lb1', 'lb2']);
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-rotation-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const files = ['lb1', 'lb2'].map((name) => path.join(folder, name));
  const [old, fresh] = ['ab', 'cd'].map((digits) => digits.repeat(32));
  for (const file of files) writeFileSync(file, `${old}\n`);
  const nodes: Node[] = [];
  for (const [i, keyFile] of files.entries()) nodes.push(await start(`lb${i + 1}`, { config: { keyFile } }));
  await meet(...nodes);
  let tag = 100n;
  for (const keys of [`${old}\n${fresh}\n`, `${fresh}\n${old}\n`, `${fresh}\n`]) {
    for (const [i, file] of files.entries()) {
      writeFileSync(file, keys);
      const said = nodes[i]!.log.lines.length;
      await until('the keys are in force', () =>
        nodes[i]!.log.lines.slice(said).some((line) => line.includes('sync keys:')),
      );
      nodes[i]!.establish(++tag);
      await until('told', () => all(nodes, [tag]));
    }
  }
  t.like(await join(nodes[0]!), { from: 'lb2', reason: '' });
  for (const { sync } of nodes) t.is(sync.counters().droppedUnauthenticated, 0n);
});
