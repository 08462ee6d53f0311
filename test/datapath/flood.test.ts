/** Floods of packets from invented sources: what they cost those who have a session, and what limits hold them to. */
import test from 'ava';
import { SessionState } from '../../src/abi/abi.generated.js';
import { type Limits, noLimits } from '../../src/config/desired.js';
import { type DataPath, lbMac } from '../support/data_path.js';
import { listener } from '../support/desired.js';
import { ethernet, ip4 } from '../support/frame.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { Random } from '../support/random.js';
import { tcp, udp } from '../support/transport.js';
import { openWeb, type Web, webDesired } from './web.js';

test.before(() => pinToCpu(0));

const vip = '192.0.2.10';
const wrrPort = 8080;

/** A frame whose source changes in place: making one anew for each of millions would take all the time. */
class Spoofed {
  readonly #frame: Buffer;

  constructor(kind: 'S' | 'A' | 'udp', to: number) {
    const transport = kind === 'udp' ? udp({ from: 1, to }) : tcp({ from: 1, to, flags: kind });
    this.#frame = ethernet({ to: lbMac }, ip4({ from: '198.18.0.1', to: vip }, transport));
  }

  /** From 198.18.0.0/15, which nobody else is in. */
  from(source: number, port: number): Buffer {
    this.#frame.writeUInt32BE((0xc612_0000 | (source & 0x1_ffff)) >>> 0, 26);
    this.#frame.writeUInt16BE(port, 34);
    return this.#frame;
  }
}

/** Slot by slot: whose each established session is. */
function established(lb: DataPath): Map<number, bigint> {
  const words = new BigUint64Array(lb.maps.sessions.mmap());
  const found = new Map<number, bigint>();
  for (let slot = 0; slot * 2 < words.length; slot++) {
    const state = Number((words[slot * 2 + 1]! >> 56n) & 15n);
    if (state === SessionState.SESSION_ESTABLISHED) found.set(slot, words[slot * 2]!);
  }
  return found;
}

async function listen(web: Web, limits: Partial<Limits> = {}): Promise<void> {
  const desired = webDesired({ listener: { limits: { ...noLimits, ...limits } } });
  const [balancer] = desired.loadBalancers;
  const inTurn = listener({ port: wrrPort, backendGroup: 'web', scheduler: 'WRR' });
  await web.set({ ...desired, loadBalancers: [{ ...balancer!, listeners: [...balancer!.listeners, inTurn] }] });
}

test.serial(
  'a table full of established sessions loses none to two million packets from invented sources',
  async (t) => {
    t.timeout(120_000);
    const random = new Random();
    t.log(`seed ${random.seed}`);
    const web = await openWeb(t, { buckets: 2048 });
    await listen(web);
    for (let client = 0; client < 14_000; client++)
      web.establish({ client: client & 0xff, from: 1024 + (client >> 8) });
    const before = established(web.lb);
    t.true(before.size > 8100, `${before.size} of 8192 slots`);
    /* Of the SYNs to a hashing listener nothing is left behind, of those to one that goes by turns a young session. */
    const kinds = [new Spoofed('S', 80), new Spoofed('S', wrrPort), new Spoofed('A', 80), new Spoofed('udp', 53)];
    const startMs = performance.now();
    for (let n = 0; n < 500_000; n++) {
      for (const kind of kinds) web.lb.program.testRun({ data: kind.from(random.word(), random.below(65_536)) });
    }
    t.log(`${Math.round(performance.now() - startMs)} ms:`, web.lb.reasons(), web.lb.tableEvents());
    t.deepEqual(established(web.lb), before);
    t.is(web.lb.tableEvents()['TABLE_EVICTED_OLD'], undefined);
  },
);

test.serial(
  'a table that is half full keeps its established sessions while a flood fills the rest again and again',
  async (t) => {
    const random = new Random();
    t.log(`seed ${random.seed}`);
    const web = await openWeb(t, { buckets: 2048 });
    await listen(web);
    for (let client = 0; client < 4096; client++) web.establish({ client: client & 0xff, from: 1024 + (client >> 8) });
    const before = new Set(established(web.lb).values());
    t.is(before.size, 4096);
    const flood = new Spoofed('udp', 53);
    for (let n = 0; n < 200_000; n++) {
      web.lb.program.testRun({ data: flood.from(random.word(), random.below(65_536)) });
    }
    const after = new Set(established(web.lb).values());
    t.deepEqual(
      [...before].filter((tag) => !after.has(tag)),
      [],
    );
    t.true(web.lb.tableEvents()['TABLE_EVICTED_YOUNG']! > 100_000);
  },
);

