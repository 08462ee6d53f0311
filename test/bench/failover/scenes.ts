/** What happens to the cluster. A scene is an event and what undoes it; each part is measured by itself. */

import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent, LbName } from '../../support/lab/agent.js';
import type { BackendName } from '../../support/lab/lab.js';
import { pause } from '../../support/lab/until.js';
import { ROOT } from '../paths.js';
import { allBackends, type Bed } from './bed.js';
import { mustConverge } from './converged.js';
import { cut, loseSync, mend, partition, setLink, stopLosing } from './faults.js';
import { monotonicMs } from './load.js';
import { renew } from './measure.js';

/** Whom it happens to. */
export interface Cast {
  readonly node: LbName;
  readonly backend: BackendName;
}

/** What excuses a connection that broke, and where the time until convergence is counted from. */
export interface Outcome {
  /** Monotonic: when a node stopped forwarding without a word. */
  readonly diedMs?: number;
  readonly deadBackends?: readonly BackendName[];
  /** Monotonic; left out: the beginning. */
  readonly countedFromMs?: number;
}

export interface Act {
  readonly name: string;
  readonly play: (bed: Bed, cast: Cast) => Promise<Outcome>;
  /** Not one datagram may be lost. */
  readonly lossless?: true;
}

export interface Scene {
  readonly zones?: true;
  /** Before the connections are made that the event is to leave whole. */
  readonly prepare?: (bed: Bed, cast: Cast) => Promise<void>;
  readonly acts: readonly Act[];
}

const lossSeconds = 10;

export const scenes: readonly Scene[] = [
  { acts: [act('node-cut', cutOff), act('node-returns', comeBack)] },
  {
    acts: [
      act('node-link-down', async (bed, { node }) => {
        const diedMs = monotonicMs();
        await setLink(bed.lab, node, 'down');
        leave(bed, node);
        bed.unreachable.add(node);
        return { diedMs };
      }),
      act('node-link-up', async (bed, { node }) => {
        await setLink(bed.lab, node, 'up');
        return await rejoin(bed, node);
      }),
    ],
  },
  {
    acts: [
      act('agent-killed', 'lossless', async (bed, { node }) => {
        const agent = bed.of(node);
        await agent.kill('SIGKILL');
        await pause(1000);
        await agent.start();
        return {};
      }),
    ],
  },
  {
    acts: [
      act('bird-killed', async (bed, { node }) => {
        await bed.killBird(node);
        return {};
      }),
    ],
  },
  { acts: [act('node-drained', 'lossless', drain), act('node-activated', 'lossless', activate)] },
  {
    acts: [
      act('backend-removed', async (bed, { backend }) => {
        const { [backend]: _, ...others } = allBackends;
        await bed.apply(others);
        return { deadBackends: [backend] };
      }),
      act('backend-added', async (bed) => {
        await bed.apply(allBackends);
        return {};
      }),
    ],
  },
  {
    acts: [
      act('backend-drained', async (bed, { backend }) => {
        await bed.apply({ ...allBackends, [backend]: 0 });
        return {};
      }),
      act('backend-undrained', async (bed) => {
        await bed.apply(allBackends);
        return {};
      }),
    ],
  },
  {
    acts: [
      act('backend-weight', async (bed, { backend }) => {
        await bed.apply({ ...allBackends, [backend]: 30 });
        return {};
      }),
      act('backend-weight-back', async (bed) => {
        await bed.apply(allBackends);
        return {};
      }),
    ],
  },
  {
    prepare: async (bed, { backend }) => {
      const { [backend]: _, ...others } = allBackends;
      await bed.apply(others);
      await renew(bed, bed.options.connections);
    },
    acts: [
      act('backend-change-then-node-death', async (bed, cast) => {
        await bed.apply(allBackends);
        await pause(500);
        return await cutOff(bed, cast);
      }),
      act('node-returns-after-change', comeBack),
    ],
  },
  { acts: [act('multicast-loss-10', (bed) => lose(bed, 'loss10'))] },
  { acts: [act('multicast-loss-50', (bed) => lose(bed, 'loss50'))] },
  {
    acts: [
      act('partition', async (bed, { node }) => {
        await partition(bed.lab, node);
        /* Its routes stay, and it takes its share of the connections that are made now. */
        bed.live = bed.live.filter((one) => one !== node);
        bed.tablesAgree = false;
        await pause(3000);
        bed.load.churn(Math.ceil(bed.options.connections / 20));
        return { countedFromMs: monotonicMs() };
      }),
      act('partition-healed', async (bed, { node }) => {
        await stopLosing(bed.lab, [node]);
        bed.live = [...bed.live, node].sort();
        bed.tablesAgree = true;
        return {};
      }),
    ],
  },
  {
    acts: [
      act('rolling-upgrade-agents', 'lossless', async (bed) => {
        for (const node of bed.nodes) {
          const agent = bed.of(node);
          await agent.kill('SIGTERM');
          agent.checkout = null;
          await agent.start();
          await mustConverge(bed);
        }
        return { countedFromMs: monotonicMs() };
      }),
    ],
  },
  { acts: [act('rolling-upgrade-bpf', 'lossless', upgradePrograms)] },
  { acts: [act('all-restarted', restartAll)] },
  {
    zones: true,
    acts: [
      act('zone-lost', async (bed) => {
        const diedMs = monotonicMs();
        await Promise.all((['lb1', 'lb2'] as const).map((node) => cut(bed.lab, node)));
        bed.live = ['lb3', 'lb4'];
        bed.announcing = ['lb3', 'lb4'];
        return { diedMs };
      }),
      act('zone-back', async (bed) => {
        await Promise.all((['lb1', 'lb2'] as const).map((node) => mend(bed.lab, node)));
        bed.live = [...bed.nodes];
        bed.announcing = ['lb1', 'lb2'];
        return {};
      }),
    ],
  },
];

