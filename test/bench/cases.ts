import type { Bed, Loaded } from './bed.js';
import { type DriverCase, type DriverHost, type DriverResult, packetsSent, runDriver, type Spread } from './driver.js';
import { lbTarget } from './features.js';
import { type Goal, goalOf, isMet } from './goals.js';
import { type Kind, type KindSpec, specOf } from './kinds.js';
import { clearTable, type Observed, observe, since } from './observe.js';
import type { Forwarding, Section } from './options.js';

/** One kind at a number of flows in one forwarding mode. Times are nanoseconds per packet, medians over the rounds. */
export interface Case {
  readonly section: Section;
  readonly kind: Kind;
  readonly flows: number;
  readonly forwarding: 'L2_DSR' | 'IPIP' | 'GUE';
  readonly frameBytes: number;
  /** Live sessions that the table is sized for. */
  readonly sessions: number;
  /** What is switched on beyond a listener's defaults; empty: nothing. */
  readonly feature: string;
  /** What it is compared with, in the same interleaved run. */
  readonly baseline: 'yardstick' | 'defaults';
  readonly ns: number;
  readonly baselineNs: number;
  /** Median of the rounds' own ratios, so not exactly ns / baselineNs. */
  readonly ratio: number;
  readonly goal: Goal | null;
  readonly met: boolean | null;
  readonly nsSpread: Spread;
  readonly baselineSpread: Spread;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Of the load balancer, from its own maps after the case. */
  readonly tracked: number;
  readonly established: number;
  readonly evicted: number;
  readonly notTracked: number;
  readonly moved: number;
}

export interface CaseOptions {
  readonly section: Section;
  readonly kind: Kind;
  readonly flows: number;
  readonly bytes?: number;
  readonly rounds: number;
  readonly packetsPerRound: number;
  readonly cpu: number;
  readonly sessions: number;
  /** Times that each flow is sent before measuring; enough to establish it, unless said. */
  readonly warmPasses?: number;
}

export interface CaseOutcome {
  readonly host: DriverHost;
  readonly cases: readonly Case[];
  /** What makes the figures worthless; empty when all is well. */
  readonly faults: readonly string[];
}

const API_NAME = { l2: 'L2_DSR', ipip: 'IPIP', gue: 'GUE' } as const satisfies Record<Forwarding, string>;
const NO_VIPS = { v4: '203.0.113.200', v6: '2001:db8:ffff::200' };

/** A flow is established by the second packet after its SYN. */
const WARM_PASSES = 2;

export function driverCase(options: CaseOptions, targets: DriverCase['targets']): DriverCase {
  const spec = specOf(options.kind);
  return {
    flows: options.flows,
    rounds: options.rounds,
    packetsPerRound: options.packetsPerRound,
    cpu: options.cpu,
    kind: spec.driver,
    ...(options.bytes === undefined ? {} : { bytes: options.bytes }),
    ...(spec.miss ? { vips: NO_VIPS } : {}),
    ...(spec.payload ? { payload: spec.payload } : {}),
    targets,
    warmPasses: options.warmPasses ?? WARM_PASSES,
  };
}

/** Yardstick and every forwarding mode in one interleaved run. */
export async function runCase(bed: Bed, options: CaseOptions): Promise<CaseOutcome> {
  for (const lb of bed.loaded) clearTable(lb.maps);
  const before = bed.loaded.map((lb) => observe(lb.maps));
  const spec = specOf(options.kind);
  const targets = [{ label: 'yardstick', programId: bed.yardstickId }, ...bed.loaded.map(lbTarget)];
  const job = driverCase(options, targets);
  const { host, results } = await runDriver(job);
  const [yardstick, ...measured] = results;
  if (yardstick === undefined) throw new Error('pktbench printed no result');
  const verdict = spec.yardstick ?? spec.verdict;
  const faults = frameFaults(yardstick, job, { verdict, encapsulated: verdict === 'XDP_TX' });
  const cases = measured.flatMap((result, i) => {
    const lb = bed.loaded[i];
    const start = before[i];
    if (lb === undefined || start === undefined) return [];
    const seen = since(start, observe(lb.maps));
    const encapsulated = spec.forwarded && lb.forwarding !== 'l2';
    faults.push(...frameFaults(result, job, { verdict: spec.verdict, encapsulated }));
    faults.push(...sessionFaults(seen, job, options));
    return [asCase({ result, baseline: yardstick, name: 'yardstick' }, { lb, options, seen })];
  });
  return { host, cases, faults: faults.map((fault) => `${options.kind} at ${options.flows} flows: ${fault}`) };
}

