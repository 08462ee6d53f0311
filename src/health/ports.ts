/** What the engine needs from outside; the addon's `Prober` fits ProberPort as it is. */

export interface ProbeRequest {
  /** Unique among those under way. */
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** SO_MARK; 0 = none. */
  readonly mark: number;
  readonly timeoutMs: number;
  readonly send: Uint8Array | null;
  /** Bytes of reply to collect at most; 0 = none awaited. */
  readonly receive: number;
  readonly until: Uint8Array | null;
  /** Hand over the connected descriptor instead of closing it. */
  readonly handOver: boolean;
}

export interface ProbeReply {
  /** null = done; else the errno's name. */
  readonly error: string | null;
  readonly data: Uint8Array | null;
}

export interface ProbeResult extends ProbeReply {
  readonly id: number;
  readonly elapsedUs: number;
  /** With handOver: the connected descriptor, now ours; else -1. */
  readonly fd: number;
}

export interface ProberPort {
  start(requests: readonly ProbeRequest[]): void;
  /** No result is needed for these; one that comes all the same is ignored, and its descriptor closed. */
  cancel(ids: readonly number[]): void;
  close(): void;
}

export type ProberFactory = (onResults: (results: readonly ProbeResult[]) => void) => ProberPort;

export interface TlsRequest {
  /** Server name sent to the backend; null where the host is an address (RFC 6066 allows names only). */
  readonly serverName: string | null;
  readonly send: Uint8Array;
  readonly receive: number;
  readonly until: Buffer;
  readonly timeoutMs: number;
}

export interface TlsPort {
  /** Takes the descriptor over. Calls `done` once, unless the returned function cancelled before. */
  exchange(fd: number, request: TlsRequest, done: (reply: ProbeReply) => void): () => void;
  /** Closes a descriptor that nobody waits for. */
  discard(fd: number): void;
}

export interface Clock {
  /** Never goes back; fractions allowed. */
  monotonicMs(): number;
  /** Since 1970. */
  wallMs(): number;
  /** Runs once, not before `delayMs` have passed. Returns the canceller. */
  after(delayMs: number, run: () => void): () => void;
}

/** From 0 (inclusive) to 1 (exclusive), as Math.random. */
export type Random = () => number;
