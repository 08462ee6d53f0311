/**
 * The next agent over the pins of the one before: a map that did not exist then, a session table of another size, and
 * starts that die on the way. Real maps and links; what is in force is asked for each packet.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { SessionState } from '../../src/abi/abi.generated.js';
import { interfaceIndex, queryXdp } from '../../src/dataplane/addon.js';
import { LayoutError, mapNames } from '../../src/dataplane/layout.js';
import type { MigrationStep } from '../../src/dataplane/migration.js';
import { bucketsFor } from '../../src/dataplane/open.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { ownSite, pinnedNames, programInForce, type Site, Start, sendBy } from '../support/pinned_path.js';
import { webDesired } from './web.js';

/* The log that is looked at is that of CPU 0. */
test.before(() => pinToCpu(0));

const dying = fileURLToPath(new URL('children/migrate.js', import.meta.url));
/** WRR: a packet without its session goes where its turn is, not where the flow went before. */
const desired = webDesired({ listener: { scheduler: 'WRR' } });
const ports = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

/** Where each port's connection goes, established. */
function establish(program: Parameters<typeof sendBy>[0], all: readonly number[]): Map<number, string> {
  return new Map(
    all.map((port) => {
      const went = sendBy(program, port, 'S');
      sendBy(program, port);
      return [port, went];
    }),
  );
}

function goOn(t: ExecutionContext, start: Start, went: ReadonlyMap<number, string>, what: string): void {
  for (const [port, backend] of went) {
    t.is(sendBy(start.opened.program, port), backend, `${what}: port ${port}`);
    const entry = start.find(port);
    t.is(entry?.state, SessionState.SESSION_ESTABLISHED);
    t.is(entry?.detail?.clientPort, port);
  }
}

async function firstStart(t: ExecutionContext, sessions: number): Promise<Start> {
  const start = new Start(ownSite(t, sessions));
  await start.apply(desired);
  return start;
}

function dieAfter(t: ExecutionContext, site: Site, step: MigrationStep): void {
  const { signal, stderr } = spawnSync(process.execPath, [dying, JSON.stringify(site), step], { encoding: 'utf8' });
  t.is(signal, 'SIGKILL', stderr);
}

test.serial('pins of the release before, which had no session log: it is made, and all else goes on', async (t) => {
  const before = await firstStart(t, 1000);
  const went = establish(before.opened.program, ports(1000, 200));
  before.close();
  rmSync(`${before.pins.map}/session_log`);

  const after = new Start(before.site);
  t.true(after.opened.adopted);
  t.is(after.opened.migration, null);
  t.deepEqual(pinnedNames(after.site), [...mapNames].sort());
  goOn(t, after, went, 'session');
  const head = new DataView(after.opened.maps.session_log.mmap()).getBigUint64(0, true);
  establish(after.opened.program, [9999]);
  t.true(new DataView(after.opened.maps.session_log.mmap()).getBigUint64(0, true) > head, 'and is written');
  after.close();
});

test.serial('any other map that is missing is refused while the program is attached', async (t) => {
  const before = await firstStart(t, 1000);
  before.close();
  rmSync(`${before.pins.map}/loads`);
  const error = t.throws(() => new Start(before.site), { instanceOf: LayoutError });
  t.regex(error.message, /loads is missing, but the program is attached/);
});

for (const [version, what] of [
  [4, 'newer'],
  [1, 'older'],
] as const) {
  for (const name of ['session_log', 'sessions'] as const) {
    test.serial(`${name} of a ${what} layout than is known is refused in words, and nothing is touched`, async (t) => {
      const before = await firstStart(t, 1000);
      const { programId } = queryXdp(interfaceIndex(before.site.device)!)!;
      before.close();
      const path = `${before.pins.map}/${name}`;
      rmSync(path);
      const size = name === 'sessions' ? ['64', 'entries', '313'] : ['131200', 'entries', '2'];
      const shape = ['type', 'array', 'key', '4', 'value', ...size, 'name', `${name}_v${version}`, 'flags', '0x400'];
      execFileSync('bpftool', ['map', 'create', path, ...shape]);
      const pinned = pinnedNames(before.site);
      const error = t.throws(() => new Start({ ...before.site, sessions: 3000 }), { instanceOf: LayoutError });
      t.regex(error.message, new RegExp(`map/${name} has layout ${version} .* this agent knows layout [23] `));
      t.deepEqual(pinnedNames(before.site), pinned);
      t.is(queryXdp(interfaceIndex(before.site.device)!)!.programId, programId);
    });
  }
}

for (const [name, sessions] of [
  ['greater', 5000],
  ['smaller', 400],
] as const) {
  test.serial(`a ${name} limits.sessions: every session goes on in the new table`, async (t) => {
    const before = await firstStart(t, 1000);
    const went = establish(before.opened.program, ports(1000, 390));
    before.close();

    const steps: MigrationStep[] = [];
    const after = new Start({ ...before.site, sessions }, (step) => steps.push(step));
    t.is(after.table.slots, bucketsFor(sessions) * 4);
    t.like(after.opened.migration, { from: 1252, to: after.table.slots, sessions: 390, noRoom: 0 });
    t.deepEqual(after.opened.differences, []);
    goOn(t, after, went, 'session');
    t.deepEqual(pinnedNames(after.site), [...mapNames].sort());
    t.is(steps.at(-1), 'renamed');
    const logs = new DataView(after.opened.maps.session_log.mmap());
    t.is(logs.getBigUint64(0, true), logs.getBigUint64(64, true), 'slots of the old table are not told of');
    after.close();
  });
}

