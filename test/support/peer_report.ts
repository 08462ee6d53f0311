import type { Peer } from '../../src/cluster/types.js';

/** A peer that is there and serves. */
export function peer(fields: Partial<Peer> = {}): Peer {
  return {
    name: 'lb2',
    zone: '',
    life: 'active',
    version: '0.1.0',
    configVersion: 1n,
    configDigest: 1n,
    flowKeyDigest: 1n,
    sessions: 0,
    announced: 1,
    suspect: false,
    startedAtMs: 0,
    address: '192.0.2.12',
    bootId: 1n,
    alive: true,
    lastHeardMs: 0,
    verdicts: null,
    sync: { datagrams: 0n, records: 0n, missed: 0n, repaired: 0n, givenUp: 0n, lagMs: null },
    ...fields,
  };
}
