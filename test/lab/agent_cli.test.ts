import { writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { client4, type Ended, vip4 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const document = web([tcp(80, 'servers'), udp(echoPort, 'servers')], [group('servers')]);
let cluster: Cluster;
let file: string;

test.before(async () => {
  cluster = await Cluster.start(`at-c-${process.pid}`);
  file = `${cluster.lab.directory('documents')}/site.yaml`;
  // The CLI reads the mapping of protobuf, where a duration is text.
  const checked = { ...quickCheck, interval: '0.2s', timeout: '1s' };
  const [balancer] = document.loadBalancers!;
  const listeners = balancer!.listeners!.map((one, i) => (i === 0 ? { ...one, healthCheck: checked } : one));
  writeFileSync(file, JSON.stringify({ ...document, loadBalancers: [{ ...balancer, listeners }] }));
});
test.after.always(() => cluster?.close());

function spillway(...words: readonly string[]): Promise<Ended> {
  return cluster.agents[0].spillway(...words);
}

/** Exit 0, nothing on standard error, and what is printed. */
async function prints(t: ExecutionContext, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await spillway(...words);
  t.deepEqual({ code, stderr }, { code: 0, stderr: '' }, words.join(' '));
  return stdout;
}

/** The same with --json, parsed. */
async function json<T>(t: ExecutionContext, ...words: readonly string[]): Promise<T> {
  return JSON.parse(await prints(t, ...words, '--json')) as T;
}

test.serial('apply says what it would do, does it, and does nothing the second time', async (t) => {
  t.regex(await prints(t, 'apply', '-f', file, '--dry-run'), /add tcp 192\.0\.2\.10:80/);
  t.is((await json<{ version: string }>(t, 'get')).version, '0');
  t.like(await json(t, 'apply', '-f', file), { version: '1', changed: true });
  t.like(await json(t, 'apply', '-f', file), { version: '1', changed: false });
  await cluster.agents[1].spillway('apply', '-f', file);
  await cluster.allHealthy();
});

test.serial('get gives back a document that apply finds in force already', async (t) => {
  const copy = `${cluster.lab.directory('documents')}/copy.yaml`;
  writeFileSync(copy, await prints(t, 'get'));
  t.like(await json(t, 'apply', '-f', copy), { changed: false });
  const { config } = await json<{ config: { backendGroups: { backends: unknown[] }[] } }>(t, 'get');
  t.is(config.backendGroups[0]!.backends.length, 3);
});

test.serial('a document at fault is refused with every field, exit 1, and changes nothing', async (t) => {
  const wrong = `${cluster.lab.directory('documents')}/wrong.yaml`;
  const listeners = [tcp(0, 'nobody'), tcp(80, 'servers', { scheduler: 'QCH' })];
  writeFileSync(wrong, JSON.stringify(web(listeners, [group('servers')], ['192.0.2.300'])));
  const { code, stderr } = await spillway('apply', '-f', wrong);
  t.is(code, 1);
  for (const field of ['addresses[0]', 'listeners[0].port', 'listeners[0].backendGroup', 'listeners[1].scheduler']) {
    t.true(stderr.includes(`loadBalancers[0].${field}`), `${field} in ${stderr}`);
  }
  t.is((await json<{ version: string }>(t, 'get')).version, '1');
});

test.serial(
  'access lists change whole, and entries beyond what the node takes are refused with the setting',
  async (t) => {
    t.is(await prints(t, 'access-list', 'set', 'rude', '198.18.0.0/15'), 'rude: 1 entry, created\n');
    const many = `${cluster.lab.directory('documents')}/many.txt`;
    writeFileSync(
      many,
      Array.from({ length: 131_072 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}\n`).join(''),
    );
    const { code, stderr } = await spillway('access-list', 'add', 'rude', '-f', many);
    t.is(code, 1);
    t.regex(stderr, /131073 wanted, limits\.accessListEntries allows 131072: raise/);
    t.is(await prints(t, 'access-list', 'show', 'rude'), '# rude: 1 entry, not used\n198.18.0.0/15\n');
    t.is(await prints(t, 'access-list', 'delete', 'rude'), 'rude: deleted\n');
    t.like(await json(t, 'get'), { version: '3' });
    t.like(await json(t, 'apply', '-f', file), { changed: false });
  },
);

test.serial('status and backends tell what serves', async (t) => {
  t.regex(await prints(t, 'status'), /eth0.+native/);
  t.like(await json(t, 'status'), { configVersion: '3', problems: [] });
  const rows = (await prints(t, 'backends')).split('\n').filter((line) => /\bbe\d\b/.test(line));
  t.is(rows.length, 6);
  const backends = await json<{ name: string; health: string }[]>(t, 'backends', '--group', 'servers');
  t.deepEqual([...new Set(backends.map(({ health }) => health))].sort(), ['HEALTHY', 'UNCHECKED']);
  t.deepEqual(await json(t, 'backends', '--unhealthy'), []);
});

test.serial('explain names the backend that did answer, on both load balancers', async (t) => {
  const answers = await cluster.client.call('requests', { address: vip4, port: 80, count: 5 });
  for (const { localPort, hello } of answers) {
    const flow = ['explain', 'tcp', `${client4}:${localPort}`, `${vip4}:80`];
    for (const agent of cluster.agents) {
      const { code, stdout } = await agent.spillway(...flow, '--json');
      t.is(code, 0);
      t.like(JSON.parse(stdout), { verdict: 'forward', backend: hello!.backend, listener: 'tcp-80' });
    }
    t.regex(await prints(t, ...flow), new RegExp(`${hello!.backend}`));
  }
  t.like(await json(t, 'explain', 'tcp', `${client4}:1`, `${vip4}:81`), { verdict: 'drop', reason: 'no_listener' });
});

test.serial('sessions are listed by filter, and purged', async (t) => {
  await cluster.client.call('startEcho', { as: 'cli', address: vip4, port: echoPort, flows: 16, perSecond: 20 });
  const established = ['sessions', '--protocol', 'udp', '--state', 'established'];
  const listed = await until('lb1 has sessions', async () => {
    const found = await json<{ client: string; backend: string }[]>(t, ...established);
    return found.length > 0 && found;
  });
  for (const session of listed) t.is(session.client, client4);
  t.regex(await prints(t, ...established), new RegExp(`${client4}.+${listed[0]!.backend}`));
  t.deepEqual(await json(t, 'sessions', '--client', '198.51.100.3'), []);
  const echo = await cluster.client.call('stopEcho', 'cli');
  t.deepEqual(echo.missing.flat(), []);
  t.is((await json<{ purged: string }>(t, 'purge', '--protocol', 'udp')).purged, String(listed.length));
  t.deepEqual(await json(t, 'sessions', '--protocol', 'udp'), []);
  t.is((await spillway('purge')).code, 2, 'without a filter it asks which');
  t.is((await spillway('purge', '--all')).code, 2, 'without a terminal it wants --yes');
  t.regex(await prints(t, 'purge', '--all', '--yes'), /\d+ sessions? removed/);
});

test.serial('weight and drain change one backend', async (t) => {
  t.is(await prints(t, 'weight', 'servers/be1', '40'), 'servers/be1: weight 40\n');
  t.like(await json(t, 'weight', 'servers/be1', '50'), { name: 'be1', weight: 50 });
  await prints(t, 'drain', 'servers/be2');
  await prints(t, 'drain', 'servers/be3', '--wait');
  const backends = await json<{ name: string; draining: boolean; weight: number }[]>(t, 'backends');
  t.deepEqual(
    backends.slice(0, 3).map(({ name, weight, draining }) => [name, weight, draining]),
    [
      ['be1', 50, false],
      ['be2', 0, true],
      ['be3', 0, true],
    ],
  );
  t.is((await spillway('weight', 'servers/be9', '50')).code, 1);
  t.is((await spillway('weight', 'servers/be1', '101')).code, 2);
  await prints(t, 'apply', '-f', file);
});

test.serial('drops and top show what goes on', async (t) => {
  await cluster.client.call('startRequests', { as: 'cli', address: vip4, port: 80, perSecond: 50 });
  await cluster.client.call('startEcho', { as: 'lost', address: vip4, port: 9, flows: 16, perSecond: 20 });
  await until('lb1 drops', async () => /no_listener/.test(await prints(t, 'drops', '--interval', '200ms')));
  const drops = await json<{ reason: string; packets: string }[]>(t, 'drops', '--zero', '--interval', '200ms');
  t.true(JSON.stringify(drops).includes('"no_listener"'));
  t.regex(await prints(t, 'top', '--once', '--interval', '500ms'), /tcp-80/);
  const { total } = await json<{ total: { packetsPerSecond: number } }>(t, 'top', '--interval', '1s');
  t.true(total.packetsPerSecond > 10, JSON.stringify(total));
  await cluster.client.call('stopEcho', 'lost');
  const { failures } = await cluster.client.call('stopRequests', 'cli');
  t.deepEqual(failures, []);
});

test.serial('reconcile, version and completion', async (t) => {
  t.is(await prints(t, 'reconcile'), 'as it should be\n');
  t.like(await json(t, 'reconcile'), { repairs: 0 });
  const version = await prints(t, 'version');
  t.regex(version, /Program lb +tag [0-9a-f]{16}, [\d,]+ instructions verified, [\d,]+ bytes of machine code/);
  t.regex(version, /Program probe +tag [0-9a-f]{16}/);
  t.like(await json(t, 'version'), { agent: { layoutVersion: 3 } });
  for (const shell of ['bash', 'zsh', 'fish']) t.regex(await prints(t, 'completion', shell), /spillway/);
});

test.serial('wrong usage is 2, an agent that is not there is 1, with what to do', async (t) => {
  t.is((await spillway('no-such-command')).code, 2);
  t.is((await spillway('status', '--no-such-option')).code, 2);
  const { code, stderr } = await spillway('--socket', 'unix:/run/spillway/nobody.sock', 'status');
  t.is(code, 1);
  t.regex(stderr, /nobody\.sock/);
  t.is((await spillway('detach')).code, 2, 'without a terminal it wants --yes');
});

test.serial('detach by --json names the interfaces, and the agent ends', async (t) => {
  t.deepEqual(await json(t, 'detach', '--yes'), { interfaces: ['eth0'] });
  await cluster.agents[0].ended();
  t.false(cluster.agents[0].pinned);
});
