import test from 'ava';
import fc from 'fast-check';
import type { HealthRecord, HealthState } from '../../../src/health/types.js';
import { type Standing, weigh } from '../../../src/health/verdict.js';
import { bench, seeded, target, tcpCheck } from './fakes.js';

test('a new target is checked within 50 ms and known by its first result', (t) => {
  const { engine, clock, prober, changes } = bench();
  engine.setTargets([target('a')]);
  t.is(engine.record('a')?.state, 'unknown');
  clock.advance(60);
  t.is(prober.started.length, 1);
  prober.finishAll();
  t.like(engine.record('a'), { state: 'healthy', reason: 'check passed', lastCheckUs: 300 });
  t.like(changes, [{ key: 'a', from: 'unknown', to: 'healthy' }]);
});

test('a change carries the reason and time of the deciding check', (t) => {
  const { engine, clock, prober, changes } = bench();
  prober.answer = () => ({});
  engine.setTargets([target('a')]);
  clock.advance(3000);
  prober.answer = () => ({ error: 'ECONNREFUSED' });
  clock.advance(3300);
  t.like(changes.at(-1), { from: 'healthy', to: 'unhealthy', reason: 'connect: ECONNREFUSED' });
  t.is(engine.record('a')?.sinceMs, changes.at(-1)?.atMs);
  prober.answer = () => ({ error: 'ETIMEDOUT' });
  clock.advance(1100);
  t.is(engine.record('a')?.reason, 'connect: no answer within 500 ms', 'the newest failure is shown');
  prober.answer = () => ({});
  clock.advance(2200);
  t.like(changes.at(-1), { to: 'healthy', reason: '2 checks passed' });
});

test('never are two probes of one target under way, even when each lasts longer than the interval', (t) => {
  const { engine, clock, prober } = bench({ random: seeded(1) });
  const check = { ...tcpCheck, intervalMs: 100, timeoutMs: 1000 };
  engine.setTargets([target('a', { check }), target('b', { check, port: 81 })]);
  for (let i = 0; i < 500; i++) {
    clock.advance(10);
    const ports = [...prober.underWay.values()].map(({ port }) => port);
    t.is(new Set(ports).size, ports.length);
    if (i % 50 === 49) prober.finishAll();
  }
  t.true(prober.started.length >= 18);
});

test('a probe that outlasts the interval is followed by the next at once', (t) => {
  const { engine, clock, prober } = bench();
  engine.setTargets([target('a', { check: { ...tcpCheck, intervalMs: 100, timeoutMs: 1000 } })]);
  clock.advance(900);
  prober.finishAll();
  clock.advance(20);
  t.is(prober.started.length, 2);
});

test('checks keep to the interval within 10 %, and their mean is the interval', (t) => {
  const { engine, clock, prober } = bench({ random: seeded(7) });
  prober.answer = () => ({});
  engine.setTargets([target('a')]);
  clock.advance(500_000);
  const gaps = prober.started.slice(1).map(({ atMs }, i) => atMs - prober.started[i]!.atMs);
  t.true(gaps[0]! >= 90 && gaps[0]! <= 1010, 'the second check takes a random phase');
  for (const gap of gaps.slice(1)) t.true(gap >= 890 && gap <= 1120, `${gap} ms`);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  t.true(Math.abs(mean - 1000) < 10, `mean ${mean} ms`);
});

test('thousands of new targets are spread over time, and stay spread', (t) => {
  const { engine, clock, prober } = bench({ random: seeded(3) });
  prober.answer = () => ({});
  engine.setTargets(Array.from({ length: 4000 }, (_, i) => target(`t${i}`)));
  clock.advance(1100);
  t.is(engine.records().filter(({ state }) => state === 'healthy').length, 4000);
  const before = prober.started.length;
  const perTick: number[] = [];
  for (let i = 0; i < 200; i++) {
    const seen = prober.started.length;
    clock.advance(10);
    perTick.push(prober.started.length - seen);
  }
  t.true(prober.started.length - before > 7000);
  t.true(Math.max(...perTick) < 120, `${Math.max(...perTick)} probes in 10 ms where 40 are the mean`);
});

