/** What can be in the way of a BIRD that announces: said in words, mended when it goes, and never worse than before. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import type { Route, RoutesStatus } from '../../src/bgp/types.js';
import type { AnnouncerMethods } from '../support/lab/announcer.js';
import { BirdLab, neighbor, route, run } from '../support/lab/bird_lab.js';
import type { Peer } from '../support/lab/peer.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const vip = '192.0.2.10';
const prefix = `${vip}/32`;
const other = '192.0.2.11';
let lab: BirdLab;
let node: Peer<AnnouncerMethods>;
/** Below the node's folder, one for each test: files, socket, disk. */
let place = '';
let places = 0;

test.before(async () => {
  lab = await BirdLab.up('trbl', { nodes: 1 });
});

test.after.always(async () => {
  await lab?.down();
});

test.beforeEach(() => {
  place = `t${places++}`;
  mkdirSync(lab.file('node1', place));
  node = lab.announcer('node1');
});

test.afterEach.always(async (t) => {
  if (!t.passed) t.log(await node.call('log').catch(String), await node.call('status').catch(String));
  await node.call('close', { withdraw: true }).catch(() => {});
  await node.close();
  for (const pid of await lab.birdPids('node1')) process.kill(pid, 'SIGKILL');
  await until('no BIRD on the node', async () => (await lab.birdPids('node1')).length === 0);
});

const at = (name: string): string => lab.file('node1', `${place}/${name}`);

function config(more: Parameters<BirdLab['config']>[1] = {}): ReturnType<BirdLab['config']> {
  return lab.config('node1', { socket: at('bird.ctl'), configFile: at('bird.conf'), ...more });
}

/** Nobody listens: started by systemd, say, on the file that is ours. */
async function startService(): Promise<void> {
  await lab.startBird('node1', `${place}/bird`, null);
}

async function problem(matches: RegExp): Promise<RoutesStatus> {
  return await until(`a problem as ${matches}`, async () => {
    const status = await node.call('status');
    if (status.problems.some((one) => matches.test(one))) return status;
    throw new Error(JSON.stringify(status.problems));
  });
}

async function noProblem(): Promise<RoutesStatus> {
  return await until('no problem any more', async () => {
    const status = await node.call('status');
    if (status.problems.length === 0) return status;
    throw new Error(JSON.stringify(status.problems));
  });
}

/** Sessions are looked at once a second. */
async function announced(...routes: Route[]): Promise<void> {
  await until('status to know that a neighbor hears it', async () => {
    return JSON.stringify((await node.call('status')).announced) === JSON.stringify(routes);
  });
}

async function learn(...prefixes: string[]): Promise<void> {
  await until(`the router to have ${prefixes.join(' ') || 'nothing'}`, async () => {
    return (await lab.learnt('node1')).join() === prefixes.sort().join();
  });
}

async function refused(
  t: ExecutionContext,
  routes: Parameters<AnnouncerMethods['set']>[0],
  why: RegExp,
): Promise<void> {
  const { error } = await node.call('set', routes);
  t.regex(error, why);
  t.true(error.startsWith('UnavailableError: '), error);
}

test('not supervised and not there: the remedy is named, and it works when BIRD is started', async (t) => {
  const words = /no BIRD listens on .*bird\.ctl: systemctl start bird, or set routes\.supervise/;
  const opened = await node.call('open', config({ supervise: false }));
  t.regex(opened.problems[0]!, words);
  t.false(opened.engine!.running);
  await refused(t, [route(vip)], words);
  t.like(await node.call('set', []), { error: '' }, 'nothing is announced: that is what was asked for');
  await refused(t, [route(vip)], words);
  await startService();
  await learn(prefix);
  await noProblem();
  await announced(route(vip));
});

test('not supervised and killed: its routes are told as gone, and it is taken up when it is back', async (t) => {
  await node.call('open', config({ supervise: false }));
  await startService();
  await until('the routes to be taken', async () => (await node.call('set', [route(vip)])).error === '');
  await learn(prefix);
  lab.signalBird('node1', 'SIGKILL', `${place}/bird`);
  const { announced: left, engine } = await problem(/no BIRD listens on/);
  t.deepEqual(left, []);
  t.false(engine!.running);
  await learn();
  await startService();
  await learn(prefix);
  await noProblem();
});

test('a service that comes back by itself announces what was last told, and nothing more', async (t) => {
  await node.call('open', config({ supervise: false }));
  await startService();
  await until('the routes to be taken', async () => (await node.call('set', [route(vip), route(other)])).error === '');
  await node.call('set', [route(other)]);
  await node.close();
  lab.signalBird('node1', 'SIGKILL', `${place}/bird`);
  await learn();
  await startService();
  await learn(`${other}/32`);
  t.pass();
  node = lab.announcer('node1');
  t.is((await node.call('open', config({ supervise: false }))).problems.length, 0);
});

