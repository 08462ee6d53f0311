import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, everyListener, until } from '../agents.js';
import { expect, some } from '../expect.js';
import { type BackendName, services, transferBytes, urlOf } from '../scene.js';
import { count, mebibytes, type Screen, seconds } from '../screen.js';
import type { Stage } from '../stage.js';
import { nowMs, type RequestsResult } from '../tasks.js';
import { endLoad, startLoad } from './load.js';
import { checkTransfer } from './transfers.js';

const leaving: BackendName = 'be1';
const pace = 16 * 1024 * 1024;
const probes = 400;
const loadClients = 4;

export async function drain(screen: Screen, stage: Stage): Promise<void> {
  const { agents, client } = stage;
  screen.step(`${leaving} is drained`, 'weight 0: what it has stays, what is new goes elsewhere');
  screen.doing(`64 MiB from ${leaving}, at ${mebibytes(pace)}/s`);
  const ways = [services[0]!, services[3]!];
  const startedAtMs = nowMs();
  const downloads = ways.map((service, i) =>
    client.start('download', { url: urlOf(service), size: transferBytes, seed: 200 + i, pace, backend: leaving }),
  );
  const ended = downloads.map(({ result }) => result.then(() => nowMs()));
  await Promise.all(downloads.map(({ started }) => started));
  const load = startLoad(stage, loadClients);
  await delay(500);

  screen.doing('draining');
  const tookMs = await setWeight(agents, 0);
  const drainedAtMs = nowMs();
  screen.saw(
    `weight 0 in ${services.length} groups of both agents, by ConfigService.UpdateBackend: ${seconds(tookMs)}`,
  );

  screen.doing('connecting anew');
  const each = probes / services.length;
  const during = await client.do('requests', { urls: services.map(urlOf), each, concurrency: 32 });
  expect(during.failures.length === 0, 'no failure while draining', some(during.failures));
  expect(answersOf(during) === 0, `no new connection on ${leaving}`, `${answersOf(during)} of ${probes}`);
  screen.saw(`${count(probes)} new connections: all answered, none by ${leaving}`);

  screen.doing('the downloads go on');
  const results = await Promise.all(downloads.map(({ result }) => result));
  for (const [i, one] of results.entries())
    checkTransfer(one, `the download by ${ways[i]!.words} from the drained ${leaving}`);
  const firstEndMs = Math.min(...(await Promise.all(ended)));
  expect(
    firstEndMs > drainedAtMs,
    'the downloads to outlast the drain',
    `one ended ${seconds(drainedAtMs - firstEndMs)} before it`,
  );
  screen.saw(
    `${results.length} downloads from ${leaving}, begun ${seconds(drainedAtMs - startedAtMs)} before, ended ` +
      `${seconds(firstEndMs - drainedAtMs)} after it: 64 MiB each, equal`,
  );
  screen.note(ways.map(({ words }) => words).join('; '));

  screen.doing('ending the drain');
  await setWeight(agents, 100);
  const after = await client.do('requests', { urls: services.map(urlOf), each, concurrency: 32 });
  const loaded = await endLoad(load);
  const failed = loaded.flatMap(({ error }) => (error === null ? [] : [error]));
  expect(
    after.failures.length === 0 && answersOf(after) > 0,
    `${leaving} to serve again`,
    `${answersOf(after)} of ${probes}; ${some(after.failures)}`,
  );
  expect(failed.length === 0, 'no failed request from first to last', some(failed));
  screen.saw(`weight 100 again: ${leaving} answers ${answersOf(after)} of ${probes} new connections`);
  screen.note(`All the while ${loadClients} other clients had ${count(loaded.length)} requests answered, 0 failed.`);
}

/** @returns how long it took, in milliseconds. */
async function setWeight(agents: readonly Agent[], weight: number): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(
    agents.map(async ({ api }) => {
      for (const { name } of services) {
        await api.config.updateBackend({
          backendGroup: name,
          backend: { name: leaving, weight },
          updateMask: { paths: ['weight'] },
        });
      }
    }),
  );
  const tookMs = performance.now() - startedAt;
  await until(() => everyListener(agents, { backend: leaving, is: ({ draining }) => draining === (weight === 0) }), {
    what: `${leaving} with weight ${weight} in the status of both agents`,
    deadlineMs: 2000,
  });
  return tookMs;
}

function answersOf({ answers }: RequestsResult): number {
  return Object.values(answers).reduce((total, counts) => total + (counts[leaving] ?? 0), 0);
}
