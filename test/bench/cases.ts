import type { Bed, Loaded } from './bed.js';
import { type DriverCase, type DriverHost, type DriverResult, packetsSent, runDriver, type Spread } from './driver.js';
import { lbTarget } from './features.js';
import { goalOf } from './goals.js';
import { clearTable, type Observed, observe, since } from './observe.js';
import type { Forwarding, Kind } from './options.js';

/** One kind at a number of flows in one forwarding mode. Times are nanoseconds per packet, medians over the rounds. */
export interface Case {
  readonly kind: Kind;
  readonly flows: number;
  readonly forwarding: 'L2_DSR' | 'IPIP';
  readonly ns: number;
  readonly yardstickNs: number;
  /** Median of the rounds' own ratios, so not exactly ns / yardstickNs. */
  readonly ratio: number;
  readonly goal: number | null;
  readonly met: boolean | null;
  readonly nsSpread: Spread;
  readonly yardstickSpread: Spread;
  readonly frameBytes: number;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Of the load balancer, from its own maps after the case. */
  readonly tracked: number;
  readonly established: number;
  readonly evicted: number;
  readonly notTracked: number;
  readonly moved: number;
}

export interface CaseOptions {
  readonly kind: Kind;
  readonly flows: number;
  readonly rounds: number;
  readonly packetsPerRound: number;
  readonly cpu: number;
  /** Live sessions that the table is sized for. */
  readonly sessions: number;
}

export interface CaseOutcome {
  readonly host: DriverHost;
  readonly cases: readonly Case[];
  /** What makes the figures worthless; empty when all is well. */
  readonly faults: readonly string[];
}

const API_NAME = { l2: 'L2_DSR', ipip: 'IPIP' } as const satisfies Record<Forwarding, string>;

/** A flow is established by the second packet after its SYN. */
const WARM_PASSES = 2;

/** Yardstick and every forwarding mode in one interleaved run. */
export async function runCase(bed: Bed, options: CaseOptions): Promise<CaseOutcome> {
  for (const lb of bed.loaded) clearTable(lb.maps);
  const before = bed.loaded.map((lb) => observe(lb.maps));
  const job: DriverCase = {
    ...options,
    targets: [{ label: 'yardstick', programId: bed.yardstickId }, ...bed.loaded.map(lbTarget)],
    warmPasses: WARM_PASSES,
  };
  const { host, results } = await runDriver(job);
  const [yardstick, ...measured] = results;
  if (yardstick === undefined) throw new Error('pktbench printed no result');
  const faults = frameFaults(yardstick, job, 'ipip');
  const cases = measured.flatMap((result, i) => {
    const lb = bed.loaded[i];
    const start = before[i];
    if (lb === undefined || start === undefined) return [];
    const seen = since(start, observe(lb.maps));
    faults.push(...frameFaults(result, job, lb.forwarding), ...sessionFaults(seen, job, options));
    return [asCase(lb, options, result, yardstick, seen)];
  });
  return { host, cases, faults: faults.map((fault) => `${options.kind} at ${options.flows} flows: ${fault}`) };
}

function asCase(lb: Loaded, options: CaseOptions, result: DriverResult, yardstick: DriverResult, seen: Observed): Case {
  const goal = goalOf(options.kind, options.flows);
  const ratio = result.ratio_to_first.median;
  return {
    kind: options.kind,
    flows: options.flows,
    forwarding: API_NAME[lb.forwarding],
    ns: result.net_ns.median,
    yardstickNs: yardstick.net_ns.median,
    ratio,
    goal,
    met: goal === null ? null : ratio <= goal,
    nsSpread: result.net_ns,
    yardstickSpread: yardstick.net_ns,
    frameBytes: result.frame_bytes,
    verdicts: result.verdicts,
    tracked: seen.sessions,
    established: seen.established,
    evicted: seen.evicted,
    notTracked: seen.notTracked,
    moved: seen.moved,
  };
}

/** Every packet sent on, in the way that was asked for. */
function frameFaults(result: DriverResult, job: DriverCase, forwarding: Forwarding): string[] {
  const faults: string[] = [];
  const total = job.rounds * job.packetsPerRound;
  const sent = result.verdicts['XDP_TX'] ?? 0;
  if (sent !== total) faults.push(`${result.target}: ${JSON.stringify(result.verdicts)} where XDP_TX ${total} belongs`);
  if (result.sample.out.decoded.includes('BAD CHECKSUM')) faults.push(`${result.target}: ${result.sample.out.decoded}`);
  const expected = forwarding === 'ipip' ? 1 : 0;
  if (Math.abs(result.start_moved_share - expected) > 0.001) {
    faults.push(`${result.target}: ${result.start_moved_share} of the frames encapsulated where ${expected} belongs`);
  }
  return faults;
}

/** Share of a case's sessions that may be missing or inserted twice: both buckets of a flow may be full by chance. */
const STRAY_SHARE = 1e-4;

/** Every packet counted; and the table holding the sessions that the case is about, where it has room for them. */
function sessionFaults(seen: Observed, job: DriverCase, options: CaseOptions): string[] {
  const opened = job.kind.startsWith('tcp') && job.kind !== 'tcp4-syn';
  const packets = packetsSent(job, opened);
  const expect = (name: string, actual: number, wanted: number, stray = 0) =>
    Math.abs(actual - wanted) <= stray ? [] : [`${name} ${actual} where ${wanted} belongs`];
  const faults = [
    ...expect('packets counted', seen.packets, packets),
    ...expect('passed or dropped', seen.passedOrDropped, 0),
  ];
  if (options.flows > options.sessions) return faults;
  const sessions = job.kind === 'tcp4-syn' ? 0 : options.flows;
  const stateless = job.kind === 'tcp4-syn' ? packets : opened ? options.flows : 0;
  const stray = Math.floor(sessions * STRAY_SHARE);
  return [
    ...faults,
    ...expect('sessions inserted', seen.sessions, sessions, stray),
    ...expect('sessions established', seen.established, sessions, stray),
    ...expect('packets without session', seen.noSession, stateless, stray),
    ...expect('evicted', seen.evicted, 0, stray),
    ...expect('not tracked', seen.notTracked, 0, stray),
  ];
}
