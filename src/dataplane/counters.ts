import { readFileSync } from 'node:fs';
import * as abi from '../abi/abi.generated.js';
import type { BpfMap } from './addon.js';

export interface TrafficCount {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly sessions: bigint;
  readonly noSession: bigint;
}

export const noTraffic: TrafficCount = { packets: 0n, bytes: 0n, sessions: 0n, noSession: 0n };

const TRAFFIC_WORDS = abi.trafficSize / 8;
const REASONS = abi.Reason.REASON_COUNT;
const TABLE_EVENTS = abi.TableEvent.TABLE_EVENT_COUNT;

/** Sums of the per-CPU counters. They count since the maps were made and never go back while the number is taken. */
export class Counters {
  /** Names these maps among all that ever were: ids are given out anew with each boot. */
  readonly generation: string;
  /** Highest service number that is counted. */
  readonly mostServices: number;

  constructor(private readonly maps: { svc_counters: BpfMap; be_counters: BpfMap; counters: BpfMap }) {
    const { id, maxEntries } = maps.svc_counters.info;
    this.generation = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${id}`;
    this.mostServices = maxEntries - 1;
  }

  /** Index = id; `highest` bounds what is read. */
  services(highest: number): (id: number) => TrafficCount {
    return reader(this.maps.svc_counters, highest);
  }

  /** Of these services alone. */
  servicesAt(ids: readonly number[]): (id: number) => TrafficCount {
    const map = this.maps.svc_counters;
    const read = new Map<number, TrafficCount>();
    for (const [first, last] of runsOf(ids)) {
      const words = map.sumRange(first, last - first + 1);
      for (let id = first; id <= last; id++) read.set(id, countAt(words, id - first));
    }
    return (id) => read.get(id) ?? noTraffic;
  }

  backends(highest: number): (id: number) => TrafficCount {
    return reader(this.maps.be_counters, highest);
  }

  global(): { reasons: readonly bigint[]; table: readonly bigint[] } {
    const words = this.maps.counters.sumRange(0, 1);
    return {
      reasons: Array.from(words.subarray(0, REASONS)),
      table: Array.from(words.subarray(REASONS, REASONS + TABLE_EVENTS)),
    };
  }

  /** A number given out again starts from zero. */
  resetBackend(id: number): void {
    this.maps.be_counters.update(
      new Uint8Array(Uint32Array.of(id).buffer),
      new Uint8Array(this.maps.be_counters.valueBytes),
    );
  }

  resetService(id: number): void {
    this.maps.svc_counters.update(
      new Uint8Array(Uint32Array.of(id).buffer),
      new Uint8Array(this.maps.svc_counters.valueBytes),
    );
  }
}

function reader(map: BpfMap, highest: number): (id: number) => TrafficCount {
  const count = Math.min(map.info.maxEntries, highest + 1);
  const words = map.sumRange(0, count);
  return (id) => {
    return id >= count ? noTraffic : countAt(words, id);
  };
}

function countAt(words: BigUint64Array, index: number): TrafficCount {
  const at = index * TRAFFIC_WORDS;
  return { packets: words[at]!, bytes: words[at + 1]!, sessions: words[at + 2]!, noSession: words[at + 3]! };
}

/** A few that nobody asked for cost less than another call. */
const LARGEST_GAP = 16;

/** First and last of each stretch of numbers that lie close together. */
function runsOf(ids: readonly number[]): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const id of [...new Set(ids)].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run && id - run[1] <= LARGEST_GAP) run[1] = id;
    else runs.push([id, id]);
  }
  return runs;
}
