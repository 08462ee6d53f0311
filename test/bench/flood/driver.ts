import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OUT } from '../paths.js';

const run = promisify(execFile);
const FLOOD = `${OUT}/flood/flood`;

export interface Phase {
  readonly seconds: number;
  /** Of all threads: less than their number times the seconds where the machine did other things too. */
  readonly cpuSeconds: number;
  /** Packets by kind of flood. */
  readonly flooded: Readonly<Record<string, number>>;
  /** Packets of established flows. */
  readonly established: number;
  /** Of a core for each of those, over batches of 65,536. */
  readonly ns: { readonly median: number; readonly p10: number; readonly p90: number };
}

export interface Flooded {
  readonly before: Phase;
  readonly during: Phase;
  readonly after: Phase;
  /** Packets of established flows by what became of them. */
  readonly forwarded: number;
  readonly notForwarded: number;
}

/** Each of these flows twice in a row. */
export async function fillFlows(programId: number, first: number, count: number): Promise<void> {
  await run(FLOOD, ['fill', `${programId}`, `${first}`, `${count}`]);
}

export async function runFlood(
  programId: number,
  { flowsFile, seconds, cpus }: { flowsFile: string; seconds: number; cpus: readonly number[] },
): Promise<Flooded> {
  const { stdout } = await run(FLOOD, ['run', `${programId}`, flowsFile, `${seconds}`, cpus.join(',')]);
  return JSON.parse(stdout) as Flooded;
}
