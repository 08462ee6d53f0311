/**
 * Three nodes, whole but for sockets and threads, in simulated time: what happens to a cluster happens to them by
 * chance, and what was announced must not be lost. SPILLWAY_SEED replays a run, SPILLWAY_SIMULATED_MINUTES asks for a
 * longer one.
 */
import test from 'ava';
import { Random } from '../../support/random.js';
import { Story } from '../../support/sync/simulation/story.js';
import { World } from '../../support/sync/simulation/world.js';

const minutes = Number(process.env['SPILLWAY_SIMULATED_MINUTES'] ?? 5);
/** In it, with nothing lost any more, every node has compared its table with every other one's more than once. */
const QUIET_MS = 150_000;

test(`${minutes} minutes of deaths, partitions, loss, bursts and changes: what was announced is held everywhere, and all tables end equal`, async (t) => {
  t.timeout(60_000 + minutes * 30_000);
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const keys = [random.bytes(32).toString('hex')];
  const world = new World(random, { nodes: 3, keys: `${keys[0]}\n` });
  t.teardown(() => world.close());
  const story = new Story(world, random, keys);
  await story.begin();
  world.begin(800);
  await world.clock.advance(10_000);
  const endMs = world.nowMs + minutes * 60_000;
  story.next(endMs);
  while (world.nowMs < endMs && world.violations.length === 0) {
    await world.clock.advance(30_000);
    world.check();
    for (const node of world.nodes) {
      if (node.refused > 0n) world.violate(`${node.name} refused ${node.refused} datagrams: no stranger was there`);
    }
  }
  // What is under way, such as a node that is away, comes to its end first.
  await world.clock.advance(60_000);
  story.quiet();
  let digests = new Set<string>();
  for (const quietUntilMs = world.nowMs + QUIET_MS; world.nowMs < quietUntilMs && digests.size !== 1; ) {
    await world.clock.advance(1000);
    digests = new Set(await Promise.all(world.nodes.map((node) => node.digest())));
  }
  world.check();
  const repairs = world.nodes.map(({ sync }) => sync?.repairs());
  t.log(
    JSON.stringify({
      ...world.tally,
      live: world.flows.size,
      datagrams: world.network.datagrams,
      lost: world.network.lost,
      broken: world.network.broken,
    }),
  );
  t.log(JSON.stringify(Object.fromEntries(story.counts)));
  t.log(JSON.stringify(repairs));
  if (world.violations.length > 0 || digests.size !== 1) t.log(world.diary.slice(-40).join('\n'));
  t.deepEqual(world.violations, []);
  t.is(digests.size, 1, 'all tables are equal at the end');
  t.true(world.tally.checks > 1000 * minutes);
  for (const node of world.nodes) await node.kill();
});
