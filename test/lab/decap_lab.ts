/**
 * client --- lb --- backend, by veth pairs. The lb routes, and encapsulates on its way out what goes to a VIP, by the
 * mode that the VIP's last byte names (decap_encap.bpf.c); the backend answers by way of the lb, as by a router.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AttachResult } from '../../src/backend/attach.js';
import type { InstanceStatus } from '../../src/backend/status.js';
import type { Answer, Beats, Transfer } from './decap_peer.js';

const run = promisify(execFile);

export type LabHost = 'client' | 'lb' | 'backend' | 'other';
const hosts: readonly LabHost[] = ['client', 'lb', 'backend', 'other'];

/** VIPs by the header that their packets come in; `dsr`: by none. */
export const vips4 = {
  '4in4': '198.51.100.4',
  '4in6': '198.51.100.6',
  gue4: '198.51.100.24',
  gue6: '198.51.100.26',
  dsr: '198.51.100.1',
} as const;
export const vips6 = {
  '6in4': '2001:db8::4',
  '6in6': '2001:db8::6',
  gue4: '2001:db8::18',
  gue6: '2001:db8::1a',
  dsr: '2001:db8::1',
} as const;
export const allVips: readonly (readonly [kind: string, vip: string])[] = [
  ...Object.entries(vips4),
  ...Object.entries(vips6),
];
export const backend4 = '10.66.0.2';
export const backend6 = 'fd66::2';
export const lb4 = '10.66.0.1';
export const lb6 = 'fd66::1';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StatusFound {
  readonly code: number | null;
  readonly instance: InstanceStatus;
  readonly packets: (reason: string) => number;
  readonly events: (event: string) => number;
}

