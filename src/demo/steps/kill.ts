import { setTimeout as delay } from 'node:timers/promises';
import { expect, some } from '../expect.js';
import type { Running } from '../remote.js';
import { backends, checkIntervalMs, checkThreshold, services, urlOf } from '../scene.js';
import { count, type Screen, seconds } from '../screen.js';
import type { Stage } from '../stage.js';
import { type LoadedRequest, nowMs, type TransferResult } from '../tasks.js';
import { clients, endLoad, errorsOf, startLoad, steadyMs, untilHealth, victim } from './load.js';
import { checkTransfer } from './transfers.js';

const worstMs = 2000;
const size = 12 * 1024 * 1024;
const pace = 4 * 1024 * 1024;

export async function kill(screen: Screen, stage: Stage): Promise<void> {
  screen.step(`${victim} is killed`, `while ${clients} clients send requests, each on a new connection`);
  screen.doing('all is well so far');
  const load = startLoad(stage);
  const downloads = await startDownloads(stage);
  await delay(steadyMs);

  screen.doing(`kill -9 of the server on ${victim}`);
  const killedAtMs = nowMs();
  await stage.killBackend(victim);
  const { httpMs, udpMs } = await untilHealth(stage, { wanted: 'UNHEALTHY', sinceMs: killedAtMs });
  await delay(steadyMs);
  reportFailures(screen, await endLoad(load), killedAtMs);
  screen.note(
    `Checks are ${checkIntervalMs} ms apart, ${checkThreshold} must fail: out of every HTTP listener after ${seconds(httpMs)}, UDP ${seconds(udpMs)}.`,
  );
  screen.doing('the downloads that were under way');
  await reportDownloads(screen, downloads);
}

/** Two from each backend, to be under way at the kill. */
async function startDownloads({ client }: Stage): Promise<readonly Running<TransferResult>[]> {
  const running = backends.flatMap((backend, i) =>
    [services[0]!, services[3]!].map((service, j) =>
      client.start('download', { url: urlOf(service), size, pace, seed: 100 + 2 * i + j, backend }),
    ),
  );
  await Promise.all(running.map(({ started }) => started));
  return running;
}

function reportFailures(screen: Screen, requests: readonly LoadedRequest[], killedAtMs: number): void {
  const early = requests.filter(({ endedAtMs, error }) => error !== null && endedAtMs < killedAtMs);
  expect(early.length === 0, 'no failure before the kill', errorsOf(early));
  const since = requests.filter(({ endedAtMs }) => endedAtMs >= killedAtMs);
  const failed = since.filter(({ error }) => error !== null);
  const lastAtMs = Math.max(killedAtMs, ...failed.map(({ endedAtMs }) => endedAtMs));
  const lastMs = lastAtMs - killedAtMs;
  expect(lastMs < worstMs, `the last failed request within ${seconds(worstMs)} of the kill`, seconds(lastMs));
  const after = since.filter(({ endedAtMs }) => endedAtMs > lastAtMs);
  const others = new Set(after.map(({ backend }) => String(backend)));
  expect(after.length > 0 && !others.has(victim), `the others to answer after that`, some([...others]));
  screen.saw(
    `the last failed request: ${screen.paint.bold(`${seconds(lastMs)} after the kill`)}; then ${count(after.length)} more, ` +
      `all answered by ${[...others].sort().join(' and ')}`,
  );
  screen.note(`Until then ${failed.length} failed: ${errorsOf(failed)}.`);
}

async function reportDownloads(screen: Screen, downloads: readonly Running<TransferResult>[]): Promise<void> {
  const results = await Promise.all(downloads.map(({ result }) => result));
  const own = results.filter(({ backend }) => backend === victim);
  const others = results.filter(({ backend }) => backend !== victim);
  for (const one of others) checkTransfer(one, `the download from ${one.backend} under way at the kill`, size);
  expect(
    own.every(({ error }) => error !== null),
    `downloads from ${victim} to break off`,
    'one that was whole',
  );
  screen.saw(`${others.length} downloads under way from the others went on to their end, and are equal`);
  screen.note(`The ${own.length} from ${victim} broke off, of course: the process at their other end was gone.`);
}
