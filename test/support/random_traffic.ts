/** Packets as they come, and as they should not: flows that come again, and bytes bent in every way. */
import { ethernet, extension, type IpPacket, ip4, ip6, type Payload, type VlanTag, vlan } from './frame.js';
import type { Random } from './random.js';
import { icmp4, icmp6, raw, tcp, udp } from './transport.js';

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
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
}

/** A plain flow goes on, most of the time. */
const tcpFlagMix = ['A', 'A', 'A', 'A', 'A', 'PA', 'S', 'S', 'S', 'FA', 'R', 'RA', 'SA', '', 'SF'];

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
    const v6 = to.includes(':');
    const from = v6 ? `2001:db8:100::${client.toString(16)}` : `198.51.${100 + (client >> 8)}.${client & 0xff}`;
    const payload = this.#payload(target, v6);
    const byte = random.chance(0.3) ? random.below(256) : 0;
    if (v6) return ip6({ from, to, trafficClass: byte, flowLabel: random.below(1 << 20) }, payload);
    const options4 = random.chance(0.05) ? random.bytes(4 * random.below(11)) : new Uint8Array(0);
    const fragment = random.chance(0.02) ? random.pick([0x2000, 1, 0x8000, 0x1fff]) : random.pick([0, 0x4000]);
    return ip4({ from, to, tos: byte, id: random.below(65_536), fragment, options: options4 }, payload);
  }

  #payload(target: Target, v6: boolean): Payload {
    const { random } = this;
    const ports = {
      from: 1024 + random.below(this.options.portsPerClient),
      to: random.chance(0.02) ? random.below(65_536) : target.port,
    };
    const data = random.bytes(random.pick([0, 0, 1, 20, 60]));
    const kind = random.below(50);
    if (kind === 0) return v6 ? icmp6(128, 0, data) : icmp4(3, 4, data);
    if (kind === 1) return raw(random.below(256), data);
    if (kind === 2 && v6) return extension(random.pick([0, 43, 44, 51, 60, 135]), tcp({ ...ports, flags: 'A' }, data));
    if (kind === 3) return tcp({ ...ports, flags: 'A' }, Buffer.alloc(random.pick([1380, 1400, 1420, 1440, 1460])));
    return target.protocol === 'udp'
      ? udp(ports, data)
      : tcp({ ...ports, flags: random.pick(this.options.flags ?? tcpFlagMix) }, data);
  }

  /** A test run takes no frame below 14 bytes. */
  #mutated(frame: Buffer): Buffer {
    const { random } = this;
    const copy = Buffer.from(frame);
    switch (random.below(4)) {
      case 0:
        return copy.subarray(0, 14 + random.below(copy.length - 13));
      case 1:
        for (let n = 1 + random.below(3); n > 0; n--) copy[random.below(Math.min(copy.length, 90))] = random.below(256);
        return copy;
      case 2:
        for (let n = 1 + random.below(3); n > 0; n--)
          copy[random.below(Math.min(copy.length, 90))]! ^= 1 << random.below(8);
        return copy;
      default:
        /* The length field of IPv4 or of IPv6. */
        if (copy.length >= 20) copy.writeUInt16BE(random.below(random.pick([64, 1600, 65_536])), random.pick([16, 18]));
        return copy;
    }
  }
}
