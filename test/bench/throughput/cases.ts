import type { Bed, Loaded } from '../bed.js';
import type { Spread } from '../driver.js';
import { settled } from '../live/sink.js';
import { spreadOf } from '../live/spread.js';
import { clearTable, observe, since } from '../observe.js';
import type { Kind, Options } from './options.js';
import type { Pair } from './pair.js';

/** What one program did with the frames of a kind, flows and threads. */
export interface Case {
  readonly kind: Kind;
  readonly flows: number;
  readonly threads: number;
  readonly program: 'drop' | 'yardstick' | 'L2_DSR' | 'IPIP' | 'GUE';
  /** Packets/s that came out, median over the rounds. */
  readonly pps: number;
  readonly ppsSpread: Spread;
  /** Of a core for each packet: making it, its way there and back, dropping it. */
  readonly cpuNs: number;
  /** To the plain drop at the balancer's end, median of the rounds' own ratios. */
  readonly ratio: number;
  readonly ratioToYardstick: number;
  /** Share of the frames sent that did not come out, worst round. */
  readonly loss: number;
}

interface Target {
  readonly name: Case['program'];
  readonly programId: number;
  readonly count: () => number;
  readonly lb: Loaded | null;
}

interface Round {
  readonly pps: number;
  readonly cpuNs: number;
  readonly loss: number;
}

const API_NAME = { l2: 'L2_DSR', ipip: 'IPIP', gue: 'GUE' } as const;
/** Rings overflow when the machine turns to something else; more than this is no measurement. */
const MOST_LOSS = 0.02;

export function targetsOf(bed: Bed, pair: Pair): Target[] {
  const returned = () => pair.returned.packets();
  return [
    { name: 'drop', programId: pair.dropped.programId, count: () => pair.dropped.packets(), lb: null },
    { name: 'yardstick', programId: bed.yardstickId, count: returned, lb: null },
    ...bed.loaded.map(
      (lb): Target => ({ name: API_NAME[lb.forwarding], programId: lb.programId, count: returned, lb }),
    ),
  ];
}

/** All programs at one kind and number of flows, in turn, for each number of threads. */
export async function runCases(
  { pair, targets }: { pair: Pair; targets: readonly Target[] },
  { kind, flows, options }: { kind: Kind; flows: number; options: Options },
): Promise<{ cases: Case[]; faults: string[] }> {
  for (const target of targets) await warmUp(pair, target, kind, flows);
  const cases: Case[] = [];
  const faults: string[] = [];
  for (const threads of options.threads) {
    const rounds = new Map(targets.map((target) => [target, [] as Round[]]));
    const before = targets.map(({ lb }) => (lb ? observe(lb.maps) : null));
    for (let round = 0; round < options.rounds; round++) {
      for (const target of round % 2 ? targets.toReversed() : targets) {
        rounds.get(target)!.push(await measure(pair, target, { kind, flows, threads, packets: options.packets }));
      }
    }
    const where = `${kind}, ${flows} flows, ${threads} threads`;
    const measured = targets.map((target) => asCase({ kind, flows, threads }, target, rounds));
    cases.push(...measured);
    for (const [i, { lb, name }] of targets.entries()) {
      const loss = measured[i]!.loss;
      if (loss > MOST_LOSS)
        faults.push(`${where}: ${name}: ${(100 * loss).toFixed(1)} % of the frames did not come out`);
      if (!lb) continue;
      const { passedOrDropped, sessions, evicted } = since(before[i]!, observe(lb.maps));
      if (passedOrDropped > 0) faults.push(`${where}: ${name}: ${passedOrDropped} frames passed or dropped`);
      if (sessions > 0) faults.push(`${where}: ${name}: ${sessions} sessions began while it was measured`);
      if (evicted > 0) faults.push(`${where}: ${name}: ${evicted} sessions evicted`);
    }
  }
  return { cases, faults };
}

/** Each flow three times, so that its session is established. */
async function warmUp(pair: Pair, { programId, lb }: Target, kind: Kind, flows: number): Promise<void> {
  if (lb) clearTable(lb.maps);
  await pair.attach(programId);
  for (let pass = 0; pass < 3; pass++) {
    const opener = pass === 0 && kind.endsWith('-ack') ? kind.replace('-ack', '-syn') : kind;
    await pair.send({ kind: opener, flows, packets: flows, cpus: [0], inSequence: true });
  }
}

async function measure(
  pair: Pair,
  { programId, count }: Target,
  { kind, flows, threads, packets }: { kind: Kind; flows: number; threads: number; packets: number },
): Promise<Round> {
  await pair.attach(programId);
  const before = await settled(count);
  const cpus = Array.from({ length: threads }, (_, cpu) => cpu);
  const sent = await pair.send({ kind, flows, packets, cpus });
  const came = (await settled(count)) - before;
  return { pps: came / sent.seconds, cpuNs: (sent.cpuSeconds * 1e9) / came, loss: 1 - came / sent.packets };
}

function asCase(
  where: Pick<Case, 'kind' | 'flows' | 'threads'>,
  target: Target,
  rounds: ReadonlyMap<Target, readonly Round[]>,
): Case {
  const own = rounds.get(target)!;
  const against = (name: Case['program']): number => {
    const [, other] = [...rounds].find(([one]) => one.name === name)!;
    return spreadOf(own.map(({ pps }, i) => pps / other[i]!.pps)).median;
  };
  const ppsSpread = spreadOf(own.map(({ pps }) => pps));
  return {
    ...where,
    program: target.name,
    pps: ppsSpread.median,
    ppsSpread,
    cpuNs: spreadOf(own.map(({ cpuNs }) => cpuNs)).median,
    ratio: against('drop'),
    ratioToYardstick: against('yardstick'),
    loss: Math.max(...own.map(({ loss }) => loss)),
  };
}
