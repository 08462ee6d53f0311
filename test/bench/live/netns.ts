import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NAMES = /^sw-bench(\d+)/;

/** A network namespace of a benchmark, named after its process, so that one that was killed is cleared by the next. */
export class NetNs {
  private constructor(readonly name: string) {}

  static async add(label = ''): Promise<NetNs> {
    const ns = new NetNs(`sw-bench${process.pid}${label}`);
    await run('ip', ['netns', 'add', ns.name]);
    /* Neighbour discovery would be counted among the frames. */
    await ns.exec('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    await ns.ip('link', 'set', 'lo', 'up');
    return ns;
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'del', this.name]);
  }

  async ip(...words: readonly string[]): Promise<string> {
    return (await run('ip', ['-n', this.name, ...words])).stdout;
  }

  /** Mounts stay as they are, bpffs too; `ip netns exec` would lay another /sys over them. */
  command(...words: readonly string[]): readonly [string, readonly string[]] {
    return ['nsenter', [`--net=/run/netns/${this.name}`, '--', ...words]];
  }

  async exec(...words: readonly string[]): Promise<string> {
    const [file, rest] = this.command(...words);
    return (await run(file, [...rest], { maxBuffer: 1 << 24 })).stdout;
  }

  /** In native mode; in place of the program that is there. */
  async attachXdp(device: string, programId: number): Promise<void> {
    await this.exec('bpftool', 'net', 'attach', 'xdpdrv', 'id', `${programId}`, 'dev', device, 'overwrite');
  }

  async detachXdp(device: string): Promise<void> {
    await this.exec('bpftool', 'net', 'detach', 'xdpdrv', 'dev', device);
  }
}

/** Namespaces of benchmarks whose process is gone. */
export async function removeStale(): Promise<void> {
  for (const name of readdirSync('/run/netns', { encoding: 'utf8' })) {
    const pid = NAMES.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await run('ip', ['netns', 'del', name]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
