import type { BpfObject } from '../../src/dataplane/addon.js';
import { SERVICES } from './fill.js';

/** What the load balancer's own counters and table say. Counters are since loading. */
export interface Observed {
  readonly packets: number;
  /** Sessions inserted. */
  readonly sessions: number;
  /** Packets forwarded without a session. */
  readonly noSession: number;
  readonly passedOrDropped: number;
  /** Entries that gave way to another, of whatever state. */
  readonly evicted: number;
  /** Flows that found no room. */
  readonly notTracked: number;
  readonly moved: number;
  /** Live entries of the table by state. */
  readonly young: number;
  readonly established: number;
  readonly closing: number;
}

const REASONS = 16;
const TABLE = { moved: 1, evictedClosing: 3, evictedYoung: 4, evictedOld: 5, notTracked: 6 } as const;
const STATE = { young: 1, established: 2, closing: 3 } as const;

export function observe(object: BpfObject): Observed {
  const traffic = object.map('svc_counters_v1').sumRange(0, SERVICES + 1);
  const column = (index: number) => total(traffic.filter((_, i) => i % 4 === index));
  const counters = object.map('counters_v1').sumRange(0, 1);
  const table = (index: number) => Number(counters[REASONS + index] ?? 0n);
  const states = countStates(object);
  return {
    packets: column(0),
    sessions: column(2),
    noSession: column(3),
    passedOrDropped: total(counters.subarray(0, REASONS)),
    evicted: table(TABLE.evictedClosing) + table(TABLE.evictedYoung) + table(TABLE.evictedOld),
    notTracked: table(TABLE.notTracked),
    moved: table(TABLE.moved),
    young: states[STATE.young] ?? 0,
    established: states[STATE.established] ?? 0,
    closing: states[STATE.closing] ?? 0,
  };
}

/** The counters of `after` less those of `before`; what the table holds is that of `after`. */
export function since(before: Observed, after: Observed): Observed {
  return {
    ...after,
    packets: after.packets - before.packets,
    sessions: after.sessions - before.sessions,
    noSession: after.noSession - before.noSession,
    passedOrDropped: after.passedOrDropped - before.passedOrDropped,
    evicted: after.evicted - before.evicted,
    notTracked: after.notTracked - before.notTracked,
    moved: after.moved - before.moved,
  };
}

/** So that each case begins with an empty table: nothing may be running. */
export function clearTable(object: BpfObject): void {
  new Uint8Array(object.map('sessions_v1').mmap()).fill(0);
}

function total(values: BigUint64Array): number {
  return Number(values.reduce((sum, value) => sum + value, 0n));
}

/** Counts slots by the state in the top byte of their value. */
function countStates(object: BpfObject): number[] {
  const halves = new Uint32Array(object.map('sessions_v1').mmap());
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < halves.length; i += 4) {
    if (((halves[i] ?? 0) | (halves[i + 1] ?? 0)) === 0) continue;
    const state = ((halves[i + 3] ?? 0) >>> 24) & 15;
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}
