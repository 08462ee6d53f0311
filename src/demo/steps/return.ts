import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '../expect.js';
import { checkThreshold } from '../scene.js';
import { count, type Screen, seconds } from '../screen.js';
import type { Stage } from '../stage.js';
import { nowMs } from '../tasks.js';
import { clients, endLoad, errorsOf, startLoad, steadyMs, untilHealth, victim } from './load.js';

export async function bringBack(screen: Screen, stage: Stage): Promise<void> {
  screen.step(`${victim} comes back`, `the ${clients} clients go on`);
  screen.doing(`starting the server on ${victim}`);
  const load = startLoad(stage);
  await stage.startBackend(victim);
  const listensAtMs = nowMs();
  const { httpMs } = await untilHealth(stage, { wanted: 'HEALTHY', sinceMs: listensAtMs });
  await delay(steadyMs);
  const requests = await endLoad(load);

  const failures = requests.filter(({ error }) => error !== null);
  expect(failures.length === 0, 'no failed request while it comes back', errorsOf(failures));
  const own = requests.filter(({ backend }) => backend === victim);
  expect(
    own.length > 0,
    `${victim} to answer again`,
    `${requests.length} requests, none of them answered by ${victim}`,
  );
  const firstMs = own[0]!.endedAtMs - listensAtMs;
  screen.saw(
    `serves again ${screen.paint.bold(`${seconds(firstMs)} after it listens`)}; 0 of ${count(requests.length)} requests failed`,
  );
  screen.note(`${checkThreshold} checks must succeed: in every HTTP listener after ${seconds(httpMs)}.`);
}
