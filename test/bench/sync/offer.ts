import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OUT } from '../paths.js';
import type { BenchNode } from './bed.js';

const run = promisify(execFile);
const OFFER = `${OUT}/sync/offer`;

/** Of what one peer has; lags in ms, null: so many samples never came. */
export interface Arrived {
  readonly samples: number;
  readonly within10: number;
  readonly within100: number;
  readonly found: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly p999Ms: number | null;
  readonly maxMs: number;
  readonly missing: number;
  readonly wrongBackend: number;
}

export interface Offered {
  readonly offered: number;
  readonly seconds: number;
  /** How long the driver was kept from its core: the rate is that much lower than asked for. */
  readonly heldBackMs: number;
  readonly cpuSeconds: number;
  readonly peers: readonly Arrived[];
}

export interface Job {
  readonly sender: BenchNode;
  readonly peers: readonly BenchNode[];
  readonly v6: boolean;
}

async function offer<T>(words: readonly string[]): Promise<T> {
  return JSON.parse((await run(OFFER, [...words], { maxBuffer: 1 << 24 })).stdout) as T;
}

function watching(peers: readonly BenchNode[]): string[] {
  return peers.flatMap(({ maps }) => ['-w', `${maps.sessions}`]);
}

/** `first`: number of the first session; sessions of other numbers are others. */
export function offerSessions(
  { sender, peers, v6 }: Job,
  { rate, seconds, first = 0 }: { rate: number; seconds: number; first?: number },
): Promise<Offered> {
  const { sessions, details, log } = sender.maps;
  const own = ['-s', `${sessions},${details},${log}`, ...(v6 ? ['-6'] : [])];
  const when = ['-r', `${rate}`, '-d', `${seconds}`, '-f', `${first}`];
  return offer<Offered>(['run', ...own, ...watching(peers), ...when]);
}

/** So many sessions at once, announced to nobody. @returns how many numbers were tried: some find their buckets full */
export async function fillTable({ sender, v6 }: Omit<Job, 'peers'>, count: number): Promise<number> {
  const { sessions, details } = sender.maps;
  const own = ['-s', `${sessions},${details}`, ...(v6 ? ['-6'] : [])];
  const { inserted, numbers } = await offer<{ inserted: number; numbers: number }>(['fill', ...own, '-n', `${count}`]);
  if (inserted < count) throw new Error(`only ${inserted} of ${count} sessions found room`);
  return numbers;
}

export async function checkTables({ sender, peers }: Omit<Job, 'v6'>, count: number) {
  const own = ['-s', `${sender.maps.sessions}`];
  const { peers: found } = await offer<{ peers: readonly Pick<Arrived, 'missing' | 'wrongBackend'>[] }>([
    'check',
    ...own,
    ...watching(peers),
    ...['-n', `${count}`],
  ]);
  return found;
}
