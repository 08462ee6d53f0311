import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { NetNs } from '../live/netns.js';

const run = promisify(execFile);

export const VIP = '192.0.2.10';
export const PORT = 443;
const BACKENDS = 100;

/**
 *   client namespace: c0 --veth-- lb0 :balancer's namespace: lb1 (dummy)
 *
 * IPVS sends to its backends through lb1, the cheapest interface that there is; Spillway sends back where the packet came
 * from (XDP_TX), as on a host with one interface.
 */
export class Topology {
  private constructor(
    readonly client: NetNs,
    readonly balancer: NetNs,
  ) {}

  static async up(): Promise<Topology> {
    const topology = new Topology(await NetNs.add('-c'), await NetNs.add('-b'));
    const { client, balancer } = topology;
    const end = ['lb0', 'address', '02:00:00:00:00:01', 'netns', balancer.name];
    await client.ip('link', 'add', 'c0', 'address', '02:00:00:00:00:02', 'type', 'veth', 'peer', 'name', ...end);
    await balancer.ip('link', 'add', 'lb1', 'type', 'dummy');
    await client.ip('link', 'set', 'c0', 'up');
    for (const device of ['lb0', 'lb1']) await balancer.ip('link', 'set', device, 'up');
    /* Without it, what goes back by XDP_TX loses its checksum. */
    await client.exec('ethtool', '-K', 'c0', 'tx', 'off');
    return topology;
  }

  async down(): Promise<void> {
    await this.client.remove();
    await this.balancer.remove();
    /* A namespace dies some time later, and its connections with it: the next balancer is not to pay for that. */
    for (let tries = 0; tries < 200 && ipvsConnections() > 1_000; tries++) await sleep(100);
  }

  /** The VIP on the balancer, its backends behind lb1, and a service of IPVS that spreads over them. */
  async ipvs(scheduler: string, forwarding: '-g' | '-i'): Promise<void> {
    const { balancer } = this;
    await balancer.exec(
      'sysctl',
      '-qw',
      'net.ipv4.ip_forward=1',
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv4.conf.lb0.rp_filter=0',
      'net.ipv4.conf.all.send_redirects=0',
      'net.ipv4.conf.lb0.send_redirects=0',
    );
    await balancer.ip('addr', 'add', `${VIP}/32`, 'dev', 'lo');
    await balancer.ip('addr', 'add', '172.20.0.254/24', 'dev', 'lb1');
    await balancer.ip('route', 'add', 'default', 'dev', 'lb1');
    /* A network card's driver polls; of a veth this switches it on. */
    await balancer.exec('ethtool', '-K', 'lb0', 'gro', 'on');
    const service = `-u ${VIP}:${PORT}`;
    const backends = Array.from(
      { length: BACKENDS },
      (_, i) => `-a ${service} -r 172.20.0.${i + 1}:${PORT} ${forwarding} -w 1`,
    );
    const rules = [`-A ${service} -s ${scheduler}`, ...backends];
    await balancer.exec('sh', '-c', 'echo "$1" | ipvsadm -R', 'sh', rules.join('\n'));
  }

  /** Packets that left through lb1. */
  async left(): Promise<number> {
    const [link] = JSON.parse(await this.balancer.ip('-s', '-j', 'link', 'show', 'lb1')) as [
      { stats64: { tx: { packets: number } } },
    ];
    return link.stats64.tx.packets;
  }
}

/** Of all namespaces. */
export function ipvsConnections(): number {
  const line = readFileSync('/proc/slabinfo', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('ip_vs_conn'));
  return Number(line?.split(/\s+/)[1] ?? 0);
}

/** Modules of the kernel; IPVS with its schedulers and its hash table's size. */
export async function loadModules(connTabBits: number): Promise<void> {
  await run('modprobe', ['ip_vs', `conn_tab_bits=${connTabBits}`]);
  await run('modprobe', ['-a', 'ip_vs_rr', 'ip_vs_mh', 'ipip', 'veth', 'dummy', 'pktgen']);
}