test('one timer serves all targets', (t) => {
  const { engine, clock } = bench({ random: seeded(3) });
  engine.setTargets(Array.from({ length: 1000 }, (_, i) => target(`t${i}`)));
  t.is(clock.timers, 1);
  clock.advance(100);
  t.is(clock.timers, 1);
});

test('after a stall of the event loop each target is checked once, not once for each missed interval', (t) => {
  const { engine, clock, prober } = bench();
  prober.answer = () => ({});
  engine.setTargets([target('a'), target('b')]);
  clock.advance(5000);
  const before = prober.started.length;
  clock.stall(60_000);
  clock.advance(0);
  t.is(prober.started.length - before, 2);
});

test('a changed check keeps the state, drops the probe under way and checks again at once', (t) => {
  const { engine, clock, prober, changes } = bench();
  engine.setTargets([target('a')]);
  clock.advance(60);
  prober.finishAll();
  clock.advance(1000);
  const [old] = prober.underWay.keys();
  engine.setTargets([target('a', { port: 8080 })]);
  t.deepEqual(prober.cancelled, [old!]);
  t.is(engine.record('a')?.state, 'healthy');
  clock.advance(60);
  t.is(prober.started.at(-1)?.request.port, 8080);
  prober.deliver([{ id: old!, error: 'ECONNREFUSED', elapsedUs: 1, data: null, fd: -1 }]);
  t.is(engine.counters().failed, 0, 'what comes for a cancelled probe does not count');
  t.is(changes.length, 1);
});

test('an equal check in another object changes nothing', (t) => {
  const { engine, clock, prober } = bench();
  engine.setTargets([target('a')]);
  clock.advance(60);
  engine.setTargets([target('a', { check: structuredClone(tcpCheck) })]);
  t.deepEqual(prober.cancelled, []);
  clock.advance(60);
  t.is(prober.started.length, 1);
});

test('a removed target is forgotten: added again it is unknown', (t) => {
  const { engine, clock, prober } = bench();
  prober.answer = () => ({});
  engine.setTargets([target('a'), target('b')]);
  clock.advance(100);
  engine.setTargets([target('b')]);
  t.is(engine.record('a'), null);
  const before = prober.started.length;
  clock.advance(3000);
  t.true(prober.started.slice(before).length <= 4, 'only b is probed');
  engine.setTargets([target('a'), target('b')]);
  t.is(engine.record('a')?.state, 'unknown');
});

test('targets may be added, removed, reordered and altered in one step', (t) => {
  const { engine, clock, prober } = bench();
  prober.answer = () => ({});
  engine.setTargets([target('a'), target('b'), target('c')]);
  clock.advance(100);
  const before = prober.started.length;
  engine.setTargets([target('c', { port: 81 }), target('new', { port: 82 }), target('a')]);
  t.deepEqual(
    engine.records().map(({ key, state }) => [key, state]),
    [
      ['c', 'healthy'],
      ['new', 'unknown'],
      ['a', 'healthy'],
    ],
  );
  clock.advance(60);
  const ports = prober.started.slice(before).map(({ request }) => request.port);
  t.deepEqual(ports.sort(), [81, 82]);
});

test('a key listed twice is refused and nothing changes', (t) => {
  const { engine } = bench();
  engine.setTargets([target('a')]);
  t.throws(() => engine.setTargets([target('b'), target('b')]), { message: /"b" is listed twice/ });
  t.deepEqual(
    engine.records().map(({ key }) => key),
    ['a'],
  );
});

