import { setTimeout as delay } from 'node:timers/promises';
import type { messages, SpillwayClient } from '../api/client.js';
import { Unexpected } from './expect.js';
import { type BackendName, type Balancer, backends, balancers } from './scene.js';

export interface Agent {
  readonly name: Balancer;
  readonly api: SpillwayClient;
}

/** New sessions by load balancer, "LoadBalancer/listener" and backend, as the agents count them. */
export type Sessions = Readonly<Record<Balancer, Readonly<Record<string, Readonly<Record<BackendName, number>>>>>>;

export async function statusOf(agents: readonly Agent[]): Promise<readonly messages.Status[]> {
  return Promise.all(
    agents.map(({ name, api }) =>
      api.status.get({ summary: false }).catch((error: Error) => {
        throw new Unexpected(`the agent of ${name} to answer`, error.message);
      }),
    ),
  );
}

export async function sessionsOf(agents: readonly Agent[]): Promise<Sessions> {
  const statuses = await statusOf(agents);
  const ofStatus = ({ listeners }: messages.Status) =>
    Object.fromEntries(
      listeners.map(({ loadBalancer, listener, backends: found }) => [
        `${loadBalancer}/${listener}`,
        byBackend((name) => Number(found.find((one) => one.name === name)?.traffic?.newSessions ?? 0n)),
      ]),
    );
  return byBalancer((_, i) => ofStatus(statuses[i]!));
}

/** What was added from one reading to the next. */
export function sessionsSince(before: Sessions, now: Sessions): Sessions {
  return byBalancer((lb) =>
    Object.fromEntries(
      Object.entries(now[lb]).map(([listener, counts]) => [
        listener,
        byBackend((name) => counts[name] - (before[lb][listener]?.[name] ?? 0)),
      ]),
    ),
  );
}

/** Sum over what is not named. */
export function sum(sessions: Sessions, of: { lb?: Balancer; listener?: string; backend?: string } = {}): number {
  let total = 0;
  for (const lb of balancers) {
    if (of.lb !== undefined && of.lb !== lb) continue;
    for (const [listener, counts] of Object.entries(sessions[lb])) {
      if (of.listener !== undefined && of.listener !== listener) continue;
      for (const name of backends) if (of.backend === undefined || of.backend === name) total += counts[name];
    }
  }
  return total;
}

export function byBackend<T>(value: (name: BackendName) => T): Record<BackendName, T> {
  return { be1: value('be1'), be2: value('be2'), be3: value('be3') };
}

function byBalancer<T>(value: (name: Balancer, i: number) => T): Record<Balancer, T> {
  return { lb1: value('lb1', 0), lb2: value('lb2', 1) };
}

/** Whether every agent says this of the backend in every listener; of all backends and listeners where none is named. */
export async function everyListener(
  agents: readonly Agent[],
  of: { backend?: BackendName; listener?: string; is: (status: messages.BackendStatus) => boolean },
): Promise<boolean> {
  const statuses = await statusOf(agents);
  return statuses.every(({ listeners }) => {
    const found = listeners
      .filter(({ listener }) => (of.listener ?? listener) === listener)
      .flatMap((one) => one.backends)
      .filter(({ name }) => (of.backend ?? name) === name);
    return found.length > 0 && found.every(of.is);
  });
}

/** @throws Unexpected when it has not come true within the deadline. */
export async function until(
  holds: () => Promise<boolean>,
  { what, deadlineMs, seen }: { what: string; deadlineMs: number; seen?: () => Promise<string> },
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > end) {
      throw new Unexpected(`${what} within ${deadlineMs / 1000} s`, (await seen?.()) ?? 'nothing of the kind');
    }
    await delay(20);
  }
}

/** Backends that are not healthy, in words. */
export async function troubles(agents: readonly Agent[]): Promise<string> {
  const statuses = await statusOf(agents);
  const lines = statuses.flatMap(({ listeners, problems }, i) => [
    ...problems,
    ...listeners.flatMap(({ loadBalancer, listener, backends: all }) =>
      all
        .filter(({ health }) => health !== 'HEALTHY')
        .map(
          ({ name, health, reason }) => `${agents[i]!.name} ${loadBalancer}/${listener} ${name}: ${health} ${reason}`,
        ),
    ),
  ]);
  return lines.length === 0 ? 'every backend healthy' : lines.slice(0, 8).join('\n');
}