export const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export class DecapLab {
  readonly pins: string;
  readonly #servers: ChildProcess[] = [];

  /** @param instance of the backend's pins; `${instance}-other` is cleaned up too */
  constructor(
    readonly name: string,
    readonly instance: string,
  ) {
    this.pins = `/sys/fs/bpf/spillway/${instance}`;
  }

  up(): void {
    for (const host of hosts) {
      execFileSync('ip', ['netns', 'add', `${this.name}-${host}`]);
      this.sh(host, 'ip link set lo up');
    }
    this.sh('lb', `ip link add eth0 mtu 1600 type veth peer name eth0 mtu 1600 netns ${this.name}-backend`);
    this.sh('lb', `ip link add eth1 type veth peer name eth0 netns ${this.name}-client`);
    this.sh('other', 'ip link add eth0 type veth peer name eth1');
    this.sh('other', 'ip link set eth0 up');
    for (const [host, device, v4, v6] of [
      ['lb', 'eth0', '10.66.0.1/24', 'fd66::1/64'],
      ['backend', 'eth0', '10.66.0.2/24', 'fd66::2/64'],
      ['lb', 'eth1', '10.67.0.1/24', 'fd67::1/64'],
      ['client', 'eth0', '10.67.0.2/24', 'fd67::2/64'],
    ] as const) {
      this.sh(host, `ip link set ${device} up`);
      this.sh(host, `ip address add ${v4} dev ${device}`);
      this.sh(host, `ip address add ${v6} dev ${device} nodad`);
    }
    for (const [host, v4, v6] of [
      ['client', '10.67.0.1', 'fd67::1'],
      ['backend', '10.66.0.1', 'fd66::1'],
    ] as const) {
      this.sh(host, `ip route add default via ${v4}`);
      this.sh(host, `ip route add default via ${v6}`);
    }
    this.sh('lb', 'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
    // Checksums left for a device to fill in, and segments left for it to cut, are hidden from it by a tunnel.
    this.sh('lb', 'ethtool -K eth0 tx off');
    this.sh('client', 'ethtool -K eth0 tx off tso off gso off');
    for (const [, vip] of allVips) {
      this.sh('lb', `ip route add ${vip} via ${vip.includes(':') ? backend6 : backend4} mtu 1500`);
    }
    this.sh('lb', 'tc qdisc add dev eth0 clsact');
    this.sh(
      'lb',
      `tc filter add dev eth0 egress bpf direct-action object-file ${script('decap_encap.bpf.o')} section tc`,
    );
    this.sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2');
  }

  down(): void {
    for (const server of this.#servers) server.kill('SIGKILL');
    for (const instance of [this.instance, `${this.instance}-other`]) {
      const pins = `/sys/fs/bpf/spillway/${instance}`;
      if (existsSync(pins)) execFileSync('rm', ['-rf', pins]);
    }
    for (const host of hosts) spawnSync('ip', ['netns', 'del', `${this.name}-${host}`]);
  }

  holdVips(vips: readonly string[] = allVips.map(([, vip]) => vip)): void {
    for (const vip of vips)
      this.sh('backend', `ip address add ${vip}/${vip.includes(':') ? '128 nodad' : '32'} dev lo`);
  }

  /** Those that are there. */
  dropVips(vips: readonly string[]): void {
    for (const vip of vips) {
      const [program, args] = this.inside(
        'backend',
        'ip',
        'address',
        'del',
        `${vip}/${vip.includes(':') ? 128 : 32}`,
        'dev',
        'lo',
      );
      spawnSync(program, args);
    }
  }

  inside(host: LabHost, ...command: readonly string[]): readonly [string, readonly string[]] {
    return ['nsenter', [`--net=/run/netns/${this.name}-${host}`, ...command]];
  }

  sh(host: LabHost, command: string): void {
    const [program, args] = this.inside(host, ...command.split(' '));
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  spillway(host: LabHost, ...args: readonly string[]): Ended {
    const [program, all] = this.inside(host, process.execPath, script('decap_command.js'), 'backend', ...args);
    const { status, stdout, stderr } = spawnSync(program, all, { encoding: 'utf8' });
    return { code: status, stdout, stderr };
  }

  attach(...args: readonly string[]): AttachResult {
    const own = ['--interface', 'eth0', '--instance', this.instance, '--json'];
    const { code, stdout, stderr } = this.spillway('backend', 'attach', ...own, ...args);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as AttachResult;
  }

  detach(): Ended {
    return this.spillway('backend', 'detach', '--instance', this.instance);
  }

  status(...args: readonly string[]): StatusFound {
    const { code, stdout } = this.spillway('backend', 'status', '--instance', this.instance, '--json', ...args);
    const [instance] = (JSON.parse(stdout) as { instances: InstanceStatus[] }).instances;
    const packets = (reason: string) =>
      Number(instance?.counters.find((count) => count.reason === reason)?.packets ?? 0);
    const events = (event: string) => Number(instance?.events.find((count) => count.event === event)?.packets ?? 0);
    return { code, instance: instance!, packets, events };
  }

  /** A server in the backend: TCP that gives back what it took, UDP echo. Ends with the lab, or when it is killed. */
  async serve(address = '::', port = 8080): Promise<ChildProcess> {
    const [program, args] = this.inside(
      'backend',
      process.execPath,
      script('decap_peer.js'),
      'serve',
      address,
      String(port),
    );
    const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#servers.push(server);
    await new Promise((resolve) => server.stdout.once('data', resolve));
    return server;
  }

  async transfer(address: string, bytes: number, { from = 'lb' as LabHost, port = 8080 } = {}): Promise<Transfer> {
    return (await this.#peer(from, 'transfer', address, String(port), String(bytes))) as Transfer;
  }

  /** One datagram of so many bytes, and its echo. */
  async ask(address: string, bytes: number, { from = 'client' as LabHost, port = 8080 } = {}): Promise<Answer> {
    return (await this.#peer(from, 'ask', address, String(port), String(bytes))) as Answer;
  }

  /** Datagrams until `during` ends. */
  async beatWhile(address: string, during: () => void | Promise<void>): Promise<Beats> {
    const [program, args] = this.inside('lb', process.execPath, script('decap_peer.js'), 'beat', address, '8080');
    const beating = run(program, [...args]);
    await during();
    beating.child.stdin!.end();
    return JSON.parse((await beating).stdout) as Beats;
  }

  async #peer(host: LabHost, ...words: readonly string[]): Promise<unknown> {
    const [program, args] = this.inside(host, process.execPath, script('decap_peer.js'), ...words);
    const { stdout } = await run(program, [...args]);
    return JSON.parse(stdout);
  }
}
