/** What is said to BIRD, against a socket that answers as BIRD might. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sessionOf } from '../../../src/bgp/bird-session.js';
import { Control, type ControlError } from '../../../src/bgp/control.js';
import { systemClock } from '../../../src/netlink/port.js';
import { configOf } from './sample.js';

const options = { connect, clock: systemClock, timeoutMs: 200 };
const greeting = '0001 BIRD 2.0.12 ready.\n';

/** Answers each command by its words; what it has no words for stays without an answer. */
async function listen(t: ExecutionContext, answers: Readonly<Record<string, string | string[]>>, hello = greeting) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sw-ctl-'));
  const socketPath = path.join(directory, 'bird.ctl');
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(hello);
    socket.on('data', (data) => {
      for (const command of data.toString().split('\n').filter(Boolean)) {
        asked.push(command);
        const answer = answers[command];
        const text = Array.isArray(answer) ? answer.shift() : answer;
        if (text === 'end') socket.end();
        else if (text !== undefined) socket.write(text);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  return { path: socketPath, asked };
}

const kindOf = async (t: ExecutionContext, promise: Promise<unknown>): Promise<ControlError['kind']> =>
  (await t.throwsAsync<ControlError>(promise, { name: 'ControlError' }))!.kind;

test('commands go one at a time, in their order', async (t) => {
  const bird = await listen(t, { a: '1000-A\n0000 \n', b: '0013 B\n', c: '9001 syntax error\n' });
  const control = await Control.open(bird.path, options);
  t.is(control.version, 'BIRD 2.0.12');
  const replies = await Promise.all(['a', 'b', 'c'].map((command) => control.command(command)));
  t.deepEqual(
    replies.map((reply) => reply.at(-1)!.code),
    [0, 13, 9001],
  );
  t.deepEqual(bird.asked, ['a', 'b', 'c']);
  control.close();
  t.is(await kindOf(t, control.command('a')), 'gone');
});

test('each way of not being BIRD has a name of its own', async (t) => {
  t.is(await kindOf(t, Control.open('/nowhere/bird.ctl', options)), 'absent');
  t.is(await kindOf(t, Control.open((await listen(t, {}, '')).path, options)), 'hung');
  t.is(await kindOf(t, Control.open((await listen(t, {}, '220 mail ESMTP\n')).path, options)), 'foreign');
  t.is(await kindOf(t, Control.open((await listen(t, {}, '0000 hello\n')).path, options)), 'foreign');
  t.is(
    await kindOf(
      t,
      Control.open((await listen(t, {}, `${greeting}0013 more\n`)).path, options).then((control) =>
        control.command('x'),
      ),
    ),
    'foreign',
  );
});

test('what ends in the middle ends all that wait, and says so once', async (t) => {
  const bird = await listen(t, { a: '1000-half', b: 'end' });
  const control = await Control.open(bird.path, options);
  let closed = 0;
  control.onClose(() => closed++);
  const kinds = await Promise.all(['a', 'b'].map((command) => kindOf(t, control.command(command))));
  t.deepEqual(kinds, ['hung', 'hung']);
  t.is(closed, 1);
  const other = await Control.open(bird.path, options);
  t.is(await kindOf(t, other.command('b')), 'gone');
});

test('a reconfiguration that takes its time is waited for', async (t) => {
  for (const begun of ['0004 Reconfiguration in progress\n', '0005 Reconfiguration already in progress, queueing\n']) {
    const bird = await listen(t, {
      configure: `0002-Reading configuration from x\n${begun}`,
      'show status': [
        '1000-BIRD 2.0.12\n0013 Reconfiguration in progress\n',
        '1000-BIRD 2.0.12\n0013 Reconfiguration in progress\n',
        '1000-BIRD 2.0.12\n0013 Daemon is up and running\n',
      ],
    });
    await sessionOf(await Control.open(bird.path, options), systemClock).configure();
    t.deepEqual(bird.asked, ['configure', 'show status', 'show status', 'show status']);
  }
});

test('a refusal of a configuration is told in the words of BIRD', async (t) => {
  for (const words of ['8002 x:3:1 syntax error', '0006 Reconfiguration ignored, shutting down']) {
    const bird = await listen(t, { configure: `0002-Reading configuration from x\n${words}\n` });
    const session = sessionOf(await Control.open(bird.path, options), systemClock);
    await t.throwsAsync(session.configure(), { name: 'UnavailableError', message: new RegExp(words.slice(5)) });
  }
});

test('a BIRD without the BFD that was asked for has no sessions of it; other answers that make no sense are refused', async (t) => {
  const protocols = '2002-Name       Proto      Table      State  Since         Info\n0000 \n';
  const good = await listen(t, {
    'show protocols all': protocols,
    'show bfd sessions': '0013 There is no BFD protocol\n',
  });
  const session = sessionOf(await Control.open(good.path, options), systemClock);
  t.deepEqual(await session.observe(configOf()), { protocols: new Map(), bfd: [] });
  const odd = await listen(t, { 'show protocols all': '8001 Access denied\n' });
  await t.throwsAsync(sessionOf(await Control.open(odd.path, options), systemClock).observe(configOf()), {
    name: 'UnavailableError',
    message: /makes no sense/,
  });
});
