import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { OUT, SOURCE } from './paths.js';

/** Median and extremes over the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What the driver prints for one target in one case; the names are its JSON's. Only of use when rounds were run. */
export interface DriverResult {
  readonly target: string;
  readonly frags: boolean;
  readonly frame_bytes: number;
  readonly net_ns: Spread;
  readonly ratio_to_first: Spread;
  /** Packets of the measured rounds by verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Share of the frames whose start the program had moved. */
  readonly start_moved_share: number;
  readonly sample: { readonly verdict: string; readonly out: { readonly decoded: string } };
}

export interface DriverHost {
  readonly kernel: string;
  readonly machine: string;
  readonly cpu: string;
  readonly pinned_to: number;
}

export interface DriverOutput {
  readonly host: DriverHost;
  readonly results: readonly DriverResult[];
}

export interface DriverCase {
  /** The driver's word. */
  readonly kind: string;
  /** Frame bytes; raised to fit the headers. */
  readonly bytes?: number;
  /** Where the frames go; the bed's VIPs unless said. */
  readonly vips?: { readonly v4: string; readonly v6: string };
  /** Begin of the UDP payload of quic kinds, hex. */
  readonly payload?: string;
  readonly flows: number;
  /** The first is what the others are compared with. */
  readonly targets: readonly { readonly label: string; readonly programId: number }[];
  /** 0: warm up only. */
  readonly rounds: number;
  readonly packetsPerRound: number;
  readonly warmPasses: number;
  readonly cpu: number;
}

const run = promisify(execFile);

/** Compiles driver and yardstick when their sources are newer. Throws with the compiler's words. */
export async function buildDriver(): Promise<void> {
  try {
    await run('make', ['-s', '-C', SOURCE, `OUT=${OUT}`]);
  } catch (error) {
    const words = (error as { stderr?: string }).stderr ?? '';
    throw new Error(`the benchmark's driver does not compile (clang, bpftool, libbpf-dev installed?):\n${words}`);
  }
}

/** Packets that a case sends to each target in all: warm-up, a tenth of a round to settle, the rounds and one sample. */
export function packetsSent(job: DriverCase, hasOpener: boolean): number {
  const warmUp = (job.warmPasses + (hasOpener ? 1 : 0)) * job.flows;
  const measured = job.rounds * job.packetsPerRound + Math.floor(job.packetsPerRound / 10) + 1 + 1;
  return warmUp + (job.rounds > 0 ? measured : 0);
}

/** Runs one case in a process of its own, so that each begins with a fresh wrapper. Progress goes to stderr. */
export async function runDriver(job: DriverCase): Promise<DriverOutput> {
  const args = job.targets.flatMap(({ label, programId }) => ['-t', `${label}=${programId}`]);
  args.push('-k', job.kind, '-f', `${job.flows}`, '-r', `${job.rounds}`, '-n', `${job.packetsPerRound}`);
  args.push('-w', `${job.warmPasses}`, '-c', `${job.cpu}`, '-s', `${job.bytes ?? 64}`);
  if (job.vips) args.push('-4', job.vips.v4, '-6', job.vips.v6);
  if (job.payload) args.push('-q', job.payload);
  const child = spawn(`${OUT}/pktbench/pktbench`, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const status = await new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  if (status !== 0) throw new Error(`pktbench ended with ${status}`);
  return JSON.parse(Buffer.concat(chunks).toString()) as DriverOutput;
}

/** Loads the yardstick, fills its maps and pins its program; removing the pin unloads it. */
export async function pinYardstick(path: string): Promise<void> {
  await run(`${OUT}/yardstick/classic`, [path]);
}
