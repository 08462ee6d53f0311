import test from 'ava';
import fc from 'fast-check';
import type { Input, messages } from '../../../../src/api/client.js';
import { decodeLedger, encodeLedger } from '../../../../src/backend/report/file.js';
import { emptyLedger, type Ledger, type Reading } from '../../../../src/backend/report/ledger.js';
import { Reporter, type Target } from '../../../../src/backend/report/reporter.js';

/** Answers of a load balancer: counts and says so; counts, but the answer is lost; or neither; or is not there. */
type Mood = 'good' | 'answer lost' | 'request lost' | 'refuses' | 'away';
class Crash extends Error {}

/** Counts as src/metering/reports.ts does: by epoch, what is further on than the last. */
class FakeAgent implements Target {
  mood: Mood = 'good';
  readonly counted = new Map<string, bigint>();
  readonly #last = new Map<string, bigint>();
  reports = 0;

  constructor(readonly name: string) {}

  async ready(): Promise<boolean> {
    return this.mood !== 'away';
  }

  async report(request: Input<messages.ReportRequest>): Promise<{ readonly unknownVips: readonly string[] }> {
    const fail = (code: string) => Object.assign(new Error(code), { code });
    if (this.mood === 'refuses') throw fail('RESOURCE_EXHAUSTED');
    if (this.mood === 'request lost' || this.mood === 'away') throw fail('UNAVAILABLE');
    const { epoch, sequence, usage } = request as messages.ReportRequest;
    if (sequence > (this.#last.get(epoch) ?? 0n)) {
      this.#last.set(epoch, sequence);
      this.reports++;
      for (const { vip, bytesOut } of usage) this.counted.set(vip, (this.counted.get(vip) ?? 0n) + bytesOut);
    }
    if (this.mood === 'answer lost') throw fail('DEADLINE_EXCEEDED');
    return { unknownVips: [] };
  }
}

/** Counters that only grow, until they are made anew. */
class Kernel {
  readonly total = new Map<string, bigint>();
  #counters = new Map<string, { born: string; bytes: bigint }>();
  #births = 0;

  flow(vip: string, bytes: bigint): void {
    const counter = this.#counters.get(vip) ?? { born: `b${++this.#births}`, bytes: 0n };
    this.#counters.set(vip, { ...counter, bytes: counter.bytes + bytes });
    this.total.set(vip, (this.total.get(vip) ?? 0n) + bytes);
  }

  /** Detached and attached again, after a last reading. */
  renew(): void {
    this.#counters = new Map();
  }

  read(): readonly Reading[] {
    return [...this.#counters].map(([vip, { born, bytes }]) => ({
      born,
      vip,
      packetsIn: 0n,
      bytesIn: 0n,
      packetsOut: bytes > 0n ? 1n + bytes / 1000n : 0n,
      bytesOut: bytes,
    }));
  }
}

class Store {
  text = encodeLedger(emptyLedger('epoch-1'));
  /** Writes left until one fails. */
  failsIn = Number.POSITIVE_INFINITY;

  read(): Ledger {
    return decodeLedger(this.text);
  }

  write(ledger: Ledger): void {
    if (this.failsIn-- <= 0) throw new Crash('no space left');
    this.text = encodeLedger(ledger);
  }
}

class Scene {
  readonly kernel = new Kernel();
  readonly store = new Store();
  readonly agents = [new FakeAgent('lb1:1'), new FakeAgent('lb2:1')];
  readonly lines: string[] = [];
  reporter = this.start();

  start(): Reporter {
    return new Reporter({
      reporter: 'be1',
      hostname: 'be1',
      targets: this.agents,
      read: () => this.kernel.read(),
      store: this.store,
      nowMs: () => 0,
      log: (line) => this.lines.push(line),
    });
  }

  feel(first: Mood, second: Mood): void {
    this.agents[0]!.mood = first;
    this.agents[1]!.mood = second;
  }

  counted(vip: string): bigint {
    return this.agents.reduce((sum, agent) => sum + (agent.counted.get(vip) ?? 0n), 0n);
  }
}

test('each byte is told once, to the first agent that is there', async (t) => {
  const { kernel, agents, reporter, counted } = Object.assign(new Scene(), {});
  const [first, second] = agents as [FakeAgent, FakeAgent];
  const sum = (vip: string) => counted.call({ agents }, vip);
  kernel.flow('192.0.2.10', 1000n);
  t.true(await reporter.turn());
  t.deepEqual([...first.counted], [['192.0.2.10', 1000n]]);
  t.true(await reporter.turn(), 'nothing new');
  t.is(first.reports, 1);

  first.mood = 'away';
  kernel.flow('192.0.2.10', 500n);
  t.true(await reporter.turn());
  t.deepEqual([...second.counted], [['192.0.2.10', 500n]]);
  first.mood = 'good';
  kernel.flow('192.0.2.10', 1n);
  await reporter.turn();
  t.is(sum('192.0.2.10'), 1501n);
  t.is(first.reports, 2, 'the first is preferred again');
});

