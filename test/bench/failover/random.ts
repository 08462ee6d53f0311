/** Events drawn by chance from a seed: the same seed draws the same ones again. */
import type { LbName } from '../../support/lab/agent.js';
import { backendNames } from '../../support/lab/lab.js';
import type { Bed, BedOptions } from './bed.js';
import { loseSync, stopLosing } from './faults.js';
import { monotonicMs } from './load.js';
import { type Result, restore } from './measure.js';
import { endsEqual, play, type Run, startBed } from './run.js';
import { type Cast, type Scene, scenes } from './scenes.js';

export interface Draw {
  readonly scene: Scene;
  readonly cast: Cast;
  /** A tenth of what the nodes say to each other is lost meanwhile. */
  readonly lossy: boolean;
}

/** Never ends. Scenes that lose datagrams by themselves are not played under loss. */
export function* draws(seed: number): Generator<Draw, never> {
  const random = generator(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const playable = scenes.filter(({ zones }) => !zones);
  for (;;) {
    const scene = pick(playable);
    const cast: Cast = { node: pick<LbName>(['lb1', 'lb2', 'lb3']), backend: pick(backendNames) };
    const quiet = scene.acts.some(({ name }) => /^(multicast|partition)/.test(name));
    yield { scene, cast, lossy: random() < 0.3 && !quiet };
  }
}

export async function runRandom(
  { minutes, seed }: { minutes: number; seed: number },
  options: BedOptions,
): Promise<Run> {
  const bed = await startBed(options);
  try {
    const endMs = monotonicMs() + minutes * 60_000;
    const results: Result[] = [];
    for (const draw of draws(seed)) {
      if (monotonicMs() >= endMs) break;
      results.push(...(await playDraw(bed, draw)));
    }
    await restore(bed);
    return { results, faults: await endsEqual(bed) };
  } finally {
    await bed.close();
  }
}

async function playDraw(bed: Bed, { scene, cast, lossy }: Draw): Promise<Result[]> {
  bed.options.say(`${cast.node}, ${cast.backend}${lossy ? ', a tenth of sync lost' : ''}:`);
  if (!lossy) return await play(bed, scene, cast);
  await loseSync(bed.lab, bed.nodes, 'loss10');
  try {
    return await play(bed, scene, cast);
  } finally {
    await stopLosing(bed.lab, bed.nodes);
  }
}

/** mulberry32. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
