import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createServer } from '../../../src/api/server.js';
import { memoryAgent } from './memory_agent.js';
import { spillway } from './spillway.js';

/** The API server itself, with the state in memory, and a folder for files. */
async function start(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  const server = await createServer({ agent: memoryAgent(), listen: { unix: join(folder, 'agent.sock'), tcp: null } });
  t.teardown(async () => {
    await server.stop({ deadlineMs: 100 });
    rmSync(folder, { recursive: true, force: true });
  });
  const socket = server.targets[0]!;
  return {
    folder,
    lists: (args: readonly string[], input?: string) =>
      spillway(['access-list', ...args], input === undefined ? { socket } : { socket, input }),
    apply: (document: unknown) => spillway(['apply', '-f', '-'], { socket, input: JSON.stringify(document) }),
    get: () => spillway(['get'], { socket }),
  };
}

test('a list is created, replaced, added to, taken from, shown and deleted', async (t) => {
  const { lists, get } = await start(t);
  t.is((await lists(['show'])).stderr, 'no access list\n');
  const created = await lists(['set', 'bad', '198.51.100.7', '2001:DB8::/32', '198.51.100.7/32']);
  t.is(created.stdout, 'bad: 2 entries, created\n', created.stderr);
  const added = await lists(['add', 'bad', '198.51.100.7', '10.0.0.0/8', '::ffff:192.0.2.1']);
  t.is(added.stdout, 'bad: 2 entries added, 4 entries now\n', added.stderr);
  const removed = await lists(['remove', 'bad', '2001:db8::/32', '203.0.113.1', '--json']);
  t.deepEqual(JSON.parse(removed.stdout), { added: 0, removed: 1, entryCount: 3 });
  t.is((await lists(['show', 'bad'])).stdout, '# bad: 3 entries, not used\n10.0.0.0/8\n192.0.2.1\n198.51.100.7\n');
  const set = await lists(['set', 'bad', '10.1.0.0/16', '--description', 'who was rude', '--json']);
  t.deepEqual(JSON.parse(set.stdout), { name: 'bad', entryCount: 1, created: false });
  t.deepEqual(JSON.parse((await lists(['show', 'bad', '--json'])).stdout), {
    name: 'bad',
    entries: ['10.1.0.0/16'],
    description: 'who was rude',
  });
  t.regex((await get()).stdout, /accessLists:\n {2}- name: bad\n {4}entries:\n {6}- 10\.1\.0\.0\/16\n/);
  t.is((await lists(['delete', 'bad'])).stdout, 'bad: deleted\n');
  const gone = await lists(['show', 'bad']);
  t.is(gone.code, 1);
  t.regex(gone.stderr, /no access list "bad"/);
  const nothing = await lists(['add', 'bad', '10.0.0.0/8']);
  t.is(nothing.code, 1);
  t.regex(nothing.stderr, /no access list "bad"/);
});

test('a file has an entry a line, comments as block lists have them, and what show prints can be set', async (t) => {
  const { lists, folder } = await start(t);
  const file = join(folder, 'drop.txt');
  writeFileSync(
    file,
    '; Spamhaus DROP\r\n1.10.16.0/20 ; SBL256894\r\n\r\n# ours\n  192.0.2.0/24   # all of it\n2001:db8::/32',
  );
  t.is((await lists(['set', 'drop', '-f', file, '203.0.113.7'])).stdout, 'drop: 4 entries, created\n');
  const { stdout } = await lists(['show', 'drop']);
  t.is(stdout, '# drop: 4 entries, not used\n1.10.16.0/20\n192.0.2.0/24\n203.0.113.7\n2001:db8::/32\n');
  t.is((await lists(['set', 'copy', '-f', '-'], stdout)).stdout, 'copy: 4 entries, created\n');
  t.is((await lists(['remove', 'copy', '-f', '-'], stdout)).stdout, 'copy: 4 entries removed, 0 entries now\n');
  const table = await lists(['show']);
  t.is(table.stdout, 'NAME  ENTRIES  USED BY   DESCRIPTION\ndrop        4  not used\ncopy        0  not used\n');
});

