import type {
  SyncAddress,
  SyncCounts,
  SyncEngineOptions,
  SyncEvents,
  SyncKey,
  SyncPeerCounts,
  SyncTable,
} from '../dataplane/addon.js';

/** What this room needs from outside. The addon's SyncTable and SyncEngine fit as they are. */

export interface Clock {
  /** Never goes back; fractions allowed. */
  monotonicMs(): number;
  /** Since 1970. */
  wallMs(): number;
  /** Runs once, not before `delayMs` have passed. Returns the canceller. */
  after(delayMs: number, run: () => void): () => void;
}

/** So many bytes that nobody can guess. */
export type RandomBytes = (count: number) => Uint8Array;

export type TablePort = Pick<SyncTable, 'setDictionary' | 'setClock' | 'digest' | 'export' | 'import'>;

export interface EnginePort {
  setKeys(keys: readonly SyncKey[]): void;
  admit(node: number, boot: bigint): void;
  forget(node: number): void;
  control(body: Uint8Array, to: SyncAddress | null): void;
  counters(): SyncCounts;
  peers(): readonly SyncPeerCounts[];
  /** Of sending: ENETUNREACH, EPERM; null: what was sent last went out. */
  sendError(): string | null;
  close(): void;
}

export type EngineFactory = (options: SyncEngineOptions, onEvents: (events: SyncEvents) => void) => EnginePort;

/** Counts and sums of a node's sessions by range of tags. */
export interface RangeDigest {
  readonly boot: bigint;
  readonly counts: ArrayLike<number>;
  readonly sums: ArrayLike<bigint>;
}

export interface FetchRequest {
  /** 0n: from the start. */
  readonly cursor: bigint;
  /** Of the node at whose table the cursor points; 0n with cursor 0n. */
  readonly boot: bigint;
  /** With `wanted`: the ranges alone that it lists. */
  readonly ranges: number;
  readonly wanted: readonly number[] | null;
}

export interface Chunk {
  readonly boot: bigint;
  /** Of what follows; 0n: this is the last. */
  readonly cursor: bigint;
  readonly records: Uint8Array;
  /** Sessions in the table at the start. */
  readonly expected: number;
}

/** What a node answers its peers. */
export interface PeerHandlers {
  digest(ranges: number): Promise<RangeDigest>;
  fetch(request: FetchRequest, signal: AbortSignal): AsyncIterable<Chunk>;
  purge(filter: Uint8Array): Promise<number>;
}

/** All of them reject with TransferError. */
export interface PeerClient {
  digest(ranges: number): Promise<RangeDigest>;
  fetch(request: FetchRequest, signal: AbortSignal): AsyncIterable<Chunk>;
  purge(filter: Uint8Array): Promise<number>;
  close(): void;
}

/** Whom a client means to speak to: tokens are for this boot alone. */
export interface TransferTarget {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly boot: bigint;
}

/** Who this node is in tokens, and by which keys. */
export interface Identity {
  readonly node: number;
  readonly boot: bigint;
  keys(): readonly SyncKey[];
}

export interface TransferServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface TransferPort {
  /** @throws UnavailableError when the address is taken; InvalidError when a certificate cannot be used. */
  serve(
    handlers: PeerHandlers,
    options: { address: string; port: number; identity: Identity },
  ): Promise<TransferServer>;
  connect(target: TransferTarget, identity: Identity): PeerClient;
}

/** The transfer broke, or was refused. `again`: the same peer may answer later. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
  constructor(
    message: string,
    readonly again: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
