import type { messages } from '../../api/client.js';
import { everyListener, troubles, until } from '../agents.js';
import { expect } from '../expect.js';
import { backends, checkIntervalMs, desiredState, services } from '../scene.js';
import { type Screen, table } from '../screen.js';
import type { Stage } from '../stage.js';

export async function makeNetwork(screen: Screen, { lab }: Stage): Promise<void> {
  screen.step('The network', 'namespaces on this machine, joined by virtual cables and a switch');
  screen.doing('making it');
  await lab.up();
  screen.saw('client ── router ── switch ── lb1, lb2 and be1, be2, be3; each reached by IPv4 and IPv6');
}

export async function startProcesses(screen: Screen, stage: Stage): Promise<void> {
  screen.step('Who runs where', 'agents on the load balancers lb1 and lb2, servers on the backends be1 to be3');
  screen.doing('starting the agents');
  await stage.startAgents();
  const status = await Promise.all(stage.agents.map(({ api }) => api.status.get({ summary: true })));
  const attached = status.flatMap(({ node }) => node?.attachments ?? []);
  expect(
    attached.length === 2 && attached.every((one) => one.attached && one.mode === 'native'),
    'the XDP program attached to eth0 of lb1 and lb2 in native mode',
    attached
      .map((one) => `${one.interface}: ${one.attached ? one.mode : 'not attached'} ${one.fallbackReason}`)
      .join('; '),
  );
  screen.saw('spillwayd on lb1 and lb2: attached to eth0 as native XDP, answers gRPC');
  screen.doing('starting servers and decapsulators');
  stage.startClient();
  await Promise.all([stage.startDecapsulators(), ...backends.map((name) => stage.startBackend(name))]);
  screen.saw('be1, be2, be3: HTTP and UDP echo; `spillway backend attach` unpacks IPIP');
}

export async function configure(screen: Screen, { agents }: Stage): Promise<void> {
  screen.step('The configuration', 'one document to both agents, ConfigService.Apply over gRPC');
  screen.doing('applying');
  const answers = await Promise.all(agents.map(({ api }) => api.config.apply({ config: desiredState() })));
  for (const [i, { version, changed }] of answers.entries()) {
    expect(
      changed && version === 1n,
      `${agents[i]!.name} to take version 1`,
      `version ${version}, changed: ${changed}`,
    );
  }
  const steps = answers[0]!.stepCount;
  screen.saw(`taken by both as version 1, ${steps} steps on the maps of each`);
  screen.show(
    table('llll', [
      ['LoadBalancer', 'VIP', 'listeners', 'to the backends by'],
      ...services.map(({ name, vip, words }) => [name, vip, 'TCP 80, UDP 7', words]),
    ]),
  );
  screen.doing(`waiting for health: each VIP on each backend, HTTP and UDP, every ${checkIntervalMs} ms`);
  const is = ({ health }: messages.BackendStatus): boolean => health === 'HEALTHY';
  await until(() => everyListener(agents, { is }), {
    what: 'every backend healthy for every listener of both agents',
    deadlineMs: 10_000,
    seen: () => troubles(agents),
  });
  screen.saw(`healthy: 3 backends x 10 listeners, each checked every ${checkIntervalMs} ms by both agents`);
}
