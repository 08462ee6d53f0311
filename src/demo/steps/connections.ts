import { byBackend, type Sessions, sessionsOf, sessionsSince, sum, until } from '../agents.js';
import { expect, some } from '../expect.js';
import { backends, balancers, type Service, services, urlOf } from '../scene.js';
import { count, type Screen, table } from '../screen.js';
import type { Stage } from '../stage.js';
import type { RequestsResult } from '../tasks.js';

const connections = 2000;
const each = connections / services.length;
/** ECMP and Maglev hash: of 2,000 connections a share is within a few per cent of its due by chance alone. */
const balancerShare = { least: 0.4, most: 0.6 };
const backendShare = { least: 0.27, most: 0.4 };
const ownAddresses = ['198.51.100.2', '2001:db8:100::2'];

export async function connect2000(screen: Screen, { agents, client }: Stage): Promise<void> {
  screen.step(`${count(connections)} HTTP connections`, 'router picks load balancer, load balancer picks backend');
  screen.doing(`connecting, ${each} times to each VIP`);
  const before = await sessionsOf(agents);
  const startedAt = performance.now();
  const result = await client.do('requests', { urls: services.map(urlOf), each, concurrency: 16 });
  const rate = connections / ((performance.now() - startedAt) / 1000);
  const answered = backends.reduce((total, name) => total + answersOf(result, name), 0);
  expect(
    answered === connections && result.failures.length === 0,
    `${connections} connections answered`,
    `${answered} answers; failures: ${some(result.failures)}`,
  );
  screen.saw(
    `${count(connections)} of ${count(connections)} answered: ${count(Math.round(rate))} a second, ` +
      `median ${result.medianMs.toFixed(1)} ms, 99 % within ${result.p99Ms.toFixed(1)} ms`,
  );
  checkAddresses(screen, result);

  let seen = sessionsSince(before, await sessionsOf(agents));
  await until(
    async () => {
      seen = sessionsSince(before, await sessionsOf(agents));
      return (
        sum(seen) === connections && backends.every((backend) => sum(seen, { backend }) === answersOf(result, backend))
      );
    },
    {
      what: `as many sessions counted by the agents as the client had answers (${inWords(byBackend((name) => answersOf(result, name)))})`,
      deadlineMs: 3000,
      seen: async () => inWords(byBackend((backend) => sum(seen, { backend }))),
    },
  );
  checkShares(seen);
  screen.saw('the agents counted the same, session by session:');
  screen.show(distribution(seen));
}

function checkAddresses(screen: Screen, { seenFrom }: RequestsResult): void {
  expect(
    seenFrom.toSorted().join() === ownAddresses.join(),
    `the backends to see the client's own addresses (${ownAddresses.join(', ')})`,
    some(seenFrom),
  );
  screen.saw(`the backends saw the client's own addresses, ${ownAddresses.join(' and ')}`);
}

function checkShares(seen: Sessions): void {
  for (const lb of balancers) {
    const share = sum(seen, { lb }) / connections;
    expect(
      share > balancerShare.least && share < balancerShare.most,
      `about half of the sessions on ${lb}`,
      percent(share),
    );
  }
  for (const backend of backends) {
    const share = sum(seen, { backend }) / connections;
    expect(
      share > backendShare.least && share < backendShare.most,
      `about a third of the sessions on ${backend}`,
      percent(share),
    );
  }
}

function distribution(seen: Sessions): string {
  const cells = (of: { listener?: string } = {}): number[] => [
    ...balancers.map((lb) => sum(seen, { ...of, lb })),
    ...backends.map((backend) => sum(seen, { ...of, backend })),
  ];
  const row = ({ name, vip, words }: Service): string[] => [
    vip,
    words,
    ...cells({ listener: `${name}/http` }).map(count),
  ];
  return table('llrrrrr', [
    ['', '', ...balancers, ...backends],
    ...services.map(row),
    ['', 'all', ...cells().map(count)],
    ['', '', ...cells().map((value) => percent(value / connections))],
  ]);
}

function answersOf({ answers }: RequestsResult, backend: string): number {
  return Object.values(answers).reduce((total, counts) => total + (counts[backend] ?? 0), 0);
}

function inWords(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
