import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { SyncConfig } from '../config/cluster.js';
import { SyncEngine } from '../dataplane/addon.js';
import type { SyncPorts } from './open.js';
import type { Clock } from './ports.js';
import { grpcTransfer } from './transfer/grpc.js';

/** CLOCK_MONOTONIC, as native code has it. */
export const systemClock: Clock = {
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  wallMs: Date.now,
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.ceil(delayMs));
    return () => clearTimeout(timer);
  },
};

/** Real sockets, threads, time. @throws InvalidError when a certificate cannot be used. */
export function systemPorts(config: SyncConfig): SyncPorts {
  return {
    clock: systemClock,
    random: (count) => randomBytes(count),
    engine: (options, onEvents) => new SyncEngine(options, onEvents),
    transfer: grpcTransfer({ tls: config.tls, random: randomBytes, wallMs: Date.now }),
    // Link-local ones mean nothing without an interface, which a peer's address in a token or a log does not have.
    addressOf: (interfaceName, family) =>
      networkInterfaces()[interfaceName]?.find(
        (one) => one.family === `IPv${family}` && !one.address.startsWith('fe80:'),
      )?.address ?? null,
  };
}