test('the history keeps the latest 16 changes, latest first', (t) => {
  const { engine, clock, prober, changes } = bench();
  let pass = false;
  prober.answer = () => {
    pass = !pass;
    return pass ? {} : { error: 'ECONNREFUSED' };
  };
  engine.setTargets([target('a', { check: { ...tcpCheck, rise: 1, fall: 1 } })]);
  clock.advance(30_000);
  const history = engine.record('a')?.history ?? [];
  t.is(history.length, 16);
  t.deepEqual(history, changes.slice(-16).reverse());
});

test('errors of this host change no state, and are reported until they have been gone for a minute', (t) => {
  for (const error of ['EMFILE', 'ENOBUFS', 'EADDRNOTAVAIL', 'ENETDOWN', 'EPERM']) {
    const { engine, clock, prober, changes } = bench();
    prober.answer = () => ({});
    engine.setTargets([target('a')]);
    clock.advance(2000);
    prober.answer = () => ({ error });
    clock.advance(20_000);
    t.is(engine.record('a')?.state, 'healthy');
    t.is(changes.length, 1);
    t.true(engine.counters().localErrors >= 18);
    t.regex(engine.problems()[0] ?? '', new RegExp(`health checks could not be made: ${error} \\(.+\\)`));
    prober.answer = () => ({});
    clock.advance(65_000);
    t.deepEqual(engine.problems(), []);
    engine.close();
  }
});

test('local errors neither break nor lengthen a streak', (t) => {
  const { engine, clock, prober } = bench();
  const script = [{}, { error: 'ECONNREFUSED' }, { error: 'EMFILE' }, { error: 'ECONNREFUSED' }, { error: 'EMFILE' }];
  prober.answer = () => script.shift() ?? { error: 'ECONNREFUSED' };
  engine.setTargets([target('a')]);
  while (script.length > 0) clock.advance(50);
  t.is(engine.record('a')?.state, 'healthy');
  clock.advance(1000);
  t.is(engine.record('a')?.state, 'unhealthy');
});

test('a probe that the prober loses is given up after its timeout, counted, and tried again', (t) => {
  const { engine, clock, prober } = bench();
  engine.setTargets([target('a')]);
  clock.advance(2700);
  t.is(prober.cancelled.length, 1);
  t.is(engine.counters().localErrors, 1);
  clock.advance(20);
  t.is(prober.started.length, 2);
  t.is(engine.record('a')?.state, 'unknown');
});

test('restored states last over the restart: no change, no quick decision, history kept', (t) => {
  const first = bench();
  first.prober.answer = () => ({});
  first.engine.setTargets([target('a'), target('b')]);
  first.clock.advance(100);
  const saved: readonly HealthRecord[] = structuredClone(first.engine.snapshot());

  const second = bench();
  second.engine.restore([...saved, { ...saved[0]!, key: 'gone' }]);
  t.is(second.engine.snapshot().length, 3, 'a snapshot before the targets are known loses nothing');
  second.engine.setTargets([target('a'), target('b')]);
  t.deepEqual(second.engine.records(), saved);
  second.prober.answer = () => ({ error: 'ECONNREFUSED' });
  second.clock.advance(60);
  t.is(second.engine.record('a')?.state, 'healthy', 'one failure does not take a restored target out');
  t.deepEqual(second.changes, []);
  second.clock.advance(2200);
  t.is(second.engine.record('a')?.state, 'unhealthy');
  t.is(second.engine.record('a')?.history.length, 2);
});

test('over TLS the check goes on on the handed-over descriptor with what is left of the timeout', (t) => {
  const { engine, clock, prober, tls } = bench();
  const probe = {
    kind: 'http',
    method: 'GET',
    path: '/',
    host: 'www.example.org',
    expectedCodes: [[200, 299]],
    tls: true,
  } as const;
  engine.setTargets([target('a', { check: { ...tcpCheck, probe } })]);
  clock.advance(60);
  t.true(prober.started[0]!.request.handOver);
  prober.finishAll({ fd: 33, elapsedUs: 100_000 });
  t.like(tls.exchanges, [{ fd: 33, request: { serverName: 'www.example.org', timeoutMs: 400 } }]);
  clock.advance(200);
  tls.exchanges[0]!.done({ error: null, data: Buffer.from('HTTP/1.1 204 No Content\r\n\r\n') });
  t.like(engine.record('a'), { state: 'healthy', lastCheckUs: 300_000 });
  clock.advance(1000);
  prober.finishAll({ fd: 34 });
  engine.setTargets([]);
  t.true(tls.exchanges[1]!.cancelled);
  t.deepEqual(tls.discarded, []);
});