test('a report whose answer was lost goes to the same agent until it says so, and later ones go to another', async (t) => {
  const scene = new Scene();
  const [first, second] = scene.agents as [FakeAgent, FakeAgent];
  first.mood = 'answer lost';
  scene.kernel.flow('192.0.2.10', 1000n);
  t.false(await scene.reporter.turn());
  t.is(second.reports, 0, 'it may have been counted');
  first.mood = 'away';
  scene.kernel.flow('192.0.2.10', 20n);
  t.false(await scene.reporter.turn());
  t.deepEqual([...second.counted], [['192.0.2.10', 20n]]);
  first.mood = 'good';
  t.true(await scene.reporter.turn());
  t.is(first.counted.get('192.0.2.10'), 1000n);
  t.is(scene.counted('192.0.2.10'), 1020n);
});

test('what an agent refuses is told to the next, with what came since', async (t) => {
  const scene = new Scene();
  const [first, second] = scene.agents as [FakeAgent, FakeAgent];
  [first.mood, second.mood] = ['refuses', 'refuses'];
  scene.kernel.flow('192.0.2.10', 7n);
  t.false(await scene.reporter.turn());
  scene.kernel.flow('192.0.2.10', 8n);
  second.mood = 'good';
  t.true(await scene.reporter.turn());
  t.deepEqual([...second.counted], [['192.0.2.10', 15n]]);
  t.is(second.reports, 1);
});

test('what is said of an agent is logged once', async (t) => {
  const scene = new Scene();
  for (const mood of ['good', 'good', 'away', 'away', 'good'] as const) {
    scene.agents[0]!.mood = mood;
    scene.kernel.flow('192.0.2.10', 1n);
    await scene.reporter.turn();
  }
  t.deepEqual(
    scene.lines.filter((line) => line.startsWith('lb1')),
    ['lb1:1: counts what is reported', 'lb1:1: not there', 'lb1:1: counts what is reported'],
  );
});

test('more VIPs than a report may hold go into several', async (t) => {
  const scene = new Scene();
  for (let i = 0; i < 5000; i++) scene.kernel.flow(`10.0.${i >> 8}.${i & 255}`, 10n);
  t.true(await scene.reporter.turn());
  t.is(scene.agents[0]!.reports, 2);
  t.is(scene.agents[0]!.counted.size, 5000);
  t.true([...scene.agents[0]!.counted.values()].every((bytes) => bytes === 10n));
});

test('counters that are read while they are given to another VIP are left for the next turn', async (t) => {
  const scene = new Scene();
  scene.kernel.flow('192.0.2.10', 1000n);
  await scene.reporter.turn();
  const [torn] = scene.kernel.read();
  const reader = new Reporter({
    reporter: 'be1',
    hostname: 'be1',
    targets: scene.agents,
    read: () => [{ ...torn!, bytesOut: 3n, packetsOut: 1n }],
    store: scene.store,
    nowMs: () => 0,
    log: () => {},
  });
  t.true(await reader.turn());
  t.is(scene.counted('192.0.2.10'), 1000n);
});

test('whatever agents, disk and reporter go through, at the end each byte was counted once', async (t) => {
  const mood = fc.constantFrom<Mood>('good', 'answer lost', 'request lost', 'refuses', 'away');
  const step = fc.oneof(
    fc.record({
      do: fc.constant('flow' as const),
      vip: fc.constantFrom('192.0.2.10', '2001:db8::10'),
      bytes: fc.bigInt({ min: 1n, max: 1n << 60n }),
    }),
    fc.record({ do: fc.constant('moods' as const), moods: fc.tuple(mood, mood) }),
    fc.record({ do: fc.constant('turn' as const), writes: fc.option(fc.nat(3), { freq: 3 }) }),
    fc.record({ do: fc.constant('restart' as const) }),
    fc.record({ do: fc.constant('renew' as const) }),
  );
  let lost = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const scene = new Scene();
      for (const one of steps) {
        if (one.do === 'flow') scene.kernel.flow(one.vip, one.bytes);
        else if (one.do === 'moods') scene.feel(...one.moods);
        else if (one.do === 'restart') scene.reporter = scene.start();
        else if (one.do === 'renew') {
          // What a detach takes with it has been read once more: all agents away, it is kept by nobody else.
          scene.feel('good', 'good');
          for (let i = 0; i < 3; i++) await scene.reporter.turn();
          scene.kernel.renew();
        } else {
          if (one.writes !== null) scene.store.failsIn = one.writes;
          try {
            await scene.reporter.turn();
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
            lost++;
          }
          if (scene.store.failsIn < 0) scene.reporter = restartAfterCrash(scene);
          scene.store.failsIn = Number.POSITIVE_INFINITY;
        }
      }
      scene.feel('good', 'good');
      for (let i = 0; i < 3; i++) await scene.reporter.turn();
      return [...scene.kernel.total].every(([vip, bytes]) => scene.counted(vip) === bytes);
    }),
    { numRuns: 3000 },
  );
  t.log(`${lost} turns ended by a full disk`);
  t.true(lost > 100);
});

/** A write failed, and the process is killed before another: what is on the disk is all that is known. */
function restartAfterCrash(scene: Scene): Reporter {
  scene.store.failsIn = Number.POSITIVE_INFINITY;
  return scene.start();
}
