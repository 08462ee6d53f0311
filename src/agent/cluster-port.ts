import type { ActivateProgress, ClusterPort, DrainProgress } from '../api/cluster_port.js';
import { DeadlineError, PreconditionError } from '../base/errors.js';
import { Mutex } from '../base/mutex.js';
import type { Clock } from '../health/ports.js';
import type { ClusterNode, LifeView } from './cluster.js';

const PROGRESS_MS = 250;
const KEEP_MS = 3000;

interface Options {
  readonly clock: Clock;
  readonly drainTimeoutMs: number;
}

/** What others ask of this node's life. A command that nobody waits for any more goes on all the same. */
export function createClusterPort(node: ClusterNode, options: Options): ClusterPort {
  const turns = new Turns(node, options.clock);
  return {
    get: () => node.status(),
    watch: (onChange) => node.watch(onChange),
    drain: ({ timeoutMs }, signal) =>
      drain(node, { ...options, turns, timeoutMs: timeoutMs ?? options.drainTimeoutMs }, signal),
    activate: (signal) => activate(node, { ...options, turns }, signal),
  };
}

/**
 * Drains and activations one after the other, whoever still waits for them: what is kept is where the node is. Kept
 * first, for an agent that dies in between must not announce again. A disk that does not answer is not waited for.
 */
class Turns {
  readonly #steps = new Mutex();
  readonly #files = new Mutex();

  constructor(
    private readonly node: ClusterNode,
    private readonly clock: Clock,
  ) {}

  drain(): Promise<void> {
    return this.#steps.run(async () => {
      await this.#keep(true);
      this.node.beginDrain();
    });
  }

  activate(): Promise<void> {
    return this.#steps.run(async () => {
      if (!isWithdrawn(this.node.view())) return;
      await this.#keep(false);
      this.node.beginActivate();
    });
  }

  async #keep(withdrawn: boolean): Promise<void> {
    const kept = new AbortController();
    void this.#files.run(() => this.node.keep(withdrawn)).finally(() => kept.abort());
    await pause(KEEP_MS, this.clock, kept.signal);
  }
}

async function* drain(
  node: ClusterNode,
  { clock, turns, timeoutMs }: { readonly clock: Clock; readonly turns: Turns; readonly timeoutMs: number },
  signal: AbortSignal,
): AsyncGenerator<DrainProgress> {
  const untilMs = clock.monotonicMs() + timeoutMs;
  await turns.drain();
  while (!signal.aborted) {
    const view = node.view();
    const { life, announced, packetsPerSecond } = view;
    if (life === 'joining' || life === 'active') throw new PreconditionError('the node was activated meanwhile');
    const done = life === 'stopped';
    const message = drainMessage(view);
    yield { life, announced, packetsPerSecond, done, message };
    if (done) return;
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0) {
      const rate = `${packetsPerSecond.toFixed(1)} packets a second`;
      throw new DeadlineError(`after ${timeoutMs / 1000} s: ${message}, ${rate}; the node stays withdrawn`);
    }
    await pause(Math.min(PROGRESS_MS, leftMs), clock, signal);
  }
}

function drainMessage(view: LifeView): string {
  if (view.life === 'stopped') return view.fileFault || 'drained: no traffic comes to this node';
  if (!view.routesSettled || view.announced > 0) return view.routeProblem || 'withdraws its routes';
  if (!view.hasRoutes) {
    return 'nothing withdraws by itself (routes is not configured): traffic goes once the router sends it elsewhere';
  }
  if (!view.othersActive) return 'no other node is active: traffic to the VIPs has nowhere to go';
  return 'withdrawn, waits for the traffic to move';
}

async function* activate(
  node: ClusterNode,
  { clock, turns }: { readonly clock: Clock; readonly turns: Turns },
  signal: AbortSignal,
): AsyncGenerator<ActivateProgress> {
  await turns.activate();
  while (!signal.aborted) {
    const view = node.view();
    if (isWithdrawn(view)) throw new PreconditionError('the node was drained meanwhile');
    const { announced, joining, life } = view;
    const done = life === 'active' && view.routesSettled;
    const message = view.fileFault || activateMessage(view, done);
    const sessions = joining?.sessions ?? view.sessions;
    yield { life, announced, sessions, sessionsExpected: joining?.expected ?? sessions, done, message };
    if (done) return;
    await pause(PROGRESS_MS, clock, signal);
  }
}

function isWithdrawn({ life }: LifeView): boolean {
  return life === 'draining' || life === 'stopped';
}

function activateMessage(view: LifeView, done: boolean): string {
  const { isolated, joining, joinMessage, life, routeProblem } = view;
  if (isolated) return 'cut off from routers and from other nodes: it joins again when they are back';
  if (life === 'joining') return joining ? `fetches sessions from ${joining.from}` : 'looks for a peer with sessions';
  return done ? joinMessage : routeProblem || 'announces its routes';
}

/** As a drain that nobody remembers: true when the traffic has gone, false at the signal or after drainTimeoutMs. */
export async function drainToEnd(node: ClusterNode, options: Options, signal: AbortSignal): Promise<boolean> {
  const { clock, drainTimeoutMs } = options;
  const untilMs = clock.monotonicMs() + drainTimeoutMs;
  node.beginDrain();
  while (node.view().life !== 'stopped' && !signal.aborted && clock.monotonicMs() < untilMs) {
    await pause(PROGRESS_MS, clock, signal);
  }
  return node.view().life === 'stopped';
}

/** Withdraws, and once the engine has taken it, or at the signal, does what takes the data plane away; if that fails, announces again. */
export async function withdrawFor<T>(
  node: ClusterNode,
  clock: Clock,
  { reason, signal }: { reason: string; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  node.leave(reason);
  try {
    while (!node.view().routesSettled && !signal.aborted) await pause(PROGRESS_MS, clock, signal);
    return await work();
  } catch (error) {
    node.leave('');
    throw error;
  }
}

function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(Math.max(ms, 1), end);
    signal.addEventListener('abort', end);
  });
}
