/** `spillway backend report`, with real traffic and load balancers' metering that dies under it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { until } from '../support/lab/until.js';
import { backend4, DecapLab, script, vips4, vips6 } from './decap_lab.js';
import type { Counted } from './report_server.js';

const INSTANCE = `t${process.pid}-rp`;
const lab = new DecapLab(`sw-t${process.pid}-rp`, INSTANCE);
const folder = mkdtempSync(path.join(tmpdir(), 'spillway-report-'));
const test = anyTest.serial as TestFn;
const processes = new Set<ChildProcess>();

const held = [vips4.gue4, vips6['6in6'], vips4.dsr];

test.before(async () => {
  lab.up();
  lab.holdVips(held);
  await lab.serve();
});
test.after.always(() => {
  for (const one of processes) one.kill('SIGKILL');
  lab.down();
  rmSync(folder, { recursive: true, force: true });
});
test.afterEach.always(() => {
  lab.detach();
});

/** Until it has said a line. */
async function start(command: readonly [string, readonly string[]]): Promise<ChildProcess> {
  const child = spawn(command[0], command[1], { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.add(child);
  child.once('exit', () => processes.delete(child));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return child;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

class Agent {
  #process: ChildProcess | null = null;
  readonly socket: string;
  readonly #file: string;

  constructor(name: string) {
    this.socket = path.join(folder, `${name}.sock`);
    this.#file = path.join(folder, `${name}.counted`);
  }

  async start(diesAfter = 0): Promise<void> {
    await this.stop();
    this.#process = await start([
      process.execPath,
      [script('report_server.js'), this.socket, this.#file, String(diesAfter)],
    ]);
  }

  async stop(): Promise<void> {
    if (this.#process !== null) await kill(this.#process);
  }

  get isDead(): boolean {
    return this.#process === null || this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  get counted(): Counted {
    return JSON.parse(readFileSync(this.#file, 'utf8')) as Counted;
  }
}

const words = (to: readonly Agent[], state: string): readonly string[] => [
  'report',
  '--to',
  to.map(({ socket }) => `unix:${socket}`).join(','),
  '--interval',
  '100ms',
  '--state',
  path.join(folder, state),
  '--reporter',
  'be1',
  '--instance',
  INSTANCE,
];

const reporter = (to: readonly Agent[], state: string): Promise<ChildProcess> =>
  start(lab.inside('backend', process.execPath, script('decap_command.js'), 'backend', ...words(to, state)));

const names = ['packetsIn', 'bytesIn', 'packetsOut', 'bytesOut'] as const;

function sums(agents: readonly Agent[]): Record<string, Record<string, string>> {
  const all: Record<string, Record<string, string>> = {};
  for (const vip of held) {
    const of = agents.map(({ counted }) => counted.usage[vip]);
    all[vip] = Object.fromEntries(
      names.map((name) => [name, String(of.reduce((sum, one) => sum + BigInt(one?.[name] ?? 0), 0n))]),
    );
  }
  return all;
}

/** As `status` has it from the kernel. */
function kernel(): Record<string, Record<string, string>> {
  const { traffic } = lab.status().instance;
  return Object.fromEntries(
    traffic.map((one) => [one.vip, Object.fromEntries(names.map((name) => [name, String(one[name])]))]),
  );
}

test('what agents count is what the kernel counted, to the byte, while agents and reporter are killed again and again', async (t) => {
  lab.attach();
  const agents = [new Agent('a'), new Agent('b')] as const;
  const [first, second] = agents;
  await Promise.all([first.start(3), second.start()]);
  let report = await reporter(agents, 'killed.json');
  let flowing = true;
  const traffic = Promise.all(
    held.map(async (vip) => {
      while (flowing) t.is((await lab.transfer(vip, 200_000, { from: 'client' })).error, null);
    }),
  );
  for (let round = 0; round < 3; round++) {
    await until('an agent died with a report counted and not answered', () => first.isDead, { withinMs: 20_000 });
    // Meanwhile the second is told.
    const before = second.counted.reports;
    await until('the other is told', () => second.counted.reports > before, { withinMs: 20_000 });
    await kill(report);
    report = await reporter(agents, 'killed.json');
    await second.stop();
    await first.start(3 + round);
    await second.start();
  }
  flowing = false;
  await traffic;
  await kill(report, 'SIGTERM');
  await first.start();
  await until(
    'everything is told',
    () => lab.spillway('backend', ...words(agents, 'killed.json'), '--once').code === 0,
    {
      withinMs: 30_000,
    },
  );
  t.deepEqual(sums(agents), kernel());
  for (const vip of held) t.true(Number(kernel()[vip]!['bytesOut']) > 200_000);
  const { counted } = first;
  t.log(`${counted.reports} and ${second.counted.reports} reports counted, ${counted.repeats} came again`);
  t.true(counted.repeats >= 3);
});

test('with nothing attached, once says so', (t) => {
  const { code, stderr } = lab.spillway(
    'backend',
    ...words([new Agent('none')], 'none.json'),
    '--once',
    '--instance',
    'no-such',
  );
  t.is(code, 1);
  t.regex(stderr, /nothing is attached here as instance no-such/);
});

test('without a change nothing is told, and once says whether everything was', async (t) => {
  lab.attach();
  const agent = new Agent('once');
  const once = () => lab.spillway('backend', ...words([agent], 'once.json'), '--once');
  t.is((await lab.transfer(vips4.gue4, 1000, { from: 'client' })).error, null);
  const alone = once();
  t.is(alone.code, 1);
  t.regex(alone.stderr, /not everything was reported/);
  await agent.start();
  t.is(once().code, 0);
  t.is(once().code, 0);
  t.is(agent.counted.reports, 1);
  // Counters that begin anew are told from their beginning.
  const before = sums([agent]);
  lab.detach();
  lab.attach();
  t.is((await lab.transfer(vips4.gue4, 1000, { from: 'client' })).error, null);
  t.is(once().code, 0);
  const vip = vips4.gue4;
  t.is(BigInt(sums([agent])[vip]!['bytesIn']!), BigInt(before[vip]!['bytesIn']!) + BigInt(kernel()[vip]!['bytesIn']!));
  await agent.stop();
});

test('a reporter that runs tells what was counted before a detach', async (t) => {
  lab.attach();
  const agent = new Agent('detach');
  await agent.start();
  const report = await reporter([agent], 'detach.json');
  t.is((await lab.transfer(vips4.dsr, 100_000, { from: 'client' })).error, null);
  await until('the reporter has these counters', () => agent.counted.reports > 0);
  t.is((await lab.transfer(vips4.dsr, 100_000, { from: 'client' })).error, null);
  const last = kernel();
  lab.detach();
  await until('all is told', () => sums([agent])[vips4.dsr]!['bytesIn'] === last[vips4.dsr]!['bytesIn']);
  t.deepEqual(sums([agent])[vips4.dsr], last[vips4.dsr]);
  await kill(report, 'SIGTERM');
  await agent.stop();
});

test('one process reports with one state; wrong usage exits 2', async (t) => {
  lab.attach();
  const agent = new Agent('two');
  await agent.start();
  const report = await reporter([agent], 'two.json');
  t.is((await lab.transfer(vips4.dsr, 1000, { from: 'client' })).error, null);
  await until('it reports', () => agent.counted.reports > 0);
  const second = lab.spillway('backend', ...words([agent], 'two.json'), '--once');
  t.is(second.code, 1);
  t.regex(second.stderr, new RegExp(`process ${report.pid} reports with this state already`));
  await kill(report, 'SIGTERM');
  t.is(report.exitCode, 0);
  t.is(lab.spillway('backend', 'report').code, 2);
  t.is(lab.spillway('backend', 'report', '--to', 'nowhere').code, 2);
  t.is(lab.spillway('backend', 'report', '--metrics', 'nowhere').code, 2);
  await agent.stop();
});

test('metrics are those of the kernel and of the reports', async (t) => {
  lab.attach('--map', `tcp:${vips4['4in4']}:80=${backend4}:8080`);
  const agent = new Agent('metrics');
  await agent.start();
  const command = [...words([agent], 'metrics.json'), '--metrics', '127.0.0.1:9156'];
  const report = await start(
    lab.inside('backend', process.execPath, script('decap_command.js'), 'backend', ...command),
  );
  t.is((await lab.transfer(vips4['4in4'], 10_000, { from: 'client', port: 80 })).error, null);
  await until('it is told', () => agent.counted.reports > 0);
  const fetched =
    "fetch('http://127.0.0.1:9156/metrics').then((got) => got.text()).then((text) => process.stdout.write(text))";
  const [program, args] = lab.inside('backend', process.execPath, '-e', fetched);
  const scrape = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  scrape.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(scrape, 'close');
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(series))
        ?.split(' ')
        .at(-1),
    );
  const { traffic } = lab.status().instance;
  const vip = traffic.find((one) => one.vip === vips4['4in4'])!;
  const own = `instance="${INSTANCE}"`;
  t.is(value(`spillway_backend_vip_bytes_total{${own},vip="${vip.vip}",direction="out"}`), Number(vip.bytesOut));
  t.is(
    value(`spillway_backend_frames_total{${own},reason="stripped_4in4",verdict="strip"}`),
    lab.status().packets('stripped_4in4'),
  );
  t.true(value(`spillway_backend_events_total{${own},event="mapped_in"}`) > 0);
  t.is(value(`spillway_backend_attached{${own},interface="eth0",mode="native"}`), 1);
  t.true(value(`spillway_backend_reports_total{target="unix:${agent.socket}",result="counted"}`) > 0);
  t.is(value('spillway_backend_reports_unsettled'), 0);
  await kill(report, 'SIGTERM');
  await agent.stop();
});