export const eventNames: readonly string[] = scenes.flatMap(({ acts }) => acts.map(({ name }) => name));

type Play = Act['play'];

function act(name: string, play: Play): Act;
function act(name: string, kind: 'lossless', play: Play): Act;
function act(name: string, kind: Play | 'lossless', play?: Play): Act {
  return kind === 'lossless' ? { name, play: play!, lossless: true } : { name, play: kind };
}

function leave(bed: Bed, node: LbName): void {
  bed.live = bed.live.filter((one) => one !== node);
  bed.announcing = bed.announcing.filter((one) => one !== node);
}

async function rejoin(bed: Bed, node: LbName): Promise<Outcome> {
  bed.unreachable.delete(node);
  bed.live = [...bed.live, node].sort();
  bed.announcing = [...bed.announcing, node].sort();
  return {};
}

async function cutOff(bed: Bed, { node }: Cast): Promise<Outcome> {
  const diedMs = monotonicMs();
  await cut(bed.lab, node);
  leave(bed, node);
  bed.unreachable.add(node);
  return { diedMs };
}

async function comeBack(bed: Bed, { node }: Cast): Promise<Outcome> {
  await mend(bed.lab, node);
  await rejoin(bed, node);
  /* Its controller reaches it again, too. */
  await bed.apply();
  return {};
}

async function drain(bed: Bed, { node }: Cast): Promise<Outcome> {
  let last = '';
  let done = false;
  for await (const progress of bed.of(node).client.cluster.drain({})) ({ done, message: last } = progress);
  if (!done) throw new Error(`${node} does not drain: ${last}`);
  leave(bed, node);
  return {};
}

async function activate(bed: Bed, { node }: Cast): Promise<Outcome> {
  let last = '';
  let done = false;
  for await (const progress of bed.of(node).client.cluster.activate({})) ({ done, message: last } = progress);
  if (!done) throw new Error(`${node} does not become active: ${last}`);
  return await rejoin(bed, node);
}

/** While it lasts, connections end and others are made: what is to be told gets lost. */
async function lose(bed: Bed, section: 'loss10' | 'loss50'): Promise<Outcome> {
  await loseSync(bed.lab, bed.live, section);
  try {
    for (let second = 0; second < lossSeconds; second++) {
      bed.load.churn(Math.ceil(bed.options.connections / 30));
      await pause(1000);
    }
  } finally {
    await stopLosing(bed.lab, bed.live);
  }
  return { countedFromMs: monotonicMs() };
}

/** The same sources, loaded anew from another place: the kernel knows them as other programs. */
async function upgradePrograms(bed: Bed): Promise<Outcome> {
  const objectDirectory = bed.lab.directory('objects');
  cpSync(join(ROOT, 'dist', 'bpf'), objectDirectory, { recursive: true });
  for (const node of bed.nodes) {
    const agent = bed.of(node);
    const before = programOf(agent);
    await agent.kill('SIGTERM');
    agent.configure({ objectDirectory });
    await agent.start();
    if (programOf(agent) === before) throw new Error(`${node} still runs the program that it ran before`);
    await mustConverge(bed);
  }
  return { countedFromMs: monotonicMs() };
}

function programOf({ pins }: Agent): number {
  const link = JSON.parse(`${execFileSync('bpftool', ['-j', 'link', 'show', 'pinned', `${pins}/link/eth0`])}`);
  return (link as { prog_id: number }).prog_id;
}

/** As by a reboot: agent, BIRD, program and maps go, and with them every session that the node knew. */
async function restartAll(bed: Bed): Promise<Outcome> {
  for (const node of bed.nodes) {
    await drain(bed, { node, backend: 'be1' });
    const agent = bed.of(node);
    await agent.kill('SIGTERM');
    await bed.killBird(node);
    const { code, stderr } = await agent.run('--detach');
    if (code !== 0) throw new Error(`${node}: ${stderr}`);
    await agent.start();
    await activate(bed, { node, backend: 'be1' });
    await mustConverge(bed);
  }
  return { countedFromMs: monotonicMs() };
}
