/** Echo requests and ICMP errors with every kind of quote, right and wrong. */
import { fragment6, header6 } from './fragments.js';
import { type IpPacket, ip4, ip6, type Payload } from './frame.js';
import type { Random } from './random.js';
import { icmp4, icmp6, raw, tcp, udp } from './transport.js';

export interface Ends {
  readonly from: string;
  readonly to: string;
  readonly ports: { readonly from: number; readonly to: number };
  readonly protocol: 'tcp' | 'udp';
  /** Addresses that the quoted packet may falsely be from. */
  readonly others: readonly string[];
}

const v4Types = [3, 3, 3, 3, 11, 11, 12, 4, 5, 0, 13];
const v6Types = [1, 2, 2, 2, 3, 4, 0, 100, 127, 129, 135, 137];

export function randomIcmp(random: Random, ends: Ends): Payload {
  const v6 = ends.to.includes(':');
  const icmp = v6 ? icmp6 : icmp4;
  const code = random.pick([0, 0, 1, 3, 4, 255]);
  if (random.chance(0.35)) {
    const data = random.chance(0.1) ? Buffer.alloc(random.below(6)) : random.bytes(4 + random.below(80));
    return icmp(v6 ? 128 : 8, random.chance(0.9) ? 0 : code, data);
  }
  const quote = quoted(random, ends).bytes(() => new Uint8Array(40));
  const whole = random.chance(0.6);
  const least = v6 ? 48 : 28;
  const length = whole ? quote.length : random.chance(0.5) ? least : random.below(quote.length + 1);
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(random.pick([0, 1280, 1400]), 2);
  return icmp(random.pick(v6 ? v6Types : v4Types), code, Buffer.concat([rest, quote.subarray(0, length)]));
}

/** What the VIP is said to have sent to the client. */
function quoted(random: Random, { from, to, ports, protocol, others }: Ends): IpPacket {
  const back = { from: ports.to, to: ports.from };
  const data = random.bytes(random.pick([0, 20, 100]));
  const transport =
    protocol === 'tcp' ? tcp({ ...back, flags: random.pick(['A', 'SA', 'FA']) }, data) : udp(back, data);
  const payload = random.chance(0.05) ? raw(random.pick([1, 58, 47, 132]), random.bytes(20)) : transport;
  const source = random.chance(0.08) ? random.pick(others.filter((one) => one.includes(':') === to.includes(':'))) : to;
  const wrong = random.chance(0.04) ? random.below(16) : undefined;
  if (to.includes(':')) {
    return ip6(
      { from: source, to: from, version: wrong ?? 6 },
      random.chance(0.3) ? extended(random, payload) : payload,
    );
  }
  const options = random.chance(0.2) ? random.bytes(4 * random.below(11)) : new Uint8Array(0);
  const fragment = random.chance(0.1) ? random.pick([0x2000, 1, 0x2004]) : 0x4000;
  return ip4({ from: source, to: from, options, fragment, version: wrong ?? 4 }, payload);
}

const kinds = [0, 43, 51, 60, 60, 44];

/** Up to eight extension headers, now and then an odd one. */
export function extended(random: Random, payload: Payload): Payload {
  let inner = payload;
  const count = random.pick([1, 1, 2, 2, 3, 4, 6, 7, 8]);
  for (let n = count; n > 0; n--) {
    const kind = random.chance(0.15) && n === 1 ? 0 : random.pick(random.chance(0.9) ? [51, 60, 60, 43] : kinds);
    inner =
      kind === 44
        ? fragment6({ offset: 0, more: random.chance(0.5), id: random.below(4) }, inner)
        : header6(kind, inner, restOf(random, kind));
  }
  return inner;
}

function restOf(random: Random, kind: number): Buffer {
  const rest = random.bytes(8 * random.pick([1, 1, 1, 1, 2, 5, 20, 34]) - 2);
  /* A type that is not refused, and nowhere left to go. */
  if (kind === 43 && random.chance(0.8)) rest.set([random.pick([2, 3, 4]), 0]);
  return rest;
}
