import type { Spread } from '../driver.js';
import { spreadOf } from '../live/spread.js';
import type { Balancer, Generator } from './options.js';

export interface Sample {
  readonly balancer: Balancer;
  readonly generator: Generator;
  readonly flows: number;
  readonly round: number;
  readonly pps: number;
  readonly loss: number;
}

/** A balancer with one generator and number of flows; medians over the rounds. */
export interface Case {
  readonly balancer: Balancer;
  readonly generator: Generator;
  readonly flows: number;
  readonly pps: number;
  readonly ppsSpread: Spread;
  /** To IPVS-DR in the same round, by the faster of its schedulers; null without IPVS-DR. */
  readonly ratio: number | null;
  /** To the plain drop in the same round. */
  readonly ratioToDrop: number | null;
  /** Worst round. */
  readonly loss: number;
  readonly goal: number | null;
  readonly met: boolean | null;
}

const GOAL = 5;

export function asCases(samples: readonly Sample[]): Case[] {
  const keys = new Map(samples.map((sample) => [keyOf(sample), sample]));
  return [...keys.values()].map((first) => {
    const own = samples.filter((sample) => keyOf(sample) === keyOf(first));
    const ppsSpread = spreadOf(own.map(({ pps }) => pps));
    const ratio = ratioTo(own, samples, (balancer) => balancer.startsWith('ipvs-dr'));
    const goal =
      first.balancer === 'spillway-l2' && first.generator === 'live' && first.flows === 100_000 ? GOAL : null;
    return {
      balancer: first.balancer,
      generator: first.generator,
      flows: first.flows,
      pps: ppsSpread.median,
      ppsSpread,
      ratio,
      ratioToDrop: ratioTo(own, samples, (balancer) => balancer === 'drop'),
      loss: Math.max(...own.map(({ loss }) => loss)),
      goal,
      met: goal === null || ratio === null ? null : ratio >= goal,
    };
  });
}

function keyOf({ balancer, generator, flows }: Sample): string {
  return `${balancer}/${generator}/${flows}`;
}

/** Round by round to the fastest of those; the median of these. */
function ratioTo(
  own: readonly Sample[],
  samples: readonly Sample[],
  isOne: (balancer: Balancer) => boolean,
): number | null {
  const ratios = own.flatMap(({ generator, flows, round, pps }) => {
    const others = samples.filter(
      (one) => isOne(one.balancer) && one.generator === generator && one.flows === flows && one.round === round,
    );
    return others.length > 0 ? [pps / Math.max(...others.map((one) => one.pps))] : [];
  });
  return ratios.length > 0 ? spreadOf(ratios).median : null;
}
