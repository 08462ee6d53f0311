import test from 'ava';
import { refuse, startFakeAgent } from './fake_agent.js';
import { spillway } from './spillway.js';

test('help is good, on standard output, with examples, for every command', async (t) => {
  const top = await spillway(['--help']);
  t.is(top.code, 0);
  t.is(top.stderr, '');
  const names = [...top.stdout.matchAll(/^ {2}([a-z]+)(?: [[<].*?)? {2,}\S/gm)].map((match) => match[1]!);
  t.true(names.length >= 14, names.join(' '));
  for (const name of names.filter((one) => one !== 'help')) {
    const help = await spillway([name, '--help']);
    t.is(help.code, 0, name);
    t.regex(help.stdout, /\n {2}\$ spillway |\n {2}\$ eval/, name);
  }
});

test('no command at all is wrong usage: the help goes to standard error', async (t) => {
  const run = await spillway([]);
  t.is(run.code, 2);
  t.is(run.stdout, '');
  t.regex(run.stderr, /^Usage: spillway/);
});

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [['statu'], /unknown command 'statu'[\s\S]*status[\s\S]*Try "spillway --help"/],
  [['status', '--nope'], /unknown option '--nope'[\s\S]*Try "spillway status --help"/],
  [['access-list', 'add', '--nope'], /unknown option '--nope'[\s\S]*Try "spillway access-list add --help"/],
  [['apply'], /'-f, --file <file>' not specified[\s\S]*Try "spillway apply --help"/],
  [['apply', '-f', '-', '--expected-version', 'x'], /whole number/],
  [['weight', 'web/be1'], /missing required argument/],
  [['weight', 'web/be1', '101'], /from 0 to 100/],
  [['weight', 'be1', '1'], /GROUP\/BACKEND/],
  [['drain', 'be1'], /GROUP\/BACKEND/],
  [['explain', 'sctp', '192.0.2.7:1', '192.0.2.1:2'], /tcp, udp/],
  [['explain', 'tcp', '2001:db8::7:1', '192.0.2.1:2'], /\[2001:db8::7\]:40000/],
  [['sessions', '--port', '0'], /from 1 to 65535/],
  [['sessions', '--state', 'old'], /young, established, closing/],
  [['purge'], /give a filter, or --all/],
  [['purge', '--all', '--group', 'web', '--yes'], /exclude each other/],
  [['purge', '--all'], /--yes/],
  [['detach'], /--yes/],
  [['get', '-o', 'xml'], /yaml, json/],
  [['access-list', 'set', 'bad'], /which entries/],
  [['access-list', 'add'], /missing required argument 'name'/],
  [['completion', 'csh'], /bash, zsh, fish/],
  [['status', '--timeout', 'soon'], /duration/],
  [['status', '--tls-ca', 'ca.pem'], /give all three/],
  [['status', 'surplus'], /too many arguments/],
  [['backend', 'attach'], /--interface/],
  [['backend', 'attach', '--interface', 'lo', '--from', 'x'], /address/],
];

for (const [args, words] of wrong) {
  test(`wrong usage: spillway ${args.join(' ')}`, async (t) => {
    const run = await spillway(args);
    t.is(run.code, 2, run.stderr);
    t.is(run.stdout, '');
    t.regex(run.stderr, words);
    t.regex(run.stderr, /Try "spillway .*--help"/);
  });
}

test('an agent that is not there: the socket, the reason and a remedy', async (t) => {
  const run = await spillway(['status'], { socket: 'unix:/nonexistent/spillway.sock' });
  t.is(run.code, 1);
  t.regex(run.stderr, /unix:\/nonexistent\/spillway\.sock: no such socket\n.*spillwayd running.*--socket/);
  const tcp = await spillway(['status', '--socket', '127.0.0.1:1']);
  t.is(tcp.code, 1);
  t.regex(tcp.stderr, /127\.0\.0\.1:1: connection refused/);
});

test('the options of the agent are understood before and after the command', async (t) => {
  for (const args of [
    ['--socket', '/nonexistent/a', 'status'],
    ['status', '--socket', 'unix:/nonexistent/a'],
  ]) {
    const run = await spillway(args);
    t.is(run.code, 1);
    t.regex(run.stderr, /unix:\/nonexistent\/a: no such socket/);
  }
});

test('TLS files that cannot be read are named', async (t) => {
  const tls = ['--tls-ca', '/nonexistent/ca', '--tls-cert', '/nonexistent/c', '--tls-key', '/nonexistent/k'];
  const run = await spillway(['status', '--socket', '127.0.0.1:1', ...tls]);
  t.is(run.code, 1);
  t.regex(run.stderr, /ENOENT.*\/nonexistent\/ca/);
});

test('an agent that says UNAVAILABLE itself keeps its own words', async (t) => {
  const agent = await startFakeAgent({
    StatusService: {
      get: () => {
        throw refuse('UNAVAILABLE', 'the kernel refused map "backends": ENOMEM');
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['status'], agent);
  t.is(run.code, 1);
  t.regex(run.stderr, /^spillway: the kernel refused map "backends": ENOMEM\n/);
});

test('an agent that does not answer in time, and one that does not know the call', async (t) => {
  const agent = await startFakeAgent({ StatusService: { get: () => new Promise(() => undefined) }, NodeService: {} });
  t.teardown(agent.close);
  const slow = await spillway(['status', '--timeout', '300ms'], agent);
  t.is(slow.code, 1);
  t.regex(slow.stderr, /no answer from unix:.* within 300 ms\n.*--timeout/);
  const old = await spillway(['reconcile'], agent);
  t.is(old.code, 1);
  t.regex(old.stderr, /does not know this call/);
});

test('what takes long is said on standard error', async (t) => {
  const agent = await startFakeAgent({ StatusService: { get: () => new Promise(() => undefined) } });
  t.teardown(agent.close);
  const run = await spillway(['status', '--timeout', '3s'], agent);
  t.is(run.code, 1);
  t.regex(run.progress[0] ?? '', /^waiting for unix:.*: status \(\ds\)\n/);
});

test('with --json an error is an object on standard error', async (t) => {
  const run = await spillway(['status', '--json']);
  t.is(run.code, 1);
  t.is(run.stdout, '');
  t.like(JSON.parse(run.stderr), { error: { code: 'UNAVAILABLE', violations: [] } });
  const usage = await spillway(['drain', 'be1', '--json']);
  t.is(usage.code, 2);
  t.like(JSON.parse(usage.stderr), { error: { code: 'USAGE' } });
});

test('the version of the client needs no agent', async (t) => {
  for (const args of [['version', '--client'], ['--version']]) {
    const run = await spillway(args);
    t.is(run.code, 0);
    t.regex(run.stdout, /^(spillway )?\d+\.\d+\.\d+\n$/);
  }
});
