import { spawn } from 'node:child_process';
import { until } from '../../support/lab/until.js';
import { type BenchAgent, METRICS_URL } from './agent.js';
import { pass, stop } from './bed.js';
import { checkedBackends, desiredState, groupName } from './desired.js';
import { type Figure, figure, spread } from './figures.js';
import type { Options } from './options.js';

const APPLY_LIMIT_S = 3;
const CHANGE_LIMIT_MS = 20;
const MEMORY_LIMIT_MB = 300;

/** The whole of the desired state onto an agent that holds none. */
export async function measureApply(agent: BenchAgent, options: Options): Promise<Figure[]> {
  const config = desiredState(options);
  const before = await applyMetric(agent);
  const startedMs = performance.now();
  const { changed } = await agent.client.config.apply({ config });
  const wall = (performance.now() - startedMs) / 1000;
  if (!changed) throw new Error('the apply changed nothing');
  const after = await applyMetric(agent);
  return [
    figure('cold apply, call', wall, 's', APPLY_LIMIT_S),
    figure('cold apply, from decoded call to maps', after.sum - before.sum, 's'),
  ];
}

/** Resident memory right after the apply, and when it has been quiet for 5 s. */
export async function measureMemory(agent: BenchAgent): Promise<Figure[]> {
  const first = agent.resident();
  await pass(5000);
  const second = agent.resident();
  return [
    figure('agent resident, right after', first.all / 1e6, 'MB', MEMORY_LIMIT_MB),
    figure('agent resident, 5 s later', second.all / 1e6, 'MB', MEMORY_LIMIT_MB),
    figure('agent resident, peak so far', second.peak / 1e6, 'MB'),
  ];
}

/** One backend of one group after the other gets another weight. */
export async function measureWeightChanges(agent: BenchAgent, options: Options): Promise<Figure[]> {
  await until('all checked backends healthy', async () => (await healthyOf(agent)) === checkedBackends(options), {
    withinMs: 60_000,
    everyMs: 500,
  });
  const calls: number[] = [];
  const toMaps: number[] = [];
  let before = await applyMetric(agent);
  for (let i = 0; i < options.weightChanges; i++) {
    const backendGroup = groupName((i * 37) % options.listeners);
    const startedMs = performance.now();
    await agent.client.config.updateBackend({
      backendGroup,
      backend: { name: 'be0', weight: 99 - (Math.floor(i / options.listeners) % 99) },
      updateMask: { paths: ['weight'] },
    });
    calls.push(performance.now() - startedMs);
    const after = await applyMetric(agent);
    if (after.count !== before.count + 1) throw new Error(`one call, but ${after.count - before.count} applies`);
    toMaps.push((after.sum - before.sum) * 1000);
    before = after;
  }
  return [
    ...spread('one weight changed, to the maps', toMaps, 'ms', CHANGE_LIMIT_MS),
    ...spread('one weight changed, call with the state on disk', calls, 'ms', null),
  ];
}

/** Checked backends only: others count as unchecked. */
export async function healthyOf(agent: BenchAgent): Promise<number> {
  const { listeners } = await agent.client.status.get({});
  return listeners.reduce((n, { backends }) => n + backends.filter(({ health }) => health === 'HEALTHY').length, 0);
}

interface ApplyMetric {
  /** Seconds. */
  readonly sum: number;
  readonly count: number;
}

/** The agent's own series come first: the backends', which take long, are not waited for. */
async function applyMetric(agent: BenchAgent): Promise<ApplyMetric> {
  const child = spawn(...agent.bed.inside('curl', '-sfN', METRICS_URL), { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  try {
    for await (const chunk of child.stdout!) {
      text += chunk;
      if (text.includes('\nspillway_config_version ')) break;
    }
  } finally {
    await stop(child, 'SIGKILL');
  }
  if (!text.includes('# TYPE spillway_apply_duration_seconds')) throw new Error(`no apply duration at ${METRICS_URL}`);
  const total = (name: string) =>
    [...text.matchAll(new RegExp(`^spillway_apply_duration_seconds_${name}\\{.*\\} (\\S+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  return { sum: total('sum'), count: total('count') };
}
