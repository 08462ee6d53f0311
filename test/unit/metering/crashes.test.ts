/** Whatever happens to agent and disk: the lines and the hour under way add up to what flowed. */
import test, { type ExecutionContext } from 'ava';
import { HOUR_MS, type VipUsage } from '../../../src/metering/types.js';
import { World } from './world.js';

const names = ['a', 'b', 'c'];
const SEED = Number(process.env['SPILLWAY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const WORLDS = Number(process.env['SPILLWAY_WORLDS'] ?? 150);
const STEPS = 60;

interface Backend {
  readonly reporter: string;
  epoch: number;
  sequence: bigint;
  pending: VipUsage[] | null;
}

/** A backend counts for a while, then reports until that is acknowledged; answers may be lost on their way. */
async function report(world: World, backend: Backend): Promise<void> {
  const { random } = world;
  if (backend.pending === null) {
    backend.sequence++;
    backend.pending = names.slice(0, 1 + random.below(3)).map((name) => {
      const packetsOut = BigInt(random.below(50));
      const usage = { vip: world.vipOf(name), packetsIn: 1n, bytesIn: 60n, packetsOut, bytesOut: packetsOut * 1400n };
      world.total(name).packetsOut += usage.packetsOut;
      world.total(name).bytesOut += usage.bytesOut;
      return usage;
    });
  }
  const { reporter, epoch, sequence, pending } = backend;
  const done = await world.report({ reporter, epoch: String(epoch), sequence, usage: pending });
  if (done && random.chance(0.8)) backend.pending = null;
}

async function settle(world: World, backends: readonly Backend[]): Promise<void> {
  await world.records();
  for (const backend of backends) {
    while (backend.pending !== null) await report(world, backend);
  }
}

async function step(world: World, backends: readonly Backend[]): Promise<void> {
  const { random } = world;
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      for (const service of world.owners.keys()) world.traffic(service, random.below(100));
      return;
    case 4:
      return world.pass(random.below(4000));
    case 5:
      return world.pass(random.below(2 * HOUR_MS));
    case 6:
      return world.pass(1000, { jumpMs: (random.below(5) - 2) * HOUR_MS });
    case 7:
    case 8:
      await world.tick();
      return;
    case 9:
      world.kill();
      return;
    case 10:
    case 11:
      if (world.meter === null) await world.start(random.chance(0.7) ? 1 + random.below(25) : null);
      return;
    case 12:
      world.disk.full = random.chance(0.4);
      return;
    default:
      await report(world, random.pick(backends));
  }
}

function agree(t: ExecutionContext, world: World, sums: ReturnType<World['sums']>, seed: number): void {
  for (const [name, total] of world.truth) {
    const counted = sums.get(name) ?? { packetsIn: 0n, bytesIn: 0n, newSessions: 0n, packetsOut: 0n, bytesOut: 0n };
    if (JSON.stringify(counted, text) !== JSON.stringify(total, text)) {
      t.fail(`SPILLWAY_SEED=${seed}: ${name} is ${JSON.stringify(counted, text)}, was ${JSON.stringify(total, text)}`);
    }
  }
}

const text = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

test('kill -9, full disks, clock jumps and lost answers: each LoadBalancer’s lines add up to what flowed', async (t) => {
  let [crashes, lines, refusals] = [0, 0, 0];
  for (let i = 0; i < WORLDS; i++) {
    const world = new World(SEED + i);
    world.owners = new Map([
      [1, 'a'],
      [2, 'a'],
      [3, 'b'],
      [5, 'c'],
    ]);
    world.rows = new Set(world.owners.keys());
    const backends = ['x', 'y'].map((reporter): Backend => ({ reporter, epoch: 1, sequence: 0n, pending: null }));
    await world.start();
    for (let n = 0; n < STEPS; n++) await step(world, backends);
    await settle(world, backends);
    agree(t, world, world.sums(await world.records()), SEED + i);
    t.true(world.filesAreWhole, `SPILLWAY_SEED=${SEED + i}`);
    // What was mended lost nothing: but for a line that a full disk cut, nothing is ever taken out of a file.
    t.deepEqual(world.damage, [], `SPILLWAY_SEED=${SEED + i}`);
    crashes += world.crashes;
    refusals += world.refusals.length;
    lines += world.lines().length;
  }
  t.log(
    `${WORLDS} worlds of ${STEPS} steps from seed ${SEED}: ${crashes} crashes, ${refusals} refusals, ${lines} lines`,
  );
  t.true(crashes > WORLDS && lines > WORLDS && refusals > WORLDS / 10);
});

/** Services come and go, their numbers are given out again; the maps are made anew after a detach. */
async function change(world: World, retiring: Set<number>): Promise<void> {
  const { random, owners } = world;
  if (world.meter === null) return;
  if (random.chance(0.3) && owners.size > 0) {
    const gone = random.pick([...owners.keys()]);
    owners.delete(gone);
    world.rows.delete(gone);
    retiring.add(gone);
  } else if (random.chance(0.5) && owners.size > 0) {
    owners.set(random.pick([...owners.keys()]), random.pick(names));
  } else {
    let id = 1;
    while (owners.has(id) || retiring.has(id)) id++;
    owners.set(id, random.pick(names));
    world.rows.add(id);
  }
  // Packets may meet a configuration before metering hears of it.
  for (const service of owners.keys()) if (random.chance(0.5)) world.traffic(service, random.below(10));
  if (random.chance(0.9)) world.own();
  else world.kill();
}

async function renew(world: World, retiring: Set<number>): Promise<void> {
  const ids = [...retiring];
  const done = await world.survive(async () => {
    await world.meter?.renew(ids, () => {
      for (const id of ids) world.counters.delete(id);
    });
    return world.meter !== null;
  });
  if (done === true) retiring.clear();
}

test('numbers that are given out again, owners that change, maps made anew: nothing is lost or counted twice', async (t) => {
  let [crashes, renewed, ownerless] = [0, 0, 0n];
  for (let i = 0; i < WORLDS; i++) {
    const world = new World(SEED + i);
    const { random } = world;
    world.owners = new Map([[1, 'a']]);
    world.rows.add(1);
    let retiring = new Set<number>();
    await world.start();
    for (let n = 0; n < STEPS; n++) {
      const before = retiring.size;
      if (random.chance(0.2)) await change(world, retiring);
      else if (random.chance(0.15)) {
        world.disk.full = false;
        await renew(world, retiring);
        if (before > 0 && retiring.size === 0) renewed++;
      } else if (random.chance(0.05) && world.meter !== null) {
        // A detach by the agent: the last counts are read when nothing flows any more.
        world.disk.full = false;
        await world.tick();
        if (world.meter === null) continue;
        world.kill();
        world.counters = new Map();
        world.generation++;
        retiring = new Set();
      } else await step(world, [{ reporter: 'x', epoch: n, sequence: 0n, pending: null }]);
    }
    const sums = world.sums(await world.records());
    // Of a service that came and went while nothing was written, nobody knows whose it was; it is counted all the same.
    let [counted, flowed] = [world.meter!.ownerless.packets, 0n];
    ownerless += counted;
    for (const { packetsIn } of sums.values()) counted += packetsIn;
    for (const { packetsIn } of world.truth.values()) flowed += packetsIn;
    t.is(counted, flowed, `SPILLWAY_SEED=${SEED + i}`);
    crashes += world.crashes;
  }
  t.log(
    `${WORLDS} worlds from seed ${SEED}: ${crashes} crashes, numbers renewed ${renewed} times, ${ownerless} packets ownerless`,
  );
  t.true(crashes > WORLDS && renewed > WORLDS / 10);
});
