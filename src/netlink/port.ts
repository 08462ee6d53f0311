/** A raw NETLINK_ROUTE socket; the addon's NetlinkSocket is one. */
export interface NetlinkConnection {
  /** Several messages, one behind the other, go in one call. Throws when the kernel refuses it. */
  send(messages: Uint8Array): void;
  close(): void;
}

/**
 * Opens a socket in the network namespace of the process.
 * `groups`: RTNLGRP numbers. A datagram holds one or more messages; `overrun` (ENOBUFS): messages were lost.
 */
export type NetlinkPort = new (
  groups: readonly number[],
  onDatagram: (datagram: Uint8Array | null, overrun: boolean) => void,
) => NetlinkConnection;

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds, monotonic. */
  nowMs(): number;
  after(delayMs: number, action: () => void): Timer;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
