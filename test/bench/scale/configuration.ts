import { spawn } from 'node:child_process';
import { BpfMap } from '../../../src/dataplane/addon.js';
import { until } from '../../support/lab/until.js';
import { type BenchAgent, METRICS_URL } from './agent.js';
import { pass, stop } from './bed.js';
import { checkedBackends, desiredState, groupName } from './desired.js';
import { type Figure, figure, spread } from './figures.js';
import type { Options } from './options.js';

const APPLY_LIMIT_S = 3;
const CHANGE_LIMIT_MS = 20;
const MEMORY_LIMIT_MB = 300;
const SETTLE_MS = 5000;
/** What an answered call leaves to be done in the background is not the next one's. */
const BETWEEN_CHANGES_MS = 100;

/** The whole of the desired state onto an agent that holds none; and its memory, before anything else is asked of it. */
export async function measureApply(agent: BenchAgent, options: Options): Promise<Figure[]> {
  const config = desiredState(options);
  const before = await applyMetric(agent);
  const spent = agent.spent();
  const startedMs = performance.now();
  const { changed } = await agent.client.config.apply({ config });
  const wall = (performance.now() - startedMs) / 1000;
  const now = agent.spent();
  const first = agent.resident();
  if (!changed) throw new Error('the apply changed nothing');
  await pass(SETTLE_MS);
  const second = agent.resident();
  const after = await applyMetric(agent);
  return [
    figure('cold apply, call', wall, 's', APPLY_LIMIT_S),
    figure('  from the decoded call to the maps', after.sum - before.sum, 's'),
    figure("  main thread's time on a core", now.running - spent.running, 's'),
    figure('  main thread waiting for a core', now.waiting - spent.waiting, 's'),
    figure('agent resident, right after', first.all / 1e6, 'MB', MEMORY_LIMIT_MB),
    figure(`agent resident, ${SETTLE_MS / 1000} s later`, second.all / 1e6, 'MB', MEMORY_LIMIT_MB),
    figure('  of that without the mapped session table', second.own / 1e6, 'MB'),
    figure('agent resident, peak so far', second.peak / 1e6, 'MB'),
  ];
}

/** One backend of one group after the other gets another weight. */
export async function measureWeightChanges(agent: BenchAgent, options: Options): Promise<Figure[]> {
  await until('all checked backends healthy', async () => (await healthyOf(agent)) === checkedBackends(options), {
    withinMs: 60_000,
    everyMs: 500,
  });
  const pools = BpfMap.openPinned(`${agent.bed.pins}/map/pools`);
  const changes: WeightChange[] = [];
  const before = await applyMetric(agent);
  try {
    for (let i = 0; i < options.weightChanges; i++) {
      const weight = 99 - (Math.floor(i / options.listeners) % 99);
      changes.push(await changeWeight(agent, { pools, group: groupName((i * 37) % options.listeners), weight }));
      await pass(BETWEEN_CHANGES_MS);
    }
  } finally {
    pools.close();
  }
  const after = await applyMetric(agent);
  const count = after.count - before.count;
  if (count !== options.weightChanges) throw new Error(`${options.weightChanges} calls, but ${count} applies`);
  const median = (name: keyof WeightChange) =>
    spread(
      '',
      changes.map((change) => change[name]),
      'ms',
      null,
    )[0]!.value;
  return [
    ...spread(
      'one weight changed, from call to maps',
      changes.map(({ toMaps }) => toMaps),
      'ms',
      CHANGE_LIMIT_MS,
    ),
    figure('  from the decoded call to the maps, mean', ((after.sum - before.sum) * 1000) / count, 'ms'),
    figure("  main thread's time on a core until answered, median", median('running'), 'ms'),
    figure('  main thread waiting for a core, median', median('waiting'), 'ms'),
    ...spread(
      'one weight changed, call with the state on disk',
      changes.map(({ call }) => call),
      'ms',
      null,
    ),
  ];
}

/** Milliseconds each. */
interface WeightChange {
  readonly toMaps: number;
  readonly call: number;
  readonly running: number;
  readonly waiting: number;
}

/** The new table is in force when the pool's entry, which names it, is another: seen by looking every millisecond. */
async function changeWeight(
  agent: BenchAgent,
  { pools, group, weight }: { pools: BpfMap; group: string; weight: number },
): Promise<WeightChange> {
  const entries = Buffer.from(pools.mmap());
  const before = Buffer.from(entries);
  const spent = agent.spent();
  const startedMs = performance.now();
  const request = { backendGroup: group, backend: { name: 'be0', weight }, updateMask: { paths: ['weight'] } };
  const answered = agent.client.config.updateBackend(request).then(() => performance.now() - startedMs);
  const written = until('the new table in force', () => !entries.equals(before) && performance.now() - startedMs, {
    everyMs: 1,
  });
  const [call, toMaps] = await Promise.all([answered, written]);
  const now = agent.spent();
  return {
    toMaps,
    call,
    running: (now.running - spent.running) * 1000,
    waiting: (now.waiting - spent.waiting) * 1000,
  };
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