test.serial('what changes while the program is exchanged is brought along', async (t) => {
  const before = await firstStart(t, 1000);
  const went = establish(before.opened.program, ports(1000, 100));
  const late = new Map<number, string>();
  const after = new Start({ ...before.site, sessions: 3000 }, (step) => {
    /* The old program goes on until the exchange: it makes sessions, and one of those copied closes. */
    if (step !== 'copied') return;
    for (const [port, backend] of establish(before.opened.program, ports(2000, 100))) late.set(port, backend);
    sendBy(before.opened.program, 1000, 'FA');
  });
  t.like(after.opened.migration, { sessions: 100, caughtUp: 100 });
  t.is(after.find(1000)?.state, SessionState.SESSION_CLOSING);
  went.delete(1000);
  goOn(t, after, went, 'copied before');
  goOn(t, after, late, 'made meanwhile');
  before.close();
  after.close();
});

test.serial('a packet between exchange and the last copy takes no connection away', async (t) => {
  const before = await firstStart(t, 1000);
  const late = new Map<number, string>();
  const after = new Start({ ...before.site, sessions: 3000 }, (step) => {
    if (step === 'copied')
      for (const [port, went] of establish(before.opened.program, ports(2000, 90))) late.set(port, went);
    if (step !== 'exchanged') return;
    const program = programInForce(before.site);
    /* What the new program does not know yet it has to take for new, now and then by another turn. */
    for (const port of late.keys()) sendBy(program, port);
    program.close();
  });
  const astray = [...late].filter(([port, backend]) => sendBy(after.opened.program, port) !== backend);
  t.deepEqual(astray, []);
  before.close();
  after.close();
});

test.serial('a table too small for what lives is refused in words, and the old one stays', async (t) => {
  const before = await firstStart(t, 1000);
  const went = establish(before.opened.program, ports(1000, 300));
  before.close();
  const inForce = queryXdp(interfaceIndex(before.site.device)!)!.programId;
  const after = new Start({ ...before.site, sessions: 100 });
  t.is(after.opened.migration, null);
  t.is(after.table.slots, 1252);
  t.is(after.opened.differences.length, 1);
  t.regex(
    after.opened.differences[0]!,
    /^limits\.sessions asks for a table of 128 slots: 1\d\d of 300 live sessions would find no room in it\. The table of 1252 slots stays/,
  );
  t.not(queryXdp(interfaceIndex(before.site.device)!)!.programId, inForce, 'the program is the new one all the same');
  goOn(t, after, went, 'session');
  t.deepEqual(pinnedNames(after.site), [...mapNames].sort());
  after.close();
});

const steps: readonly MigrationStep[] = [
  'details pinned',
  'made',
  'copied',
  'exchanged',
  'caught up',
  'details renamed',
  'renamed',
];
for (const step of steps) {
  test.serial(`a start that dies when it has just "${step}" loses nothing, nor does the next`, async (t) => {
    const before = await firstStart(t, 1000);
    const went = establish(before.opened.program, ports(1000, 150));
    before.close();
    const larger = { ...before.site, sessions: 3000 };
    dieAfter(t, larger, step);
    /* Nobody is there: what is in force goes on. */
    const program = programInForce(before.site);
    const meanwhile = establish(program, ports(5000, 50));
    for (const [port, backend] of went) t.is(sendBy(program, port), backend);
    program.close();

    const after = new Start(larger);
    t.is(after.table.slots, bucketsFor(3000) * 4);
    goOn(t, after, went, 'made before');
    goOn(t, after, meanwhile, 'made while nobody was there');
    t.deepEqual(pinnedNames(after.site), [...mapNames].sort());
    after.close();
  });

  test.serial(`a start that dies when it has just "${step}", and the next has the old size again`, async (t) => {
    const before = await firstStart(t, 1000);
    const went = establish(before.opened.program, ports(1000, 150));
    before.close();
    dieAfter(t, { ...before.site, sessions: 3000 }, step);
    const after = new Start(before.site);
    t.is(after.table.slots, bucketsFor(1000) * 4);
    goOn(t, after, went, 'session');
    t.deepEqual(pinnedNames(after.site), [...mapNames].sort());
    after.close();
  });
}

test.serial('a start that dies again and again gets there', async (t) => {
  const before = await firstStart(t, 1000);
  const went = establish(before.opened.program, ports(1000, 150));
  before.close();
  const larger = { ...before.site, sessions: 3000 };
  for (const step of ['made', 'exchanged', 'exchanged', 'caught up', 'details renamed'] as const) {
    dieAfter(t, larger, step);
  }
  const after = new Start(larger);
  goOn(t, after, went, 'session');
  t.deepEqual(pinnedNames(larger), [...mapNames].sort());
  after.close();
});
