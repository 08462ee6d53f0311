import type { QuicConfig } from '../../src/config/desired.js';
import { connectionId, shortHeader as quicShortHeader } from '../support/quic.js';

/** What a listener with the scheduler QCH is given, and the ids that the driver's QUIC packets carry. */
export const quicConfigs = {
  plain: { id: 0, serverIdLength: 2, nonceLength: 6, key: null },
  sealed: { id: 1, serverIdLength: 2, nonceLength: 14, key: Buffer.from('8f95f09245765f80256934e50c66207f', 'hex') },
} as const satisfies Record<string, QuicConfig>;
/** Of the n-th backend, from 1. */
export const quicServerId = (n: number): Buffer => Buffer.from([0x5a, n]);
const idOf = (config: QuicConfig): Buffer =>
  connectionId({ config, serverId: quicServerId(7), nonce: Buffer.alloc(config.nonceLength, 0x77) });
const quicIds = { plain: idOf(quicConfigs.plain), sealed: idOf(quicConfigs.sealed) };
const shortHeader = (id: Uint8Array): Buffer => quicShortHeader(id, Buffer.alloc(0));

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
  /* Short headers whose ids name a server, where the listener reads them. */
  quic4: { driver: 'quic4', ...session, payload: shortHeader(quicIds.plain).toString('hex') },
  'quic4-sealed': { driver: 'quic4', ...session, payload: shortHeader(quicIds.sealed).toString('hex') },
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
