/** What `npm run bench -- failover` measures, with fewer connections: a cluster loses nodes and its own software. */
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { buildDriver } from '../bench/driver.js';
import type { Bed } from '../bench/failover/bed.js';
import type { Result } from '../bench/failover/measure.js';
import { play, startBed } from '../bench/failover/run.js';
import { type Cast, scenes } from '../bench/failover/scenes.js';
import { patience } from '../support/lab/until.js';

const test = anyTest as TestFn;
const cast: Cast = { node: 'lb2', backend: 'be3' };
const connections = 300;
let bed: Bed;
let log: string[] = [];

test.before(async () => {
  await buildDriver();
  const say = (line: string): number => log.push(line);
  bed = await startBed({
    name: `fo-${process.pid}`,
    zones: false,
    connections,
    perSecond: 20,
    flows: 24,
    from: null,
    say,
  });
});
test.beforeEach(() => {
  log = [];
});
test.after.always(() => bed?.close());

/** Plays the scene that begins with an event. What breaks in any part of it, or does not converge, is a failure. */
async function unbroken(t: ExecutionContext, event: string): Promise<Result[]> {
  t.timeout(60_000 * patience);
  const scene = scenes.find(({ acts }) => acts[0]!.name === event)!;
  const results = await play(bed, scene, cast);
  for (const result of results) {
    t.is(result.connections, connections, result.event);
    t.is(result.establishedBroken, 0, log.join('\n'));
    t.is(result.newFailed, 0, log.join('\n'));
    t.not(result.convergedMs, null, log.join('\n'));
  }
  return results;
}

/** In the middle of a test run, the machine may be late; the cluster is not. */
function soon(t: ExecutionContext, { event, outageMs, loadDelayMs }: Result, withinMs: number): void {
  t.true(outageMs < withinMs * patience + 5 * loadDelayMs, `${event}: no answers for ${outageMs} ms`);
}

test.serial('a node that dies without a word breaks no connection, nor does its return', async (t) => {
  const [cut, back] = await unbroken(t, 'node-cut');
  t.true(cut!.packetsLost > 0, 'it did die');
  soon(t, cut!, 1000);
  soon(t, back!, 500);
});

test.serial('kill -9 of an agent loses no packet, nor does its return', async (t) => {
  const [killed] = await unbroken(t, 'agent-killed');
  t.is(killed!.packetsLost, 0);
});

test.serial('draining a node loses no packet, nor does activating it', async (t) => {
  const results = await unbroken(t, 'node-drained');
  t.deepEqual(
    results.map(({ event, packetsLost }) => [event, packetsLost]),
    [
      ['node-drained', 0],
      ['node-activated', 0],
    ],
  );
});

test.serial('a node that dies half a second after a backend was added breaks no connection', async (t) => {
  const [died] = await unbroken(t, 'backend-change-then-node-death');
  t.true(died!.packetsLost > 0, 'it did die');
});

test.serial('a removed backend takes its own connections with it and no other’s', async (t) => {
  const [removed, added] = await unbroken(t, 'backend-removed');
  const excused = Object.values(removed!.brokenExcused).reduce((a, b) => a + b, 0);
  t.true(excused > 0 && excused < connections / 2, `${excused} were on it`);
  t.deepEqual(added!.brokenExcused, {});
});
