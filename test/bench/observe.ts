import { Reason, SessionState, sessionSlotSize, TableEvent } from '../../src/abi/abi.generated.js';
import { Counters } from '../../src/dataplane/counters.js';
import type { LbMaps } from './fill.js';

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

const WORDS_PER_SLOT = sessionSlotSize / 4;

export function observe(maps: LbMaps): Observed {
  const counters = new Counters(maps);
  const services = maps.svc_counters.info.maxEntries;
  const traffic = counters.services(services);
  const sum = (field: 'packets' | 'sessions' | 'noSession') =>
    Array.from({ length: services }, (_, id) => Number(traffic(id)[field])).reduce((a, b) => a + b, 0);
  const { reasons, table } = counters.global();
  const event = (name: keyof typeof TableEvent) => Number(table[TableEvent[name]] ?? 0n);
  const states = countStates(new Uint32Array(maps.sessions.mmap()));
  return {
    packets: sum('packets'),
    sessions: sum('sessions'),
    noSession: sum('noSession'),
    passedOrDropped: reasons.slice(0, Reason.REASON_COUNT).reduce((total, count) => total + Number(count), 0),
    evicted: event('TABLE_EVICTED_CLOSING') + event('TABLE_EVICTED_YOUNG') + event('TABLE_EVICTED_OLD'),
    notTracked: event('TABLE_NOT_TRACKED'),
    moved: event('TABLE_MOVED'),
    young: states[SessionState.SESSION_YOUNG] ?? 0,
    established: states[SessionState.SESSION_ESTABLISHED] ?? 0,
    closing: states[SessionState.SESSION_CLOSING] ?? 0,
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
export function clearTable(maps: LbMaps): void {
  new Uint8Array(maps.sessions.mmap()).fill(0);
}

/** Counts slots whose tag is set by the state in the top byte of their value. */
function countStates(words: Uint32Array): number[] {
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < words.length; i += WORDS_PER_SLOT) {
    if (words[i] === 0 && words[i + 1] === 0) continue;
    const state = (words[i + 3]! >>> 24) & 15;
    counts[state] = counts[state]! + 1;
  }
  return counts;
}
