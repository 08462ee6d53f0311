/** What the demo asks of the process on the client's host, and what comes back, over Node's IPC. */

export interface Tasks {
  readonly requests: { readonly params: RequestsParams; readonly result: RequestsResult };
  readonly download: { readonly params: DownloadParams; readonly result: TransferResult };
  readonly upload: { readonly params: UploadParams; readonly result: TransferResult };
  readonly echo: { readonly params: EchoParams; readonly result: EchoResult };
  readonly load: { readonly params: LoadParams; readonly result: LoadResult };
}
export type TaskName = keyof Tasks;

/** Each a TCP connection of its own, `each` to every URL. */
export interface RequestsParams {
  readonly urls: readonly string[];
  readonly each: number;
  readonly concurrency: number;
}
export interface RequestsResult {
  /** URL -> backend -> answers. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly failures: readonly string[];
  /** The client's addresses as the backends saw them. */
  readonly seenFrom: readonly string[];
  readonly medianMs: number;
  readonly p99Ms: number;
}

export interface DownloadParams {
  readonly url: string;
  readonly size: number;
  readonly seed: number;
  /** Bytes per second; null: as fast as it goes. */
  readonly pace: number | null;
  /** Connects until this backend answers; null: any. */
  readonly backend: string | null;
}
export interface UploadParams {
  readonly url: string;
  readonly size: number;
  readonly seed: number;
}
export interface TransferResult {
  readonly backend: string;
  readonly bytes: number;
  /** Offset of the first wrong byte. */
  readonly differsAt: number | null;
  /** Why it broke off. */
  readonly error: string | null;
  readonly tookMs: number;
}

export interface EchoParams {
  readonly addresses: readonly string[];
  readonly port: number;
  /** Datagrams to each address, each from a socket of its own. */
  readonly each: number;
}
export interface EchoResult {
  /** VIP -> backend -> answers. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly failures: readonly string[];
}

/** Requests without end, until stopped; each a new connection. */
export interface LoadParams {
  readonly urls: readonly string[];
  readonly clients: number;
  readonly pauseMs: number;
}
export interface LoadResult {
  /** In the order in which they ended; times since the epoch. */
  readonly requests: readonly LoadedRequest[];
}
export interface LoadedRequest {
  readonly endedAtMs: number;
  readonly backend: string | null;
  readonly error: string | null;
}

export type ToClient =
  | { readonly id: number; readonly task: TaskName; readonly params: unknown }
  | { readonly id: number; readonly stop: true };

export type FromClient =
  | { readonly id: number; readonly started: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** Comparable between processes of one machine, finer than Date.now(). */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
