/** Packets as they come, and as they should not: flows that come again, and bytes bent in every way. */

import type { QuicConfig } from '../../src/config/desired.js';
import { fragment6, header6 } from './fragments.js';
import { ethernet, type IpPacket, ip4, ip6, type Payload, type VlanTag, vlan } from './frame.js';
import { connectionId, longHeader, shortHeader } from './quic.js';
import type { Random } from './random.js';
import { extended, randomIcmp } from './random_icmp.js';
import { icmp4, icmp6, raw, tcp, udp } from './transport.js';

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  /** It speaks QUIC: datagrams that servers' ids are in, and such as clients begin with. */
  readonly quic?: { readonly configs: readonly QuicConfig[]; readonly serverIds: readonly Uint8Array[] };
}

export interface TrafficOptions {
  readonly lbMac: string;
  readonly secondMac: string;
  readonly targets: readonly Target[];
  /** Addresses that are no VIPs. */
  readonly strangers: readonly string[];
  /** Flows drawn from: few come again often, many fill the table. */
  readonly clients: number;
  readonly portsPerClient: number;
  /** TCP flags drawn from, as letters of FSRPAU. */
  readonly flags?: readonly string[];
  /** Some clients come often, others hardly ever. */
  readonly skewed?: boolean;
  /** Each frame comes twice, so that hardly a session is young. */
  readonly twice?: boolean;
  /** Share of frames that are bent. */
  readonly bent?: number;
  /** Share of ICMP, fragments and what else is no plain packet; 0.25. */
  readonly odd?: number;
}

/** A plain flow goes on, most of the time. */
const tcpFlagMix = ['A', 'A', 'A', 'A', 'A', 'PA', 'S', 'S', 'S', 'FA', 'R', 'RA', 'SA', '', 'SF'];

/** Sources that are no single host's. */
const noHosts = {
  4: ['224.0.0.1', '255.255.255.255', '0.0.0.0', '127.0.0.1'],
  6: ['ff02::1', '::', '::1'],
} as const;

const bigSizes = [300, 500, 540, 600, 1190, 1220, 1260, 1380, 1400, 1420, 1440, 1460];

export class RandomTraffic {
  constructor(
    private readonly random: Random,
    private readonly options: TrafficOptions,
  ) {}

  #again: Buffer | null = null;

  next(): Buffer {
    const again = this.#again;
    this.#again = null;
    if (again) return again;
    const frame = this.#bentOrNot(this.#frame());
    if (this.options.twice) this.#again = frame;
    return frame;
  }

