import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { TableEvent } from '../../../src/abi/abi.generated.js';
import type { Desired } from '../../../src/config/desired.js';
import { Counters } from '../../../src/dataplane/counters.js';
import { Bed } from '../bed.js';
import type { LbMaps } from '../fill.js';
import { LB_OBJECT } from '../paths.js';
import { fillFlows, type Phase, runFlood } from './driver.js';
import type { Options, Scheduler } from './options.js';
import { establishedFlows, lostSince, shuffled, snapshot } from './table.js';

export interface Case {
  readonly scheduler: Scheduler;
  readonly slots: number;
  /** Sessions that were established and in use when the flood began. */
  readonly established: number;
  readonly seconds: number;
  /** Spoofed packets/s of all cores together: each would be a session of its own. */
  readonly attemptedPerSecond: number;
  /** For each second of a core that the driver was given. */
  readonly attemptedPerCoreSecond: number;
  readonly attempted: Readonly<Record<string, number>>;
  /** Established sessions that the flood took away, or sent to another backend. */
  readonly evicted: number;
  readonly moved: number;
  /** Packets of established flows that were not forwarded. */
  readonly notForwarded: number;
  readonly before: Phase['ns'];
  readonly during: Phase['ns'];
  readonly after: Phase['ns'];
  /** Time of an established packet during the flood to that before it. */
  readonly ratio: number;
  /** What the table did meanwhile, by the word of enum table_event. */
  readonly events: Readonly<Record<string, number>>;
}

/** A rate that counts as a flood. */
export const GOAL_PER_SECOND = 5_000_000;

export async function runCase(scheduler: Scheduler, options: Options): Promise<{ one: Case; faults: string[] }> {
  const bed = await Bed.open({
    lbObject: LB_OBJECT,
    variants: [{ forwarding: 'l2', change: (desired) => withScheduler(desired, scheduler) }],
    sessions: options.sessions,
    yardstick: false,
  });
  const directory = mkdtempSync(join(tmpdir(), 'spillway-flood-'));
  try {
    const [lb] = bed.loaded;
    if (!lb) throw new Error('no load balancer was loaded');
    await fillTable(lb.programId, lb.maps);
    const flowsFile = join(directory, 'flows');
    writeFileSync(flowsFile, shuffled(establishedFlows(lb.maps)));
    const before = snapshot(lb.maps);
    const eventsBefore = eventsOf(lb.maps);
    const cores = cpus().map((_, i) => i);
    const flooded = await runFlood(lb.programId, { flowsFile, seconds: options.seconds, cpus: cores });
    const lost = lostSince(before, snapshot(lb.maps));
    const attempted = flooded.during.flooded;
    const total = Object.values(attempted).reduce((a, b) => a + b, 0);
    const one: Case = {
      scheduler,
      slots: before.slots,
      established: before.established.size,
      seconds: flooded.during.seconds,
      attemptedPerSecond: total / flooded.during.seconds,
      attemptedPerCoreSecond: total / flooded.during.cpuSeconds,
      attempted,
      ...lost,
      notForwarded: flooded.notForwarded,
      before: flooded.before.ns,
      during: flooded.during.ns,
      after: flooded.after.ns,
      ratio: flooded.during.ns.median / flooded.before.ns.median,
      events: difference(eventsBefore, eventsOf(lb.maps)),
    };
    return { one, faults: faultsOf(one) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
    bed.close();
  }
}

function withScheduler(desired: Desired, scheduler: Scheduler): Desired {
  return {
    ...desired,
    loadBalancers: desired.loadBalancers.map((balancer) => ({
      ...balancer,
      listeners: balancer.listeners.map((listener) => ({ ...listener, scheduler })),
    })),
  };
}

/** New flows come until none of them finds a slot any more. */
async function fillTable(programId: number, maps: LbMaps): Promise<void> {
  const { slots } = snapshot(maps);
  const most = 1 << 24;
  let established = -1;
  for (let first = 0; first < most && established < slots; first += slots) {
    await fillFlows(programId, first, Math.min(slots, most - first));
    const now = snapshot(maps).established.size;
    if (now === established) break;
    established = now;
  }
}

function eventsOf(maps: LbMaps): Record<string, number> {
  const { table } = new Counters(maps).global();
  const words = Object.entries(TableEvent).filter(([word]) => word !== 'TABLE_EVENT_COUNT');
  return Object.fromEntries(words.map(([word, index]) => [word.toLowerCase(), Number(table[index] ?? 0n)]));
}

function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([word, count]) => [word, count - (before[word] ?? 0)]));
}

/** How full the table must have been for the case to say something. */
const FULL = 0.99;

export function faultsOf(one: Case): string[] {
  const faults: string[] = [];
  const fill = one.established / one.slots;
  if (fill < FULL) faults.push(`only ${(100 * fill).toFixed(1)} % of the slots held established sessions`);
  if (one.evicted > 0) faults.push(`${one.evicted} established sessions were evicted`);
  if (one.moved > 0) faults.push(`${one.moved} established sessions went to another backend`);
  if (one.notForwarded > 0) faults.push(`${one.notForwarded} packets of established flows were not forwarded`);
  if ((one.events['table_evicted_old'] ?? 0) > 0) faults.push('the table counts evicted established sessions');
  return faults.map((fault) => `${one.scheduler}: ${fault}`);
}
