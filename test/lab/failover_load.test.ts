/** The load of `npm run bench -- failover` tells everything that goes wrong with it. */
import { execFileSync } from 'node:child_process';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { buildDriver } from '../bench/driver.js';
import { Echo } from '../bench/failover/echo.js';
import { Load, type Mishap } from '../bench/failover/load.js';
import { until } from '../support/lab/until.js';

const netns = `sw-t${process.pid}load`;
const command = (...words: readonly string[]): readonly string[] => ['nsenter', `--net=/run/netns/${netns}`, ...words];
const [four, six] = ['127.0.0.1', '::1'];
const test = anyTest as TestFn<{ load: Load; echo: Echo }>;
let nextPort = 1000;

test.before(async () => {
  await buildDriver();
  execFileSync('ip', ['netns', 'add', netns]);
  execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
});
test.after.always(() => {
  execFileSync('ip', ['netns', 'del', netns]);
});

test.beforeEach(async (t) => {
  const ports = { tcpPort: nextPort++, udpPort: nextPort++ };
  const backend = { vips: [four, six], ...ports };
  t.context.echo = await Echo.start(command, { name: 'be1', ...backend });
  t.context.load = new Load(command, {
    ...backend,
    sources: ['127.0.0.5', '127.0.0.6', six],
    connections: 100,
    perSecond: 50,
    flows: 6,
    deadlineMs: 1000,
    shortDeadlineMs: 800,
  });
  const { load } = t.context;
  await until('all are established', () => load.snapshots.length > 0 && load.latest.alive === 100);
});
test.afterEach.always(async (t) => {
  await t.context.load.close();
  await t.context.echo.kill();
});

function broken(load: Load): Mishap[] {
  return load.mishaps.filter(({ event }) => event === 'broken');
}

/** After `count` more reports, ten a second. */
async function reports(load: Load, count: number): Promise<void> {
  const enough = load.snapshots.length + count;
  await until('the load reports', () => load.snapshots.length >= enough);
}

test.serial('all is answered: nothing broke, failed or was lost', async (t) => {
  const { load } = t.context;
  await reports(load, 15);
  await until('datagrams are judged', () => load.latest.answers > 500 && load.latest.sent > 2000);
  t.like(load.latest, { alive: 100, waiting: 0, broken: 0, failed: 0, lost: 0, duplicates: 0, moved: 0, errors: 0 });
  t.true(load.latest.done > 50, `${load.latest.done} short connections`);
  const connections = await load.list();
  t.is(connections.length, 100);
  t.is(new Set(connections.map(({ address, port }) => `${address} ${port}`)).size, 100);
  t.deepEqual([...new Set(connections.map(({ backend }) => backend))], ['be1']);
  t.deepEqual([...new Set(connections.map(({ address }) => address))].sort(), ['127.0.0.5', '127.0.0.6', six]);
  t.deepEqual(load.mishaps, []);
});

test.serial('connections that end in good order and are made anew are none that broke', async (t) => {
  const { load } = t.context;
  const ports = async (): Promise<Set<string>> => {
    return new Set((await load.list()).map(({ address, port }) => `${address} ${port}`));
  };
  const before = await ports();
  load.churn(40);
  await reports(load, 2);
  await until('all are there again', async () => load.latest.alive === 100 && (await ports()).size === 100);
  const kept = [...(await ports())].filter((port) => before.has(port));
  t.is(kept.length, 60);
  t.deepEqual(load.mishaps, []);
});

test.serial('a backend that dies breaks every connection and refuses new ones', async (t) => {
  const { load, echo } = t.context;
  await echo.kill();
  await until('all have broken', () => load.latest.broken === 100);
  t.is(load.latest.alive, 0);
  t.is(broken(load).length, 100);
  for (const { why, backend, long } of broken(load))
    t.like({ why: /ECONNRESET|EPIPE|closed/.test(why), backend, long }, { why: true, backend: 'be1', long: true });
  await until('new ones fail', () => load.latest.failed > 10 && load.latest.errors > 0);
  const refused = load.mishaps.filter(({ why, phase }) => why === 'ECONNREFUSED' && phase === 'connecting');
  t.true(refused.length > 10);
});

test.serial('one that answers nobody breaks connections at their deadline, and datagrams are lost', async (t) => {
  const { load, echo } = t.context;
  const before = load.latest;
  echo.signal('SIGSTOP');
  await until('all wait', () => load.latest.waiting === 100);
  t.is(load.latest.broken, 0, 'not before the deadline');
  await until('all have broken', () => load.latest.broken === 100);
  for (const { why, at, asked } of broken(load)) {
    t.is(why, 'no answer');
    t.true(at - asked >= 1000);
  }
  t.true(Math.max(...load.snapshots.map(({ longestWaitMs }) => longestWaitMs)) >= 1000);
  await until('datagrams are given up', () => load.latest.lost > 500);
  t.true(load.latest.longestGapMs > 1000);
  await until('new ones fail', () => load.mishaps.some(({ long, why }) => !long && why === 'no answer'));
  echo.signal('SIGCONT');
  load.fill();
  await until('all is well', () => load.latest.alive === 100 && load.latest.waiting === 0);
  await reports(load, 3);
  t.true(load.latest.late > 0, 'what comes too late is lost all the same');
  t.true(load.latest.answered - before.answered > 0);
});

test.serial('another backend that answers is noticed', async (t) => {
  const { load, echo } = t.context;
  const { tcpPort, udpPort } = load.options;
  await echo.kill();
  t.context.echo = await Echo.start(command, { name: 'be2', tcpPort, udpPort, vips: [four, six] });
  await until('flows go to it', () => load.latest.moved === 6);
  load.fill();
  await until('connections, too', async () => backendsOf(await load.list()) === 'be2');
  await noMoreThan(t, load);
});

function backendsOf(connections: readonly { readonly backend: string }[]): string {
  return [...new Set(connections.map(({ backend }) => backend))].join(' ');
}

async function noMoreThan(t: ExecutionContext, load: Load): Promise<void> {
  const { broken: before } = load.latest;
  await reports(load, 3);
  t.is(load.latest.broken, before);
}
