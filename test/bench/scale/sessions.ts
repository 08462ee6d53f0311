import { BpfProgram } from '../../../src/dataplane/addon.js';
import { until } from '../../support/lab/until.js';
import { runDriver } from '../driver.js';
import { type BenchAgent, METRICS_URL } from './agent.js';
import { type Figure, figure } from './figures.js';
import type { Options } from './options.js';

const ANSWER_LIMIT_S = 1;
/** Both buckets of a flow may be full by chance. */
const ESTABLISHED_SHARE = 0.99;
const ESTABLISH_MS = 60_000;

/** Sends a SYN and two segments of each flow to the program that the agent pinned. */
export async function establish(agent: BenchAgent, { sessions }: Options): Promise<Figure[]> {
  const program = BpfProgram.openPinned(`${agent.bed.pins}/prog/lb`);
  try {
    const targets = [{ label: 'pinned', programId: program.info.id }];
    const job = { kind: 'tcp4-ack', flows: sessions, targets, rounds: 0, packetsPerRound: 1, warmPasses: 2, cpu: 0 };
    await runDriver(job);
  } finally {
    program.close();
  }
  const least = sessions * ESTABLISHED_SHARE;
  const established = await until(
    `${least} sessions established`,
    async () => {
      const count = Number((await agent.sessionTable()).established);
      return count >= least && count;
    },
    { withinMs: ESTABLISH_MS, everyMs: 200 },
  );
  return [figure('sessions established', established, 'sessions', least)];
}

/** What an operator asks for while the table is full, each as a command of its own: its start is in the time. */
export async function measureAnswers(agent: BenchAgent, { sessions, listeners, backends }: Options): Promise<Figure[]> {
  const head = await agent.shell('{ spillway sessions --json || true; } | head -c 2000');
  expect('spillway sessions --json | head', head.output.length === 2000 && head.output.startsWith('['));
  const status = await agent.shell('spillway status');
  expect('spillway status', status.output.includes('lb0'));
  const json = await agent.shell('spillway status --json');
  expect('spillway status --json', Array.isArray((JSON.parse(json.output) as { listeners?: unknown }).listeners));
  const scrape = await agent.shell(`curl -sf ${METRICS_URL} | grep -c ^spillway_backend_packets_total`);
  expect('scrape', Number(scrape.output) === listeners * backends);
  const all = await agent.shell('spillway sessions --json | grep -c client');
  expect('spillway sessions --json', Number(all.output) >= sessions * ESTABLISHED_SHARE);
  const resident = agent.resident();
  return [
    figure('spillway sessions --json | head -c 2000', head.seconds, 's', ANSWER_LIMIT_S),
    figure('spillway status', status.seconds, 's', ANSWER_LIMIT_S),
    figure('spillway status --json', json.seconds, 's', ANSWER_LIMIT_S),
    figure('metrics scrape', scrape.seconds, 's', ANSWER_LIMIT_S),
    figure('spillway sessions --json, all', all.seconds, 's'),
    figure('agent resident after listing all sessions', resident.all / 1e6, 'MB'),
    figure('  of that without the mapped session table', resident.own / 1e6, 'MB'),
  ];
}

function expect(what: string, good: boolean): void {
  if (!good) throw new Error(`${what}: not the answer that belongs here`);
}
