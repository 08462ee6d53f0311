/** The events one after the other, in a lab of their own. */
import { Bed, type BedOptions } from './bed.js';
import { measure, type Result, restore } from './measure.js';
import { type Cast, type Scene, scenes } from './scenes.js';

const usual: Cast = { node: 'lb2', backend: 'be3' };

/** @param events: their names; empty: all. What comes before in a scene, or undoes it, is played and measured, too. */
export async function runEvents(events: readonly string[], options: BedOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const zones of [false, true]) {
    const wanted = scenes.filter((scene) => (scene.zones ?? false) === zones && isWanted(scene, events));
    if (wanted.length > 0) results.push(...(await playAll(wanted, { ...options, zones })));
  }
  return results;
}

function isWanted({ acts }: Scene, events: readonly string[]): boolean {
  return events.length === 0 || acts.some(({ name }) => events.includes(name));
}

async function playAll(wanted: readonly Scene[], options: BedOptions): Promise<Result[]> {
  const bed = await startBed(options);
  try {
    const results: Result[] = [];
    for (const scene of wanted) results.push(...(await play(bed, scene, usual)));
    return results;
  } finally {
    await bed.close();
  }
}

export async function startBed(options: BedOptions): Promise<Bed> {
  const bed = await Bed.up(options);
  try {
    bed.startLoad();
    options.say('establishing connections');
    await restoreOrExplain(bed);
    return bed;
  } catch (error) {
    await bed.close();
    throw error;
  }
}

async function restoreOrExplain(bed: Bed): Promise<void> {
  try {
    await restore(bed);
  } catch (error) {
    for (const { log, host } of bed.agents.values()) bed.options.say(`${host} said: ${log.slice(-2000)}`);
    throw error;
  }
}

export async function play(bed: Bed, scene: Scene, cast: Cast): Promise<Result[]> {
  const results: Result[] = [];
  await scene.prepare?.(bed, cast);
  for (const act of scene.acts) {
    await restoreOrExplain(bed);
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