test('a BIRD that gave up root, as in the service of Debian, can read its file', async (t) => {
  await run('chmod', '755', lab.directory);
  await run('chown', 'bird:bird', lab.file('node1', place));
  const service = config({ supervise: false });
  await node.call('open', service);
  t.is(statSync(at('bird.conf')).gid, Number(await run('id', '-g', 'bird')));
  await lab.startBird('node1', `${place}/bird`, null, ['-u', 'bird', '-g', 'bird']);
  await until('the routes to be taken', async () => (await node.call('set', [route(vip)])).error === '');
  await learn(prefix);
  t.is(statSync(at('bird.conf')).mode & 0o777, 0o640);
  t.is(statSync(at('bird.conf')).gid, statSync(at('bird.ctl')).gid);
});

test('no binary: the agent goes on, and says what to install', async (t) => {
  const opened = await node.call('open', config({ binary: '/usr/sbin/no-such-bird' }));
  t.deepEqual(opened.problems, ['there is no BIRD at /usr/sbin/no-such-bird: install bird2, or set routes.binary']);
  await refused(t, [route(vip)], /there is no BIRD at|started again in/);
});

test('what BIRD refuses leaves the configuration and the routes before it in force', async (t) => {
  await node.call('open', config());
  await node.call('set', [route(vip)]);
  await learn(prefix);
  await node.call('close', { withdraw: false });
  const before = readFileSync(at('bird.conf'), 'utf8');
  // BIRD takes hold times from 3 s on.
  const opened = await node.call('open', config({ holdTimeSeconds: 2 }));
  t.regex(opened.problems[0]!, /^BIRD refuses its configuration, the one before stays: line \d+:\d+ Hold time/);
  t.is(readFileSync(at('bird.conf'), 'utf8'), before);
  t.false(existsSync(at('bird.conf.new')));
  await refused(t, [route(vip), route(other)], /BIRD refuses its configuration/);
  t.deepEqual(await lab.learnt('node1'), [prefix]);
});

test('a route that makes no sense holds up no other', async (t) => {
  await node.call('open', config());
  t.like(await node.call('set', [route(vip), route(other, { communities: ['70000:1'] })]), { error: '' });
  await learn(prefix);
  await problem(/^192\.0\.2\.11 is not announced: community "70000:1"/);
  await node.call('set', [route(vip)]);
  await noProblem();
  await announced(route(vip));
  t.pass();
});

test('a VIP of a family that no neighbor has is named', async (t) => {
  await node.call('open', config({ neighbors: [neighbor('10.91.1.2')] }));
  await node.call('set', [route(vip), route('2001:db8:10::10')]);
  await learn(prefix);
  await problem(/^2001:db8:10::10 is IPv6, no neighbor is/);
  await announced(route(vip));
  t.pass();
});

test('a full disk: what cannot be written is said, all can be withdrawn, and it goes on when there is room', async (t) => {
  await run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', lab.file('node1', place));
  t.teardown(() => run('umount', '-l', lab.file('node1', `t${places - 1}`)));
  await node.call('open', config({ neighbors: [neighbor('10.91.1.2'), neighbor('fd91:1::2')] }));
  await node.call('set', [route(vip)]);
  await learn(prefix);
  await run('sh', '-c', `head -c 1000000 /dev/zero >${at('filler')} || true`);
  await refused(t, [route(vip), route(other)], /bird\.conf cannot be written, the one before stays: ENOSPC/);
  t.deepEqual(await lab.learnt('node1'), [prefix]);
  await problem(/ENOSPC/);
  await refused(t, [], /ENOSPC/);
  await learn();
  t.deepEqual((await node.call('status')).announced, []);
  rmSync(at('filler'));
  await noProblem();
  t.deepEqual(await lab.learnt('node1'), []);
  t.like(await node.call('set', [route(vip), route(other)]), { error: '' });
  await learn(prefix, `${other}/32`);
});

test('a directory that is not there is said, and used when it is', async (t) => {
  await node.call('open', config());
  await node.call('set', [route(vip)]);
  await learn(prefix);
  await node.call('close', { withdraw: false });
  const gone = config({ configFile: at('gone/bird.conf'), supervise: false, socket: at('other.ctl') });
  t.regex((await node.call('open', gone)).problems[0]!, /gone\/bird\.conf cannot be written.*ENOENT/);
  mkdirSync(at('gone'));
  await problem(/no BIRD listens/);
  t.true(existsSync(at('gone/bird.conf')));
});

test('a configuration that was not made by Spillway is never overwritten', async (t) => {
  const text = 'router id 1.2.3.4;\nprotocol device {}\n';
  writeFileSync(at('bird.conf'), text);
  const words = /bird\.conf was not written by spillwayd, and is left as it is: move it away/;
  t.regex((await node.call('open', config())).problems[0]!, words);
  await refused(t, [route(vip)], words);
  t.is(readFileSync(at('bird.conf'), 'utf8'), text);
  t.is((await lab.birdPids('node1')).length, 0);
  rmSync(at('bird.conf'));
  await learn(prefix);
});