test('what is no entry is named by its line, and nothing changes', async (t) => {
  const { lists, folder } = await start(t);
  await lists(['set', 'bad', '10.0.0.0/8']);
  const file = join(folder, 'list');
  writeFileSync(file, '# a\n192.0.2.1\n192.0.2.1/24\nexample.com\n');
  const run = await lists(['set', 'bad', '-f', file, '1.2.3']);
  t.is(run.code, 1);
  t.regex(run.stderr, /^spillway: nothing was sent: 3 entries at fault\n/);
  t.regex(run.stderr, /list:3 +"192\.0\.2\.1\/24" has bits set behind its length: write "192\.0\.2\.0\/24"/);
  t.regex(run.stderr, /list:4 +"example\.com" is no address or prefix/);
  t.regex(run.stderr, /ENTRY 1 +"1\.2\.3" is no address or prefix/);
  const html = await lists(['set', 'bad', '-f', '-', '--json'], '<html>\n'.repeat(500));
  const { error } = JSON.parse(html.stderr) as { error: { code: string; violations: { description: string }[] } };
  t.is(error.code, 'INVALID_ARGUMENT');
  t.is(error.violations.length, 21);
  t.is(error.violations[20]?.description, 'and 480 entries more');
  t.regex((await lists(['show', 'bad'])).stdout, /^10\.0\.0\.0\/8$/m);
});

test('an empty file does not empty a list, unless that is said', async (t) => {
  const { lists } = await start(t);
  await lists(['set', 'bad', '10.0.0.0/8']);
  const failed = await lists(['set', 'bad', '-f', '-'], '# the download failed\n');
  t.is(failed.code, 1);
  t.regex(failed.stderr, /holds no entries, nothing was changed\n.*--allow-empty/);
  t.is((await lists(['set', 'bad', '-f', '-', '--allow-empty'], '')).stdout, 'bad: 0 entries\n');
  t.is((await lists(['set', 'other', '--allow-empty'])).stdout, 'other: 0 entries, created\n');
});

test('who uses a list is said, and keeps it from being deleted', async (t) => {
  const { lists, apply } = await start(t);
  const listener = { name: 'https', protocol: 'TCP', port: 443, backendGroup: 'pool' };
  const accessControl = { mode: 'DENY', accessList: 'bad' };
  const applied = await apply({
    loadBalancers: [{ name: 'web', addresses: ['192.0.2.1'], listeners: [{ ...listener, accessControl }] }],
    backendGroups: [{ name: 'pool', forwarding: 'L2_DSR' }],
    accessLists: [{ name: 'bad', entries: ['10.0.0.0/8'], description: 'the rude' }],
  });
  t.is(applied.code, 0, applied.stderr);
  t.is((await lists(['show', 'bad'])).stdout, '# bad: 1 entry, DENY at web/https\n# the rude\n10.0.0.0/8\n');
  t.deepEqual(JSON.parse((await lists(['show', '--json'])).stdout), [
    {
      name: 'bad',
      entryCount: 1,
      usedBy: [{ loadBalancer: 'web', listener: 'https', mode: 'DENY' }],
      description: 'the rude',
    },
  ]);
  const refused = await lists(['delete', 'bad']);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /listener "web\/https" uses access list "bad"/);
});

test('a list of 100,000 entries is set, added to and shown', async (t) => {
  const { lists } = await start(t);
  const many = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}\n`).join('');
  const set = await lists(['set', 'big', '-f', '-'], many);
  t.is(set.stdout, 'big: 100,000 entries, created\n', set.stderr);
  const add = await lists(['add', 'big', '192.0.2.1']);
  t.is(add.stdout, 'big: 1 entry added, 100,001 entries now\n', add.stderr);
  const show = await lists(['show', 'big']);
  t.is(show.stdout.length, '# big: 100,001 entries, not used\n'.length + many.length + '192.0.2.1\n'.length);
  t.log(
    `set ${set.tookMs.toFixed(0)} ms, add ${add.tookMs.toFixed(0)} ms, show ${show.tookMs.toFixed(0)} ms, with the start of Node`,
  );
});