test('a descriptor handed over for a probe that was cancelled is closed', (t) => {
  const { engine, prober, tls } = bench();
  engine.setTargets([]);
  prober.deliver([{ id: 99, error: null, elapsedUs: 1, data: null, fd: 35 }]);
  t.deepEqual(tls.discarded, [35]);
});

test('close ends probes and timers, twice is once', (t) => {
  const { engine, clock, prober } = bench();
  engine.setTargets([target('a')]);
  clock.advance(60);
  engine.close();
  engine.close();
  t.true(prober.closed);
  t.is(clock.timers, 0);
  prober.deliver([{ id: 1, error: null, elapsedUs: 1, data: null, fd: -1 }]);
  t.is(engine.record('a')?.state, 'unknown');
});

test('the targets may be set from within onChanges', (t) => {
  const setup = bench({ onChanges: () => setup.engine.setTargets([target('b')]) });
  setup.prober.answer = () => ({});
  setup.engine.setTargets([target('a'), target('b')]);
  setup.clock.advance(100);
  t.deepEqual(
    setup.engine.records().map(({ key }) => key),
    ['b'],
  );
  setup.clock.advance(2000);
  t.is(setup.engine.record('b')?.state, 'healthy');
});

type Step = 'pass' | 'fail' | 'local' | 'lost';

test('any sequence of results of the prober gives what the rules of rise and fall give', (t) => {
  const step = fc.constantFrom<Step>('pass', 'pass', 'fail', 'fail', 'local', 'lost');
  const threshold = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), threshold, threshold, fc.integer(), (steps, rise, fall, seed) => {
      const { engine, clock, prober, changes } = bench({ random: seeded(seed) });
      const todo = [...steps];
      prober.answer = () => {
        const next = todo.shift();
        if (next === undefined || next === 'lost') return null;
        return { error: next === 'pass' ? null : next === 'fail' ? 'ECONNREFUSED' : 'EMFILE' };
      };
      engine.setTargets([target('a', { check: { ...tcpCheck, rise, fall } })]);
      while (todo.length > 0) clock.advance(50);
      clock.advance(0);
      let standing: Standing = { state: 'unknown', streak: 0 };
      const states: HealthState[] = [];
      for (const one of steps) {
        if (one === 'local' || one === 'lost') continue;
        const before = standing.state;
        standing = weigh(standing, one === 'pass', { rise, fall });
        if (standing.state !== before) states.push(standing.state);
      }
      if (JSON.stringify(changes.map(({ to }) => to)) !== JSON.stringify(states)) throw new Error('changes differ');
      if (engine.record('a')?.state !== standing.state) throw new Error('state differs');
      engine.close();
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('no more than the configured number of checks are under way; the others follow in turn, and one that goes does not', (t) => {
  const { engine, clock, prober } = bench({ concurrency: 2 });
  const keys = ['a', 'b', 'c', 'd', 'e'];
  engine.setTargets(keys.map((key) => target(key)));
  clock.advance(200);
  t.is(prober.underWay.size, 2);
  engine.setTargets(keys.filter((key) => key !== 'e').map((key) => target(key)));
  prober.finish([...prober.underWay.keys()][0]!);
  t.is(prober.underWay.size, 2, 'an end makes room for one');
  prober.finishAll();
  t.is(prober.underWay.size, 1);
  prober.finishAll();
  t.is(prober.started.length, 4);
  t.true(engine.records().every(({ state }) => state === 'healthy'));
});
