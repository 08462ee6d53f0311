import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isBpffs, mountBpffs } from '../../../src/dataplane/addon.js';
import { until } from '../../support/lab/until.js';
import { OUT } from '../paths.js';
import { addressesOf, CHECK_PORT, type Size } from './desired.js';

const BPFFS = '/sys/fs/bpf';
/** Destination of the driver's frames. */
const AGENT_MAC = '02:00:00:00:00:01';
const BACKEND_MAC = '02:00:00:00:00:02';

/**
 * Two namespaces joined by a veth pair: the agent's, and one that answers for every backend, so that health checks have
 * something to find.
 */
export class Bed {
  readonly directory = mkdtempSync(join(tmpdir(), 'spillway-scale-'));
  readonly node: string;
  readonly backends: string;
  readonly pins: string;
  #responder: ChildProcess | null = null;

  /** @param name names the instance, its pins and, after `sw-`, the namespaces. */
  constructor(readonly name: string) {
    this.node = `sw-${name}-node`;
    this.backends = `sw-${name}-be`;
    this.pins = `${BPFFS}/spillway/${name}`;
  }

  build(size: Size): void {
    if (!isBpffs(BPFFS)) mountBpffs(BPFFS);
    ip('netns', 'add', this.node);
    ip('netns', 'add', this.backends);
    ip(
      '-n',
      this.node,
      ...words(`link add eth0 address ${AGENT_MAC} type veth peer name eth0`),
      'netns',
      this.backends,
    );
    ip('-n', this.backends, ...words(`link set eth0 address ${BACKEND_MAC}`));
    for (const [namespace, address] of [
      [this.node, '172.31.0.1/12'],
      [this.backends, '172.31.0.2/12'],
    ] as const) {
      ip('-n', namespace, ...words(`addr add ${address} dev eth0`));
      for (const link of ['lo', 'eth0']) ip('-n', namespace, 'link', 'set', link, 'up');
    }
    ip('-n', this.backends, ...words('route add local 172.16.0.0/15 dev lo'));
    // XDP takes a frame before its checksum is complete; the agent's end would drop it.
    execFileSync('nsenter', [`--net=/run/netns/${this.backends}`, ...words('ethtool -K eth0 tx off')]);
    const neighbours = addressesOf(size).map((to) => `neigh add ${to} lladdr ${BACKEND_MAC} dev eth0 nud permanent\n`);
    execFileSync('ip', ['-n', this.node, '-batch', '-'], { input: neighbours.join('') });
    const responder = [process.execPath, join(OUT, 'scale', 'responder.js'), `${CHECK_PORT}`];
    this.#responder = spawn('nsenter', [`--net=/run/netns/${this.backends}`, ...responder], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }

  /** The words of a command that runs beside the agent. */
  inside(...command: readonly string[]): [file: string, words: string[]] {
    return ['nsenter', [`--net=/run/netns/${this.node}`, ...command]];
  }

  /** The agent has ended and is detached by now. */
  async remove(): Promise<void> {
    if (this.#responder !== null) await stop(this.#responder, 'SIGKILL');
    for (const namespace of [this.node, this.backends]) {
      if (existsSync(`/run/netns/${namespace}`)) ip('netns', 'del', namespace);
    }
    rmSync(this.pins, { recursive: true, force: true });
  }
}

/** Resolves when it has gone. */
export async function stop(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** So that what follows a change is not measured with it. */
export async function pass(ms: number): Promise<void> {
  const startedMs = performance.now();
  await until(`${ms} ms passed`, () => performance.now() - startedMs >= ms, { withinMs: ms * 2 + 1000 });
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function words(text: string): string[] {
  return text.split(' ');
}
