/** The events one after the other, in a lab of their own. */

import { pause } from '../../support/lab/until.js';
import { Bed, type BedOptions } from './bed.js';
import { nodesReady, tablesDiffer } from './converged.js';
import { monotonicMs } from './load.js';
import { measure, type Result, restore, unsettle } from './measure.js';
import { type Cast, type Scene, scenes } from './scenes.js';

export interface Run {
  readonly results: readonly Result[];
  /** Beside those of the events. */
  readonly faults: readonly string[];
}

const usual: Cast = { node: 'lb2', backend: 'be3' };

export interface Wanted {
  /** Names; empty: all. What comes before in a scene, or undoes it, is played and measured, too. */
  readonly events: readonly string[];
  readonly rounds: number;
}

export async function runEvents({ events, rounds }: Wanted, options: BedOptions): Promise<Run> {
  const results: Result[] = [];
  const faults: string[] = [];
  for (const zones of [false, true]) {
    const wanted = scenes.filter((scene) => (scene.zones ?? false) === zones && isWanted(scene, events));
    if (wanted.length === 0) continue;
    const run = await playAll(Array.from({ length: rounds }, () => wanted).flat(), { ...options, zones });
    results.push(...run.results);
    faults.push(...run.faults);
  }
  return { results, faults };
}

/** When all is over, the tables of all nodes are the same. Nodes compare theirs each half minute. */
export async function endsEqual(bed: Bed): Promise<string[]> {
  bed.load.pause();
  bed.options.say('comparing the tables of all nodes');
  const deadline = monotonicMs() + 75_000;
  for (;;) {
    const lacking = await tablesDiffer(bed);
    if (lacking === null) return [];
    if (monotonicMs() > deadline) return [`at the end the tables differ: ${lacking}`];
    await pause(500);
  }
}

function isWanted({ acts }: Scene, events: readonly string[]): boolean {
  return events.length === 0 || acts.some(({ name }) => events.includes(name));
}

async function playAll(wanted: readonly Scene[], options: BedOptions): Promise<Run> {
  const bed = await startBed(options);
  try {
    const results: Result[] = [];
    for (const scene of wanted) results.push(...(await play(bed, scene, usual)));
    return { results, faults: await endsEqual(bed) };
  } finally {
    await bed.close();
  }
}

export async function startBed(options: BedOptions): Promise<Bed> {
  const bed = await Bed.up(options);
  try {
    await orExplain(bed, () => nodesReady(bed));
    await bed.startLoad();
    options.say('establishing connections');
    await orExplain(bed, () => restore(bed));
    return bed;
  } catch (error) {
    await bed.close();
    throw error;
  }
}

async function orExplain(bed: Bed, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    for (const { log, host } of bed.agents.values()) bed.options.say(`${host} said: ${log.slice(-2000)}`);
    throw error;
  }
}

export async function play(bed: Bed, scene: Scene, cast: Cast): Promise<Result[]> {
  const results: Result[] = [];
  await orExplain(bed, () => unsettle(bed));
  await scene.prepare?.(bed, cast);
  for (const act of scene.acts) {
    await orExplain(bed, () => restore(bed));
    bed.options.say(`${act.name} ...`);
    const result = await measure(bed, act, cast);
    results.push(result);
    bed.options.say(
      `${act.name}: ${result.establishedBroken} broken, ${result.newFailed} of ${result.newTried} new failed, ` +
        `gap ${result.longestGapMs.toFixed(0)} ms, outage ${result.outageMs.toFixed(0)} ms, ${result.packetsLost} lost, ` +
        `converged ${result.convergedMs ?? 'never'}${result.faults.length > 0 ? ' FAULT' : ''}`,
    );
  }
  return results;
}
