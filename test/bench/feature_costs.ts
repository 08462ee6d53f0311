import type { Desired } from '../../src/config/desired.js';
import { Bed, type Variant } from './bed.js';
import { asCase, type Case, type CaseOptions, type CaseOutcome, driverCase, frameFaults } from './cases.js';
import type { DriverHost } from './driver.js';
import { runDriver } from './driver.js';
import { lbTarget } from './features.js';
import { type Kind, quicConfigs, quicServerId, specOf } from './kinds.js';
import { clearTable, observe, since } from './observe.js';
import type { Options } from './options.js';

/** Something that a listener has not switched on by default, and the packets that it could cost something. */
interface FeatureCost {
  readonly name: string;
  readonly kinds: readonly Kind[];
  readonly change: (desired: Desired) => Desired;
}

const FLOWS = 1_000;
/** SYNs hardly ever come twice: every one is of a new flow, and the table has room for all. */
const NEW_FLOWS = 1 << 24;
const NEW_FLOW_PACKETS = 900_000;
const everyListener =
  (change: (listener: Desired['loadBalancers'][number]['listeners'][number]) => object) =>
  (desired: Desired): Desired => ({
    ...desired,
    loadBalancers: desired.loadBalancers.map((balancer) => ({
      ...balancer,
      listeners: balancer.listeners.map((one) => ({ ...one, ...change(one) })),
    })),
  });

/** Clients of the driver are in 10.0.0.0/8 and 2001:db8:c::/96: none of these prefixes is theirs. */
function strangers(count: number): Desired['accessLists'][number]['entries'] {
  return Array.from({ length: count }, (_, i) => ({
    address: `172.${16 + (i >> 16)}.${(i >> 8) & 0xff}.${i & 0xff}`,
    bits: 32,
  }));
}

const denied = (count: number) => (desired: Desired) => ({
  ...everyListener(() => ({ accessControl: { mode: 'DENY', accessList: 'strangers' } }))(desired),
  accessLists: [{ name: 'strangers', entries: strangers(count), description: '' }],
});

const limit = (fields: object) => everyListener(({ limits }) => ({ limits: { ...limits, ...fields } }));
const huge = 2 ** 31;
const openers = ['tcp4-syn', 'tcp6-syn'] as const;
const all = ['tcp4-ack', 'tcp6-ack', 'udp4', 'tcp4-syn'] as const;

const persistence = everyListener(() => ({ sourcePersistenceMs: 300_000 }));
const segment = (desired: Desired): Desired => ({
  ...desired,
  loadBalancers: desired.loadBalancers.map((balancer) => ({ ...balancer, maxSegmentSize: 1_400 })),
});
const limits = limit({
  newSessionsPerSecond: huge,
  sessions: huge,
  bitsPerSecond: 1e12,
  packetsPerSecond: 1e9,
  newSessionsPerSecondPerSource: huge,
});

const quic = (desired: Desired): Desired => ({
  ...everyListener(({ protocol }) =>
    protocol === 'udp' ? { scheduler: 'QCH', quic: Object.values(quicConfigs) } : {},
  )(desired),
  backendGroups: desired.backendGroups.map((group) => ({
    ...group,
    backends: group.backends.map((one, i) => ({ ...one, quicServerId: quicServerId(i + 1) })),
  })),
});

const featureCosts: readonly FeatureCost[] = [
  { name: 'access list, 10 entries', kinds: [...openers, 'tcp4-ack'], change: denied(10) },
  { name: 'access list, 100k entries', kinds: [...openers, 'tcp4-ack'], change: denied(100_000) },
  { name: 'new sessions/s', kinds: openers, change: limit({ newSessionsPerSecond: huge }) },
  { name: 'sessions', kinds: openers, change: limit({ sessions: huge }) },
  {
    name: 'bandwidth and packets/s',
    kinds: [...openers, 'tcp4-ack'],
    change: limit({ bitsPerSecond: 1e12, packetsPerSecond: 1e9 }),
  },
  { name: 'new sessions/s per source', kinds: openers, change: limit({ newSessionsPerSecondPerSource: huge }) },
  { name: 'source persistence', kinds: all, change: persistence },
  { name: 'MSS clamp', kinds: openers, change: segment },
  { name: 'SCH', kinds: openers, change: everyListener(() => ({ scheduler: 'SCH' })) },
  { name: 'WRR', kinds: all, change: everyListener(() => ({ scheduler: 'WRR' })) },
  { name: 'WLC, 100 backends', kinds: all, change: everyListener(() => ({ scheduler: 'WLC' })) },
  { name: 'QCH', kinds: ['quic4', 'quic4-sealed'], change: quic },
  {
    name: 'everything: access list, limits, persistence, MSS, WRR',
    kinds: all,
    change: (desired) =>
      everyListener(() => ({ scheduler: 'WRR' }))(limits(persistence(segment(denied(100_000)(desired))))),
  },
];

/** Each feature beside a listener with defaults, in one interleaved run: what it costs. */
export async function runFeatureCosts(options: Options, lbObject: string): Promise<CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  for (const feature of featureCosts.filter(({ name }) => name.includes(options.feature))) {
    for (const kind of feature.kinds.filter((one) => options.kinds.includes(one))) {
      outcomes.push(await runFeature(feature, caseOf(options, kind), lbObject));
    }
  }
  return outcomes;
}

function caseOf(options: Options, kind: Kind): CaseOptions {
  const common = { ...options, section: 'features', kind } as const;
  if (!kind.endsWith('-syn')) return { ...common, flows: FLOWS };
  const packetsPerRound = Math.min(options.packetsPerRound, Math.floor(NEW_FLOW_PACKETS / options.rounds));
  return { ...common, flows: NEW_FLOWS, packetsPerRound, warmPasses: 0 };
}

async function runFeature({ name, change }: FeatureCost, options: CaseOptions, lbObject: string): Promise<CaseOutcome> {
  const variants: Variant[] = [
    { forwarding: 'l2', feature: '', change: (desired) => desired },
    { forwarding: 'l2', feature: name, change },
  ];
  const bed = await Bed.open({ lbObject, variants, sessions: options.sessions, yardstick: false });
  try {
    const spec = specOf(options.kind);
    for (const lb of bed.loaded) clearTable(lb.maps);
    const before = bed.loaded.map((lb) => observe(lb.maps));
    const job = driverCase(options, bed.loaded.map(lbTarget));
    const { host, results } = await runDriver(job);
    const [plain, changed] = results;
    const [, lb] = bed.loaded;
    if (!plain || !changed || !lb) throw new Error('pktbench printed no result');
    const expected = { verdict: spec.verdict, encapsulated: false };
    const faults = [...frameFaults(plain, job, expected), ...frameFaults(changed, job, expected)];
    const seen = since(before[1]!, observe(lb.maps));
    const one = asCase({ result: changed, baseline: plain, name: 'defaults' }, { lb, options, seen });
    return outcome(
      host,
      one,
      faults.map((fault) => `${name}, ${options.kind}: ${fault}`),
    );
  } finally {
    bed.close();
  }
}

function outcome(host: DriverHost, one: Case, faults: readonly string[]): CaseOutcome {
  return { host, cases: [one], faults };
}