test('a BIRD that reads another file is left alone', async (t) => {
  const text = `router id 10.91.1.1;\nprotocol device {}\n`;
  await lab.startBird('node1', `${place}/foreign`, text);
  const words = /the BIRD on .*foreign\.ctl reads ".*foreign\.conf", and is left alone: start it with -c .*bird\.conf/;
  t.regex((await node.call('open', config({ socket: at('foreign.ctl') }))).problems[0]!, words);
  await refused(t, [route(vip)], words);
  t.is((await lab.birdPids('node1')).length, 1);
  t.is(readFileSync(at('foreign.conf'), 'utf8'), text);
  lab.signalBird('node1', 'SIGKILL', `${place}/foreign`);
  await learn(prefix);
});

/** On the socket where BIRD is looked for. */
async function impostor(t: ExecutionContext, talk: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(at('bird.ctl'), resolve));
  const close = (): void => void server.close();
  t.teardown(close);
  return server;
}

test('a foreign process on the socket is named, and nothing is started beside it', async (t) => {
  const server = await impostor(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n'));
  const words = /what listens on .*bird\.ctl is not BIRD: "HTTP.*; end it, or set routes\.socket/;
  t.regex((await node.call('open', config())).problems[0]!, words);
  await refused(t, [route(vip)], words);
  t.is((await lab.birdPids('node1')).length, 0);
  server.close();
  await learn(prefix);
});

test('a socket that hangs is given up after 2 s, and tried again', async (t) => {
  const sockets: Socket[] = [];
  const server = await impostor(t, (socket) => sockets.push(socket));
  const words =
    /what listens on .*bird\.ctl does not answer its greeting within 2000 ms; if it stays so, kill it: BIRD is started once it has ended/;
  const startedMs = performance.now();
  t.regex((await node.call('open', config())).problems[0]!, words);
  t.true(performance.now() - startedMs < 4000 * patience);
  await until('a second try', () => sockets.length > 1);
  server.close();
  for (const socket of sockets) socket.destroy();
  await until('the routes to be taken', async () => (await node.call('set', [route(vip)])).error === '');
  await learn(prefix);
});

test('a BIRD that goes in the middle of an answer, or says what makes no sense, is asked again', async (t) => {
  let turns = 0;
  const server = await impostor(t, (socket) => {
    turns++;
    socket.write('0001 BIRD 2.0.12 ready.\n');
    socket.once('data', () => socket.end(turns % 2 === 1 ? '1000-BIRD 2.0.12\n1011-Router' : 'nonsense\n'));
  });
  const opened = await node.call('open', config());
  t.regex(opened.problems[0]!, /BIRD closed .*bird\.ctl/);
  await problem(/is not BIRD: "nonsense" is no line of BIRD's/);
  t.true(turns < 10, `${turns} turns: it is asked about once a second`);
  server.close();
  await until('the routes to be taken', async () => (await node.call('set', [route(vip)])).error === '');
  await learn(prefix);
});

test('a BIRD that is stopped in its tracks is told as not answering, and served again when it goes on', async (t) => {
  await node.call('open', config());
  await node.call('set', [route(vip)]);
  await learn(prefix);
  const [pid] = await lab.birdPids('node1');
  process.kill(pid!, 'SIGSTOP');
  t.deepEqual((await problem(/does not answer/)).announced, []);
  t.is((await lab.birdPids('node1')).length, 1, 'no second one is started');
  process.kill(pid!, 'SIGCONT');
  await noProblem();
  await learn(prefix);
});

test('the password of a session: right, it is made; wrong, it is not, and that is said', async (t) => {
  const secret = 'correct horse; battery {staple}';
  const routed = await BirdLab.up('pass', { routerBgp: `password "${secret}";` });
  t.teardown(() => routed.down());
  const far = routed.announcer('node1');
  const file = routed.file('node1', 'password');
  const given = routed.config('node1');
  const own = { ...given, neighbors: given.neighbors.map((one) => ({ ...one, passwordFile: file })) };
  t.regex((await far.call('open', own)).problems[0]!, /there is no password file .*password/);
  writeFileSync(file, `${secret}\n`);
  t.like(await far.call('set', [route(vip)]), { error: '' });
  await until('the route', async () => (await routed.learnt('node1')).length === 1);
  const { mode } = statSync(routed.file('node1', 'bird.conf'));
  t.is(mode & 0o777, 0o640);
  await far.call('close', { withdraw: true });
  writeFileSync(file, 'wrong\n');
  await far.call('open', own);
  await far.call('set', [route(vip)]);
  const status = await until(
    'it to be said',
    async () => {
      const now = await far.call('status');
      return now.problems.some((one) => one.startsWith('neighbor 10.91.1.2 is not reached')) && now;
    },
    { withinMs: 20_000 },
  );
  t.deepEqual(status.announced, []);
  await far.call('close', { withdraw: true });
});
