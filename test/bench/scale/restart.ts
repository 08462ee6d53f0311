import type { BenchAgent } from './agent.js';
import { healthyOf } from './configuration.js';
import { checkedBackends } from './desired.js';
import { type Figure, figure } from './figures.js';
import type { Options } from './options.js';

/** kill -9, then a new agent: how long until it serves, and what it still knows when it does. */
export async function measureRestart(agent: BenchAgent, options: Options): Promise<Figure[]> {
  const before = Number((await agent.sessionTable()).established);
  await agent.kill();
  const seconds = await agent.start();
  const healthy = await healthyOf(agent);
  const after = Number((await agent.sessionTable()).established);
  return [
    figure('restart after kill -9, until ready', seconds, 's'),
    figure('sessions kept', after, 'sessions', before),
    figure('backends healthy when ready', healthy, 'backends', checkedBackends(options)),
  ];
}
