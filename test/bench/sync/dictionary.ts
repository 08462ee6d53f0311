const BACKENDS = 16;
const NEVER_TICKS = 60_000;

/** One listener, 16 backends (as offer.c has them), called the same on all nodes. */
export const dictionary = {
  serviceWire: Uint32Array.of(0, 0x1000_0001),
  servicePool: Uint16Array.of(0, 1),
  serviceProtocol: Uint8Array.of(0, 6),
  backendWire: Uint32Array.from({ length: BACKENDS + 1 }, (_, i) => (i === 0 ? 0 : 0x2000_0000 + i)),
  backendPool: Uint16Array.from({ length: BACKENDS + 1 }, (_, i) => (i === 0 ? 0 : 1)),
  timeouts: new Uint16Array(8).fill(NEVER_TICKS),
};
