import test from 'ava';
import type { Input, messages } from '../../../src/api/client.js';
import { statusInput } from '../../unit/cli/fixture.js';
import { startFakeAgent } from './fake_agent.js';
import { onTerminal, shell, spillway } from './spillway.js';

/** A table of so many sessions; says how many pages were asked for. */
async function tableOf(count: number) {
  let pages = 0;
  const agent = await startFakeAgent({
    SessionService: {
      list({ pageSize, pageToken }) {
        pages++;
        const start = Number(pageToken || '0');
        const end = Math.min(count, start + pageSize);
        const sessions = Array.from({ length: end - start }, (_, i) => session(start + i));
        return { sessions, nextPageToken: end < count ? String(end) : '' };
      },
    },
  });
  return { ...agent, pages: () => pages };
}

function session(i: number): Input<messages.Session> {
  const client = `198.51.100.${i % 256}`;
  return { protocol: 'TCP', client, clientPort: 1024 + (i % 60_000), vip: '192.0.2.1', vipPort: 443, backend: 'be1' };
}

test('a million sessions: head has its ten lines after a few pages, and the broken pipe is no fault', async (t) => {
  const agent = await tableOf(1_000_000);
  t.teardown(agent.close);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
  const script = 'spillway sessions --json | head -n 10; echo "exit ${PIPESTATUS[0]}"';
  const run = await shell(script, agent);
  const lines = run.stdout.trim().split('\n');
  t.is(lines[0], '[');
  t.is(lines.length, 11);
  t.is(lines[10], 'exit 0');
  t.is(run.stderr, '');
  t.true(agent.pages() <= 4, `${agent.pages()} pages`);
  t.log(`${run.tookMs.toFixed(0)} ms with the start of Node`);
});

test('--json prints all sessions as one array, a session a line', async (t) => {
  const agent = await tableOf(12_345);
  t.teardown(agent.close);
  const run = await spillway(['sessions', '--json'], agent);
  t.is(run.code, 0);
  t.is((JSON.parse(run.stdout) as unknown[]).length, 12_345);
  t.is(run.stdout.split('\n').length, 12_345 + 3);
  const few = await spillway(['sessions', '--json', '--limit', '300'], agent);
  t.is((JSON.parse(few.stdout) as unknown[]).length, 300);
});

test('no session is an empty array, or a word on standard error', async (t) => {
  const agent = await tableOf(0);
  t.teardown(agent.close);
  t.is((await spillway(['sessions', '--json'], agent)).stdout, '[]\n');
  const table = await spillway(['sessions'], agent);
  t.is(table.stdout, '');
  t.is(table.stderr, 'no session matches\n');
});

test('a table ends after 1,000 sessions and says so; --limit and --all go further', async (t) => {
  const agent = await tableOf(2500);
  t.teardown(agent.close);
  const lines = async (...args: string[]): Promise<[number, string]> => {
    const run = await spillway(['sessions', ...args], agent);
    return [run.stdout.trimEnd().split('\n').length - 1, run.stderr];
  };
  t.deepEqual(await lines(), [1000, '1,000 shown, there may be more: --limit N or --all\n']);
  t.deepEqual(await lines('--limit', '2200'), [2200, '2,200 shown, there may be more: --limit N or --all\n']);
  t.deepEqual(await lines('--all'), [2500, '']);
});

test('a broken pipe is quiet for every command that prints', async (t) => {
  const agent = await startFakeAgent({
    StatusService: { get: () => ({ problems: Array.from({ length: 20_000 }, (_, i) => `problem ${i}`) }) },
  });
  t.teardown(agent.close);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
  const run = await shell('spillway status | head -n 1 >/dev/null; echo "exit ${PIPESTATUS[0]}"', agent);
  t.is(run.stdout, 'exit 0\n');
  t.is(run.stderr, '');
});

test('colour on a terminal; none in a pipe, with NO_COLOR, or with TERM=dumb', async (t) => {
  const agent = await startFakeAgent({ StatusService: { get: () => statusInput() } });
  t.teardown(agent.close);
  // Progress may rewrite its line on any terminal: only bold and green are looked for.
  const coloured = ({ stdout }: { stdout: string }): boolean =>
    ['\x1b[1m', '\x1b[32m'].some((code) => stdout.includes(code));
  t.true(coloured(await onTerminal(['status'], agent)));
  t.false(coloured(await spillway(['status'], agent)));
  t.false(coloured(await onTerminal(['status'], { ...agent, env: { NO_COLOR: '1' } })));
  t.false(coloured(await onTerminal(['status'], { ...agent, env: { TERM: 'dumb' } })));
});

test('top on a terminal has a screen of its own and gives it back on q', async (t) => {
  const agent = await startFakeAgent({ StatusService: { get: () => statusInput() } });
  t.teardown(agent.close);
  const run = await onTerminal(['top', '--interval', '100ms'], { ...agent, input: 'q' });
  t.is(run.code, 0);
  const opened = run.stdout.indexOf('\x1b[?1049h');
  const closed = run.stdout.lastIndexOf('\x1b[?25h\x1b[?1049l');
  t.true(opened >= 0 && closed > opened);
});

test('detach asks on a terminal, and no is no', async (t) => {
  let detached = 0;
  const agent = await startFakeAgent({
    NodeService: {
      detach() {
        detached++;
        return { interfaces: ['eth0'] };
      },
    },
  });
  t.teardown(agent.close);
  const no = await onTerminal(['detach'], { ...agent, input: 'n\n' });
  t.is(no.code, 1);
  t.regex(no.stdout, /Detach\? \[y\/N\]/);
  t.is(detached, 0);
  const yes = await onTerminal(['detach'], { ...agent, input: 'yes\n' });
  t.is(yes.code, 0);
  t.is(detached, 1);
});

test('completion scripts: bash takes its own, and it completes commands, options, choices and files', async (t) => {
  const script = await shell('spillway completion bash | bash -n');
  t.is(script.code, 0, script.stderr);
  const complete = async (line: string): Promise<string[]> => {
    const run = await shell(`source <(spillway completion bash)
      COMP_WORDS=(${line} "$1"); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _spillway; printf '%s\\n' "\${COMPREPLY[@]}"`);
    return run.stdout.trim().split('\n');
  };
  t.true((await complete('spillway')).includes('status'));
  t.true((await complete('spillway drain')).includes('--wait'));
  t.true((await complete('spillway --socket unix:/x drain')).includes('--wait'));
  t.deepEqual(await complete('spillway get -o'), ['yaml', 'json']);
  t.true((await complete('spillway completion')).includes('zsh'));
  t.true((await complete('spillway access-list')).includes('remove'));
  t.true((await complete('spillway access-list set')).includes('--allow-empty'));
  t.true((await complete('spillway access-list set bad -f')).length > 1, 'files');
  for (const name of ['zsh', 'fish']) {
    const run = await spillway(['completion', name]);
    t.is(run.code, 0);
    t.regex(run.stdout, /sessions/);
  }
});

test('help and the version of the client do not load gRPC', async (t) => {
  const loaded = async (args: string): Promise<boolean> => {
    const run = await shell(`NODE_DEBUG=esm,module spillway ${args} 2>&1 >/dev/null | grep -c -E 'grpc-js|protobufjs'`);
    return run.stdout.trim() !== '0';
  };
  t.true(await loaded('status'));
  for (const args of ['--help', 'version --client', 'sessions --help', 'completion bash']) {
    t.false(await loaded(args), args);
  }
});
