/** The load balancer that most of these tests speak of: "web" on two VIPs, with three backends. */
import type { Ip } from '../../src/base/ip.js';
import { ipToBytes } from '../../src/base/ip.js';
import { type FlowAddresses, flowTag, sourceEntryTag } from '../../src/compile/fingerprint.js';
import type { BackendGroup, Desired, Listener } from '../../src/config/desired.js';
import type { SessionEntry } from '../../src/dataplane/session-table.js';
import { DataPath, type DataPathOptions, lbMac } from '../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, macOf, seen, type World } from '../support/desired.js';
import { ethernet, ip4, ip6 } from '../support/frame.js';
import { tcp, udp } from '../support/transport.js';

export const vip4 = '192.0.2.10';
export const vip6 = '2001:db8:10::10';
export const clientOf = (n: number): Ip => `198.51.${100 + (n >> 8)}.${n & 0xff}`;
export const client6Of = (n: number): Ip => `2001:db8:100::${n.toString(16)}`;
export const backendAddress = (n: number): Ip => `203.0.113.${20 + n}`;

export interface WebOptions extends DataPathOptions {
  readonly forwarding?: BackendGroup['forwarding'];
  /** Weights of be1, be2...; three of 100. null: not in the group. */
  readonly weights?: readonly (number | null)[];
  /** Laid over each listener. */
  readonly listener?: Partial<Listener>;
}

/** Listeners: TCP 80 and 443, UDP 53, all over the group "web". */
export function webDesired(options: WebOptions = {}): Desired {
  const common = { backendGroup: 'web', ...options.listener };
  const members = (options.weights ?? [100, 100, 100]).flatMap((weight, i) =>
    weight === null ? [] : [backend(`be${i + 1}`, backendAddress(i + 1), weight)],
  );
  return desiredOf(
    [
      loadBalancer(
        'web',
        [vip4, vip6],
        [
          listener({ port: 80, ...common }),
          listener({ port: 443, ...common }),
          listener({ port: 53, protocol: 'udp', ...common }),
        ],
      ),
    ],
    [group('web', options.forwarding ?? 'L2_DSR', members)],
  );
}

/** A closed test leaves nothing behind: neither pin nor device. */
export async function openWeb(t: { teardown(f: () => void): void }, options: WebOptions = {}): Promise<Web> {
  const lb = new DataPath(options);
  t.teardown(() => lb.close());
  const web = new Web(lb);
  await web.set(webDesired(options));
  return web;
}

export interface Flow {
  /** Of the client; 1. */
  readonly client?: number;
  readonly from?: number;
  readonly to?: number;
  readonly v6?: boolean;
  readonly udp?: boolean;
}

export class Web {
  constructor(readonly lb: DataPath) {}

  async set(desired: Desired, world: World = {}): Promise<void> {
    await this.lb.apply(desired, seen(desired, world));
  }

  frame(flow: Flow, flags = 'A', data: string | Uint8Array = ''): Buffer {
    const ports = { from: flow.from ?? 40_000, to: flow.to ?? (flow.udp ? 53 : 80) };
    const transport = flow.udp ? udp(ports, data) : tcp({ ...ports, flags }, data);
    const client = flow.client ?? 1;
    const ip = flow.v6
      ? ip6({ from: client6Of(client), to: vip6 }, transport)
      : ip4({ from: clientOf(client), to: vip4 }, transport);
    return ethernet({ to: lbMac }, ip);
  }

  /** Name of the backend that got the packet, or the verdict where none did. */
  send(flow: Flow, flags = 'A'): string {
    const { verdict, frame } = this.lb.run(this.frame(flow, flags));
    return verdict === 'TX' ? this.backendOf(frame) : verdict;
  }

  /** Name of the backend that a frame leaves to. */
  backendOf(frame: Buffer): string {
    const mac = frame.toString('hex', 0, 6).replace(/..(?=.)/g, '$&:');
    const found = [...this.lb.compiled!.backends.values()].find(({ backend: { address } }) => macOf(address) === mac);
    return found?.backend.name ?? mac;
  }

  /** Both packets that make a TCP session one of the established. */
  establish(flow: Flow): string {
    this.send(flow);
    return this.send(flow);
  }

  addresses(flow: Flow): FlowAddresses {
    const client = flow.client ?? 1;
    const [source, destination] = flow.v6 ? [client6Of(client), vip6] : [clientOf(client), vip4];
    return {
      source: ipToBytes(source),
      destination: ipToBytes(destination),
      sourcePort: flow.from ?? 40_000,
      destinationPort: flow.to ?? (flow.udp ? 53 : 80),
      protocol: flow.udp ? 17 : 6,
      v6: flow.v6 ?? false,
    };
  }

  tag(flow: Flow): bigint {
    return flowTag(this.addresses(flow), this.lb.key);
  }

  /** Where the client's next connection to the flow's listener goes. */
  source(flow: Flow): SessionEntry | null {
    const client = flow.client ?? 1;
    const to = flow.to ?? (flow.udp ? 53 : 80);
    const source = { source: ipToBytes(flow.v6 ? client6Of(client) : clientOf(client)), v6: flow.v6 ?? false };
    const id = this.lb.serviceId(flow.v6 ? vip6 : vip4, to, flow.udp ? 17 : 6);
    return this.lb.sessions.find(sourceEntryTag(source, this.lb.compiled!.tables.services.get(id)!, this.lb.key));
  }

  session(flow: Flow): SessionEntry | null {
    return this.lb.sessions.find(this.tag(flow));
  }

  /** "young", "established", "closing" or "none". */
  state(flow: Flow): string {
    return ['unfinished', 'young', 'established', 'closing'][this.session(flow)?.state ?? -1] ?? 'none';
  }

  /** Flows from clients 1, 2, ... */
  flows(count: number, rest: Flow = {}): Flow[] {
    return Array.from({ length: count }, (_, i) => ({ ...rest, client: i + 1 }));
  }
}