interface Measured {
  readonly result: DriverResult;
  readonly baseline: DriverResult;
  readonly name: Case['baseline'];
}

export function asCase(
  { result, baseline, name }: Measured,
  { lb, options, seen }: { lb: Loaded; options: CaseOptions; seen: Observed },
): Case {
  const goal = name === 'yardstick' ? goalOf(options.kind, options.flows) : null;
  const ratio = result.ratio_to_first.median;
  const ns = result.net_ns.median;
  return {
    section: options.section,
    kind: options.kind,
    flows: options.flows,
    forwarding: API_NAME[lb.forwarding],
    frameBytes: result.frame_bytes,
    sessions: options.sessions,
    feature: lb.feature,
    baseline: name,
    ns,
    baselineNs: baseline.net_ns.median,
    ratio,
    goal,
    met: goal === null ? null : isMet(goal, { ratio, ns }),
    nsSpread: result.net_ns,
    baselineSpread: baseline.net_ns,
    verdicts: result.verdicts,
    tracked: seen.sessions,
    established: seen.established,
    evicted: seen.evicted,
    notTracked: seen.notTracked,
    moved: seen.moved,
  };
}

/** Every packet ended as it should, encapsulated where that was asked for. */
export function frameFaults(
  result: DriverResult,
  job: DriverCase,
  expected: { verdict: string; encapsulated: boolean },
): string[] {
  const faults: string[] = [];
  const total = job.rounds * job.packetsPerRound;
  const right = result.verdicts[expected.verdict] ?? 0;
  if (right !== total) {
    faults.push(`${result.target}: ${JSON.stringify(result.verdicts)} where ${expected.verdict} ${total} belongs`);
  }
  if (result.sample.out.decoded.includes('BAD CHECKSUM')) faults.push(`${result.target}: ${result.sample.out.decoded}`);
  const share = expected.encapsulated ? 1 : 0;
  if (Math.abs(result.start_moved_share - share) > 0.001) {
    faults.push(`${result.target}: ${result.start_moved_share} of the frames encapsulated where ${share} belongs`);
  }
  return faults;
}

/** Share of a case's sessions that may be missing or inserted twice: both buckets of a flow may be full by chance. */
const STRAY_SHARE = 1e-4;

/** Every packet counted; and the table holding the sessions that the case is about, where it has room for them. */
function sessionFaults(seen: Observed, job: DriverCase, options: CaseOptions): string[] {
  const spec: KindSpec = specOf(options.kind);
  const packets = packetsSent(job, spec.opened ?? false);
  const expect = (name: string, actual: number, wanted: number, stray = 0) =>
    Math.abs(actual - wanted) <= stray ? [] : [`${name} ${actual} where ${wanted} belongs`];
  const faults = [
    ...expect('packets counted', seen.packets, spec.forwarded ? packets : 0),
    ...expect('passed, answered or dropped', seen.passedOrDropped, spec.forwarded ? 0 : packets),
  ];
  if (options.flows > options.sessions || !spec.forwarded) return faults;
  const sessions = spec.session === 'none' ? 0 : options.flows;
  const established = spec.session === 'established' ? sessions : 0;
  const openers = spec.opened && spec.session === 'established' ? options.flows : 0;
  const stateless = spec.session === 'none' ? packets : openers;
  const stray = Math.floor(sessions * STRAY_SHARE);
  return [
    ...faults,
    ...expect('sessions inserted', seen.sessions, sessions, stray),
    ...expect('sessions established', seen.established, established, stray),
    ...expect('packets without session', seen.noSession, stateless, stray),
    ...expect('evicted', seen.evicted, 0, stray),
    ...expect('not tracked', seen.notTracked, 0, stray),
  ];
}
