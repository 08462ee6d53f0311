/** What comes in for each limit, as it is measured and told to the data path. */
import test, { type ExecutionContext } from 'ava';
import { LimitGauges } from '../../../src/agent/limit-gauge.js';
import type { CompiledLimit } from '../../../src/compile/limits.js';
import { type Limits, noLimits } from '../../../src/config/desired.js';
import { loadBalancer } from '../../support/desired.js';

const BITS = 1;
const PACKETS = 2;

class World {
  limits: CompiledLimit[] = [];
  /** By service. */
  readonly traffic = new Map<number, { packets: bigint; bytes: bigint; sessions: bigint; noSession: bigint }>();
  nowMs = 1000;
  tick = 7;
  /** What was told last, and how often, by limit. */
  readonly told = new Map<number, { kinds: number; tick: number; times: number }>();
  readonly gauges: LimitGauges;

  constructor(t: ExecutionContext) {
    this.gauges = new LimitGauges({
      limits: () => this.limits,
      counters: {
        servicesAt: () => (id) => this.traffic.get(id) ?? { packets: 0n, bytes: 0n, sessions: 0n, noSession: 0n },
      },
      rows: {
        setOver: (id, kinds, tick) => {
          this.told.set(id, { kinds, tick, times: (this.told.get(id)?.times ?? 0) + 1 });
        },
      },
      tick: () => this.tick,
      nowMs: () => this.nowMs,
      onError: (error) => t.fail(String(error)),
    });
    t.teardown(() => this.gauges.close());
  }

  /** A quarter of a second in which each service sees so much. */
  pass(services: readonly number[], { packets = 0, bytes = 0, sessions = 0 }): void {
    for (const id of services) {
      const before = this.traffic.get(id) ?? { packets: 0n, bytes: 0n, sessions: 0n, noSession: 0n };
      this.traffic.set(id, {
        ...before,
        packets: before.packets + BigInt(packets),
        bytes: before.bytes + BigInt(bytes),
        sessions: before.sessions + BigInt(sessions),
      });
    }
    this.nowMs += 250;
    this.gauges.sample();
  }
}

function limit(id: number, services: readonly number[], set: Partial<Limits>): CompiledLimit {
  const limits = { ...noLimits, ...set };
  const row = { identity: BigInt(id), flags: 1, sessions: 0, interval: 0n, sourceInterval: 0n, burst: 0n };
  return { id, services, limits, row, loadBalancer: loadBalancer('web', [], []), listener: null };
}

test('the rates of a limit are those of all its services over the last second', (t) => {
  const world = new World(t);
  world.limits = [limit(1, [3, 4], { sessions: 9 })];
  world.gauges.sample();
  for (let n = 0; n < 8; n++) world.pass([3, 4], { packets: 10, bytes: 1000, sessions: 1 });
  t.deepEqual(world.gauges.ratesOf(1), { newSessionsPerSecond: 8, bitsPerSecond: 64_000, packetsPerSecond: 80 });
  for (let n = 0; n < 4; n++) world.pass([3, 4], {});
  t.deepEqual(world.gauges.ratesOf(1), { newSessionsPerSecond: 0, bitsPerSecond: 0, packetsPerSecond: 0 });
  t.is(world.told.size, 0, 'nothing is limited that is measured here');
});

test('over the bits, over the packets, over both: told with each measurement and with its time, and once when it is over', (t) => {
  const world = new World(t);
  world.limits = [
    limit(1, [1], { bitsPerSecond: 8000 }),
    limit(2, [1], { packetsPerSecond: 10 }),
    limit(3, [1], { bitsPerSecond: 8000, packetsPerSecond: 10 }),
  ];
  world.gauges.sample();
  world.pass([1], { bytes: 250, packets: 2 });
  t.is(world.told.size, 0, 'exactly at the limit is not over it');
  world.tick = 8;
  world.pass([1], { bytes: 260, packets: 4 });
  t.deepEqual(
    [1, 2, 3].map((id) => world.told.get(id)?.kinds),
    [BITS, PACKETS, BITS | PACKETS],
  );
  world.tick = 9;
  world.pass([1], { bytes: 260, packets: 4 });
  t.deepEqual(world.told.get(1), { kinds: BITS, tick: 9, times: 2 });
  for (let n = 0; n < 10; n++) world.pass([1], {});
  t.is(world.told.get(1)?.kinds, 0);
  t.true(world.told.get(1)!.times <= 7, 'and then no more');
});

test('a limit of other services, or of another owner under the same number, begins anew', (t) => {
  const world = new World(t);
  world.traffic.set(2, { packets: 5_000_000n, bytes: 0n, sessions: 0n, noSession: 0n });
  world.limits = [limit(1, [1], { packetsPerSecond: 10 })];
  world.gauges.sample();
  world.pass([1], {});
  world.limits = [limit(1, [1, 2], { packetsPerSecond: 10 })];
  world.pass([1], {});
  t.is(world.gauges.ratesOf(1).packetsPerSecond, 0, 'what the other service had seen before is no rate');
  t.is(world.told.size, 0);
  world.limits = [];
  world.pass([1], {});
  t.is(world.gauges.ratesOf(1).packetsPerSecond, 0);
});

test('a late measurement is divided by the time that it really took', (t) => {
  const world = new World(t);
  world.limits = [limit(1, [1], { packetsPerSecond: 10 })];
  world.gauges.sample();
  world.nowMs += 4750;
  world.pass([1], { packets: 50 });
  t.is(world.gauges.ratesOf(1).packetsPerSecond, 10);
  t.is(world.told.size, 0);
});
