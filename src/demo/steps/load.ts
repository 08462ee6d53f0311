import type { messages } from '../../api/client.js';
import { everyListener, troubles, until } from '../agents.js';
import type { Running } from '../remote.js';
import { type BackendName, services, urlOf } from '../scene.js';
import type { Stage } from '../stage.js';
import { type LoadedRequest, type LoadResult, nowMs } from '../tasks.js';

/** The backend that is killed and comes back. */
export const victim: BackendName = 'be2';
export const clients = 8;
/** How long the load runs on before and after what is looked at. */
export const steadyMs = 1000;

/** Requests to each VIP in turn from every client, each on a new connection. */
export function startLoad({ client }: Stage, count = clients): Running<LoadResult> {
  return client.start('load', { urls: services.map(urlOf), clients: count, pauseMs: 10 });
}

export async function endLoad(load: Running<LoadResult>): Promise<readonly LoadedRequest[]> {
  load.stop();
  return (await load.result).requests;
}

/** Until both agents say so of the victim. @returns milliseconds from `since`, for HTTP and for UDP listeners. */
export async function untilHealth(
  { agents }: Stage,
  { wanted, sinceMs }: { wanted: messages.HealthState; sinceMs: number },
): Promise<{ readonly httpMs: number; readonly udpMs: number }> {
  const is = ({ health }: messages.BackendStatus): boolean => health === wanted;
  const wait = async (listener: string): Promise<number> => {
    await until(() => everyListener(agents, { backend: victim, listener, is }), {
      what: `${victim} ${wanted} for every listener ${listener} of both agents`,
      deadlineMs: 10_000,
      seen: () => troubles(agents),
    });
    return nowMs() - sinceMs;
  };
  const [httpMs, udpMs] = await Promise.all([wait('http'), wait('echo')]);
  return { httpMs, udpMs };
}

/** Kinds of failures and how many of each. */
export function errorsOf(requests: readonly LoadedRequest[]): string {
  const kinds = new Map<string, number>();
  for (const { error } of requests) {
    const kind = String(error).replace(/^.*: /, '');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, times]) => `${times} x ${kind}`).join(', ') || 'none';
}