  #bentOrNot(frame: Buffer): Buffer {
    return this.random.chance(this.options.bent ?? 0.15) ? this.#mutated(frame) : frame;
  }

  #frame(): Buffer {
    const { random, options } = this;
    const own = random.chance(0.05) ? options.secondMac : options.lbMac;
    const to = random.chance(0.02) ? '02:00:00:00:00:99' : own;
    const rest = [...this.#tags(), this.#packet()];
    const frame = ethernet({ to }, ...rest);
    return random.chance(0.05) ? Buffer.concat([frame, random.bytes(1 + random.below(20))]) : frame;
  }

  #tags(): VlanTag[] {
    if (this.random.chance(0.9)) return [];
    const tpid = this.random.pick([0x8100, 0x88a8]);
    const count = this.random.pick([1, 1, 2, 2, 3]);
    return Array.from({ length: count }, (_, i) =>
      vlan(this.random.below(4096), { priority: this.random.below(8), tpid: i === 0 ? tpid : 0x8100 }),
    );
  }

  #packet(): IpPacket {
    const { random, options } = this;
    const target = random.pick(options.targets);
    const to = random.chance(0.02) ? random.pick(options.strangers) : target.address;
    const any = random.below(options.clients);
    const client = 1 + (options.skewed ? random.below(any + 1) : any);
    if (random.chance(options.odd ?? 0.25)) return this.#odd(target, to, client);
    return this.#ip(this.#clientOf(client, to), to, this.#payload(target, to.includes(':')));
  }

  #clientOf(client: number, to: string): string {
    if (to.includes(':')) return `2001:db8:100::${client.toString(16)}`;
    return `198.51.${100 + (client >> 8)}.${client & 0xff}`;
  }

  #ip(from: string, to: string, payload: Payload): IpPacket {
    const { random } = this;
    const byte = random.chance(0.3) ? random.below(256) : 0;
    if (to.includes(':')) {
      const hopLimit = random.pick([64, 255]);
      return ip6({ from, to, trafficClass: byte, flowLabel: random.below(1 << 20), hopLimit }, payload);
    }
    const options4 = random.chance(0.05) ? random.bytes(4 * random.below(11)) : new Uint8Array(0);
    const fragment = random.chance(0.02) ? random.pick([0x2000, 1, 0x8000, 0x1fff]) : random.pick([0, 0x4000]);
    const ttl = 1 + random.below(255);
    return ip4({ from, to, tos: byte, ttl, id: random.below(65_536), fragment, options: options4 }, payload);
  }

  /** What is no plain packet of a flow: ICMP, fragments, extension headers, and what is too big for a tunnel. */
  #odd(target: Target, to: string, client: number): IpPacket {
    const { random, options } = this;
    const v6 = to.includes(':');
    const from = random.chance(0.03) ? random.pick(noHosts[v6 ? 6 : 4]) : this.#clientOf(client, to);
    const ports = { from: 1024 + random.below(options.portsPerClient), to: target.port };
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: {
        const others = [...options.strangers, ...options.targets.map(({ address }) => address)];
        const router = v6 ? '2001:db8:ffff::1' : '203.0.113.254';
        const icmp = randomIcmp(random, { from, to, ports, protocol: target.protocol, others });
        return this.#ip(random.chance(0.5) ? router : from, to, icmp);
      }
      case 3:
      case 4:
        return this.#fragment(this.#clientOf(1 + (client & 3), to), to, target);
      case 5:
        if (v6) return this.#ip(from, to, extended(random, this.#transport(target, ports)));
        return this.#ip(from, to, this.#offer(ports));
      case 6:
        return this.#ip(from, to, this.#offer(ports));
      default:
        return this.#ip(from, to, tcp({ ...ports, flags: 'A' }, Buffer.alloc(random.pick(bigSizes))));
    }
  }

  /** Datagrams of few clients and few numbers, so that pieces of one meet: in order, before the first, again. */
  #fragment(from: string, to: string, target: Target): IpPacket {
    const { random } = this;
    const v6 = to.includes(':');
    const id = random.below(6);
    const first = random.chance(0.4);
    const offset = first ? 0 : 8 * (1 + random.below(180));
    const more = first || random.chance(0.6);
    const size = random.pick([8, 24, 64, 1400, 1448, 2040]);
    const ports = { from: 1024 + random.below(this.options.portsPerClient), to: target.port };
    const number = target.protocol === 'tcp' ? 6 : 17;
    const odd = random.chance(0.1) ? random.pick([1, 58, 47, 0, 43, 44, 51, 60]) : number;
    const whole = this.#transport(target, ports, random.bytes(size - 8));
    const piece: Payload = first
      ? { ...whole, bytes: (pseudo) => whole.bytes(pseudo).subarray(0, size) }
      : raw(odd, random.bytes(size));
    if (v6) return ip6({ from, to }, fragment6({ offset, more, id }, piece));
    return ip4({ from, to, id, fragment: (more ? 0x2000 : 0) | (offset / 8) }, piece);
  }

  #transport(
    target: Target,
    ports: { from: number; to: number },
    data = this.random.bytes(this.random.pick([0, 0, 1, 20, 60])),
  ): Payload {
    return target.protocol === 'udp'
      ? udp(ports, data)
      : tcp({ ...ports, flags: this.random.pick(this.options.flags ?? tcpFlagMix) }, data);
  }

  /** A SYN with TCP options: an MSS, at an even place or at an odd one, or none, or a list that is cut off. */
  #offer(ports: { from: number; to: number }): Payload {
    const { random } = this;
    const offer = random.pick([536, 1220, 1360, 1440, 1460, 8960, 65_535]);
    const mss = random.chance(0.9) ? [2, random.chance(0.95) ? 4 : random.below(7), offer >> 8, offer & 255] : [];
    const filler = (): number[] =>
      random.pick([[], [], [1], [1, 1], [4, 2], [3, 3, 7], [8, 10, 0, 0, 0, 1, 0, 0, 0, 0]]);
    const bytes = [...filler(), ...filler(), ...mss, ...filler(), ...(random.chance(0.1) ? [0] : [])];
    const options = Buffer.alloc(Math.ceil(Math.min(bytes.length, 40) / 4) * 4, random.pick([0, 1]));
    options.set(bytes.slice(0, 40));
    return tcp({ ...ports, flags: random.pick(['S', 'S', 'SA', 'A']), options }, random.bytes(random.pick([0, 0, 12])));
  }

  #payload(target: Target, v6: boolean): Payload {
    const { random } = this;
    const ports = {
      from: 1024 + random.below(this.options.portsPerClient),
      to: random.chance(0.02) ? random.below(65_536) : target.port,
    };
    const quic = target.quic && random.chance(0.9) ? this.#datagram(target.quic) : null;
    const data = quic ?? random.bytes(random.pick([0, 0, 1, 20, 60]));
    const kind = random.below(50);
    if (kind === 0) return v6 ? icmp6(random.pick([128, 135]), 0, data) : icmp4(3, 4, data);
    if (kind === 1) return raw(random.below(256), data);
    if (kind === 2 && v6) return header6(random.pick([0, 43, 44, 51, 60, 135]), tcp({ ...ports, flags: 'A' }, data));
    if (kind === 3) return tcp({ ...ports, flags: 'A' }, Buffer.alloc(random.pick([1380, 1400, 1420, 1440, 1460])));
    return this.#transport(target, ports, data);
  }

  /** Ids of known servers and unknown ones, whole, too long, cut off and bent, in headers long and short. */
  #datagram({ configs, serverIds }: NonNullable<Target['quic']>): Buffer {
    const { random } = this;
    const config = random.pick(configs);
    const length = config.serverIdLength;
    const known = serverIds.filter((id) => id.length === length);
    const serverId = known.length > 0 && random.chance(0.8) ? random.pick(known) : random.bytes(length);
    const nonce = random.bytes(config.nonceLength);
    let id = connectionId({ config, serverId, nonce, low: random.below(32) });
    if (random.chance(0.1)) id = random.bytes(random.below(21));
    if (random.chance(0.1)) id = Buffer.concat([id, random.bytes(random.below(21 - Math.min(20, id.length)))]);
    if (random.chance(0.05)) id[0]! ^= 1 << random.below(8);
    if (random.chance(0.05)) id = id.subarray(0, random.below(id.length + 1));
    const rest = random.bytes(random.pick([0, 1, 3, 17, 20, 40]));
    const datagram = random.chance(0.5)
      ? shortHeader(id, rest)
      : longHeader(id, { type: random.below(4), version: random.pick([0, 1, 1, 2, 0x6b33_43cf]), rest });
    if (random.chance(0.02)) datagram[Math.min(5, datagram.length - 1)] = random.below(256);
    return random.chance(0.05) ? datagram.subarray(0, random.below(datagram.length + 1)) : datagram;
  }

  /** A test run takes no frame below 14 bytes. */
  #mutated(frame: Buffer): Buffer {
    const { random } = this;
    const copy = Buffer.from(frame);
    switch (random.below(4)) {
      case 0:
        return copy.subarray(0, 14 + random.below(copy.length - 13));
      case 1:
        for (let n = 1 + random.below(3); n > 0; n--)
          copy[random.below(Math.min(copy.length, 150))] = random.below(256);
        return copy;
      case 2:
        for (let n = 1 + random.below(3); n > 0; n--)
          copy[random.below(Math.min(copy.length, 150))]! ^= 1 << random.below(8);
        return copy;
      default:
        /* The length field of IPv4 or of IPv6. */
        if (copy.length >= 20) copy.writeUInt16BE(random.below(random.pick([64, 1600, 65_536])), random.pick([16, 18]));
        return copy;
    }
  }
}