test.serial('a limit of new sessions holds a flood of SYNs, ACKs and datagrams to its rate', async (t) => {
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const perSecond = 1000;
  const web = await openWeb(t, { buckets: 65_536 });
  for (const [kind, spoofed] of [
    ['SYN', new Spoofed('S', 80)],
    ['ACK', new Spoofed('A', 443)],
    ['UDP', new Spoofed('udp', 53)],
  ] as const) {
    await listen(web);
    await listen(web, { newSessionsPerSecond: perSecond });
    let letIn = 0;
    for (let step = 0; step < 64; step++) {
      for (let n = 0; n < 1000; n++) {
        const { verdict } = web.lb.run(spoofed.from(random.word(), random.below(65_536)));
        if (verdict === 'TX') letIn++;
      }
      web.lb.passLimitTime(1 / 16);
    }
    const seconds = (63 / 16) * (web.lb.clock.tickMs / 1000);
    const expected = perSecond * (1 + seconds);
    t.log(`${kind}: ${letIn} of 64,000 in ${seconds.toFixed(2)} s, a second's worth before it`);
    t.true(Math.abs(letIn - expected) <= expected * 0.01, `${kind}: ${letIn} instead of ${expected}`);
  }
});

/** New sessions of many clients at once, each at a rate of its own. */
class Crowd {
  readonly #web: Web;
  readonly #spoofed = new Spoofed('S', 80);
  readonly #random: Random;
  readonly #counts = new Map<number, { tried: number; letIn: number }>();

  constructor(web: Web, random: Random) {
    this.#web = web;
    this.#random = random;
  }

  /** One step of time: each of `count` clients from `first` on tries `perSecond` times a second, at random. */
  step(
    group: number,
    { first, count, perSecond, seconds }: Record<'first' | 'count' | 'perSecond' | 'seconds', number>,
  ) {
    const counts = this.#countsOf(group);
    const tries = count * perSecond * seconds;
    for (let n = Math.floor(tries) + (this.#random.chance(tries % 1) ? 1 : 0); n > 0; n--) {
      const data = this.#spoofed.from(first + this.#random.below(count), this.#random.below(65_536));
      counts.tried++;
      if (this.#web.lb.program.testRun({ data }).retval === 3) counts.letIn++;
    }
  }

  #countsOf(group: number): { tried: number; letIn: number } {
    const counts = this.#counts.get(group) ?? { tried: 0, letIn: 0 };
    this.#counts.set(group, counts);
    return counts;
  }

  take(group: number): { tried: number; letIn: number } {
    const counts = this.#countsOf(group);
    this.#counts.delete(group);
    return counts;
  }
}

const backgroundClients = 100_000;
const legit = { first: 110_000, count: 100 };
const flooder = { first: 120_000, count: 1 };

/** Share of the tries of legitimate clients that are refused, and what a flooding client gets a second. */
async function crowded(
  web: Web,
  random: Random,
  { perSource, background, legitPerSecond }: Record<'perSource' | 'background' | 'legitPerSecond', number>,
): Promise<{ refused: number; flooderPerSecond: number; sourceRate: number }> {
  await listen(web);
  await listen(web, { newSessionsPerSecondPerSource: perSource });
  new BigUint64Array(web.lb.maps.sources.mmap()).fill(0n);
  const crowd = new Crowd(web, random);
  const ticks = 1 / 8;
  const seconds = ticks * (web.lb.clock.tickMs / 1000);
  const steps = Math.round(2 / seconds);
  for (let step = 0; step < steps * 2; step++) {
    if (step === steps) for (const group of [0, 1, 2]) crowd.take(group);
    crowd.step(0, { first: 0, count: backgroundClients, perSecond: background / backgroundClients, seconds });
    crowd.step(1, { ...legit, perSecond: legitPerSecond, seconds });
    crowd.step(2, { ...flooder, perSecond: perSource * 20, seconds });
    web.lb.passLimitTime(ticks);
  }
  const { tried, letIn } = crowd.take(1);
  return {
    refused: (tried - letIn) / tried,
    flooderPerSecond: crowd.take(2).letIn / (steps * seconds),
    sourceRate: perSource,
  };
}

test.serial(
  'among 100,000 clients hardly one within its rate is refused, and a flooding one is held to it',
  async (t) => {
    t.timeout(120_000);
    const random = new Random();
    t.log(`seed ${random.seed}`);
    const web = await openWeb(t, { buckets: 1024, sourceCells: 262_144 });
    const perSource = 20;
    const { refused, flooderPerSecond } = await crowded(web, random, {
      perSource,
      background: 100_000,
      legitPerSecond: 5,
    });
    t.log(`refused ${(refused * 100).toFixed(2)} %, flooder ${flooderPerSecond.toFixed(1)} of ${perSource} a second`);
    t.true(refused < 0.01);
    t.true(Math.abs(flooderPerSecond - perSource) <= perSource * 0.1);
  },
);

test.serial(
  'hardly a client is refused for the sake of others up to cells x limit / 2 new sessions a second in all',
  async (t) => {
    t.timeout(120_000);
    const random = new Random();
    t.log(`seed ${random.seed}`);
    const [sourceCells, perSource] = [4096, 10];
    const web = await openWeb(t, { buckets: 1024, sourceCells });
    const results: { load: number; refused: number }[] = [];
    for (const load of [0.5, 1, 1.5, 2.5]) {
      const background = (load * sourceCells * perSource) / 2;
      const { refused } = await crowded(web, random, { perSource, background, legitPerSecond: 2 });
      results.push({ load, refused });
      t.log(`${background} new sessions/s, ${load} of cells x limit / 2: ${(refused * 100).toFixed(2)} % refused`);
    }
    for (const { load, refused } of results) t.true(load > 1 || refused < 0.01, `${load}: ${refused}`);
  },
);
