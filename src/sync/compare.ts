import type { Clock, PeerClient, TablePort } from './ports.js';
import { sleep, unlessAborted } from './waiting.js';

/** A range holds some hundreds of a million sessions; a digest is 48 KiB. */
export const RANGES = 4096;

/** What one look at both tables found: by range, in how far the peer's sum and count are ahead of ours. */
interface Look {
  /** Ranges that differ, with the difference of the sums, modulo 2^64. */
  readonly sums: ReadonlyMap<number, bigint>;
  /** Sessions that this node has fewer of, in ranges where it has fewer. */
  readonly fewer: number;
  /** In this node's table. */
  readonly sessions: number;
}

export interface Comparison {
  /** Ranges that differ for good; those in which sessions are just on their way are left out. */
  readonly ranges: readonly number[];
  readonly fewer: number;
  readonly sessions: number;
}

export interface CompareOptions {
  readonly table: TablePort;
  readonly client: PeerClient;
  readonly clock: Clock;
  /** Between the looks. */
  readonly gapsMs: readonly [number, number];
  readonly signal: AbortSignal;
}

/**
 * Looks at both tables twice, or three times where that does not tell: sessions that are being made differ for some
 * milliseconds, each time in other ranges or by other sums; what is missing for good differs by the same.
 */
export async function compareTables(options: CompareOptions): Promise<Comparison> {
  const { clock, gapsMs, signal } = options;
  const first = await look(options);
  if (first.sums.size === 0) return comparisonOf(first, []);
  await sleep(clock, gapsMs[0], signal);
  const second = await look(options);
  const same = equalIn(first, second);
  const both = [...second.sums.keys()].filter((range) => first.sums.has(range));
  if (same.length === both.length) return comparisonOf(second, same);
  await sleep(clock, gapsMs[1], signal);
  const third = await look(options);
  const lasting = both.filter((range) => third.sums.has(range));
  const ranges = new Set([...same, ...lasting, ...equalIn(first, third), ...equalIn(second, third)]);
  return comparisonOf(
    third,
    [...ranges].sort((a, b) => a - b),
  );
}

function comparisonOf({ fewer, sessions }: Look, ranges: readonly number[]): Comparison {
  return { ranges, fewer, sessions };
}

function equalIn(a: Look, b: Look): number[] {
  return [...b.sums].flatMap(([range, sum]) => (a.sums.get(range) === sum ? [range] : []));
}

async function look({ table, client, signal }: CompareOptions): Promise<Look> {
  signal.throwIfAborted();
  const both = Promise.all([table.digest(RANGES), client.digest(RANGES)]);
  const [own, peer] = await unlessAborted(both, signal);
  const sums = new Map<number, bigint>();
  let fewer = 0;
  let sessions = 0;
  for (let range = 0; range < RANGES; range++) {
    const count = own.counts[range]!;
    sessions += count;
    const difference = BigInt.asUintN(64, (peer.sums[range] ?? 0n) - own.sums[range]!);
    const ahead = (peer.counts[range] ?? 0) - count;
    if (difference === 0n && ahead === 0) continue;
    sums.set(range, difference);
    if (ahead > 0) fewer += ahead;
  }
  return { sums, fewer, sessions };
}
