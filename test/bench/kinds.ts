/** Packet kinds of the driver, and what the load balancer is to do with each. */
export interface KindSpec {
  /** The driver's word for it. */
  readonly driver: string;
  /** Addresses that are no VIPs. */
  readonly miss?: boolean;
  readonly verdict: 'XDP_TX' | 'XDP_PASS';
  /** It goes to a backend, encapsulated where the mode says so. */
  readonly forwarded: boolean;
  /** Each flow was opened by another packet, once. */
  readonly opened?: boolean;
  /** What each flow leaves. */
  readonly session: 'established' | 'young' | 'none';
  /** What the yardstick, which knows TCP and UDP alone, does with it; undefined: the same. */
  readonly yardstick?: 'XDP_PASS' | 'XDP_DROP' | 'XDP_TX';
  /** Bytes of UDP payload to begin with, hex: the driver's -q. */
  readonly payload?: string;
}

const session = { verdict: 'XDP_TX', forwarded: true, session: 'established' } as const;
const stateless = { verdict: 'XDP_TX', forwarded: true, session: 'none' } as const;

export const kindSpecs = {
  'tcp4-ack': { driver: 'tcp4-ack', ...session, opened: true },
  'tcp4-syn': { driver: 'tcp4-syn', ...stateless },
  'tcp6-ack': { driver: 'tcp6-ack', ...session, opened: true },
  'tcp6-syn': { driver: 'tcp6-syn', ...stateless },
  udp4: { driver: 'udp4', ...session },
  udp6: { driver: 'udp6', ...session },
  'icmp4-too-big': { driver: 'icmp4-ptb-tcp', ...stateless, opened: true, yardstick: 'XDP_PASS' },
  'icmp6-too-big': { driver: 'icmp6-ptb-tcp', ...stateless, opened: true, yardstick: 'XDP_PASS' },
  /** Later fragments of datagrams whose first ones were seen. */
  frag4: { driver: 'frag4', ...stateless, session: 'young', opened: true, yardstick: 'XDP_DROP' },
  miss4: { driver: 'tcp4-ack', miss: true, verdict: 'XDP_PASS', forwarded: false, opened: true, session: 'none' },
  miss6: { driver: 'tcp6-ack', miss: true, verdict: 'XDP_PASS', forwarded: false, opened: true, session: 'none' },
} as const satisfies Record<string, KindSpec>;

export type Kind = keyof typeof kindSpecs;
export const kinds = Object.keys(kindSpecs) as readonly Kind[];

export function specOf(kind: Kind): KindSpec {
  return kindSpecs[kind];
}
