/**
 * The whole contract of the native addon, long because it is all in one place. It moves bytes and handles and holds no
 * policy: what to load, when to attach and what a value means is decided in TypeScript. Only `src/dataplane/addon.ts` may import it.
 *
 * Errors: every failing call throws a {@link NativeError}. `close()` is idempotent everywhere; any other call on a
 * closed handle throws code `ERR_CLOSED`. "Absent" is `null`.
 * Owners: an object keeps its descriptor until `close()` or GC; an mmap keeps the mapping alive on its own.
 */

export interface NativeError extends Error {
  /** errno name ("EPERM"), or "ERR_CLOSED", "ERR_ARG", "LIBBPF_<n>" for libbpf's own codes from 4000 on. */
  readonly code: string;
  readonly errno: number;
  /** What was tried: "bpf_object__load", "mmap", "bind". */
  readonly syscall: string;
  /** What libbpf and the verifier printed during this call; null when they printed nothing. */
  readonly log: string | null;
}

export interface MapInfo {
  readonly id: number;
  /** enum bpf_map_type, numeric. */
  readonly type: number;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface ProgramInfo {
  readonly id: number;
  readonly type: number;
  readonly name: string;
  /** 8 bytes, hex. */
  readonly tag: string;
  readonly verifiedInstructions: number;
  readonly jitedBytes: number;
  /** From kernel.bpf_stats_enabled; 0 when off. */
  readonly runCount: bigint;
  readonly runTimeNs: bigint;
}

export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0 when the device is gone. */
  readonly ifindex: number;
}

export interface LoadOptions {
  /** Initial values of `const volatile` globals, by variable name; sizes must match. */
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Use these pinned maps instead of creating new ones: map name to path. Another shape throws EINVAL. */
  readonly reuse?: Readonly<Record<string, string>>;
  /** Load XDP programs with BPF_F_XDP_HAS_FRAGS (kernel 5.18). */
  readonly frags?: boolean;
  /** Program names to load; all of them by default. */
  readonly programs?: readonly string[];
}

export type XdpMode = 'native' | 'generic';

export class BpfObject {
  /** Opens and loads an object file. Synchronous: tens of milliseconds for the verifier. */
  static load(path: string, options?: LoadOptions): BpfObject;
  /** Throws ENOENT for an unknown name. The handle stays valid after the object is closed (own descriptor). */
  map(name: string): BpfMap;
  program(name: string): BpfProgram;
  /** Without the globals' own maps (.rodata, .bss), which `map` gives by these names. */
  readonly mapNames: readonly string[];
  readonly programNames: readonly string[];
  close(): void;
}

export class BpfMap {
  static openPinned(path: string): BpfMap;
  readonly info: MapInfo;
  /** Bytes of one value as user space sees it: valueSize, or roundup(valueSize, 8) x possible CPUs for per-CPU maps. */
  readonly valueBytes: number;
  lookup(key: Uint8Array): Uint8Array | null;
  /** flags: BPF_ANY 0, BPF_NOEXIST 1, BPF_EXIST 2. */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** False when the key was not there. */
  delete(key: Uint8Array): boolean;
  /** Every entry, keys and values each packed in order (batch operation where the map type has one). */
  entries(): { count: number; keys: Uint8Array; values: Uint8Array };
  /**
   * Up to `limit` entries from a cursor on, null: from the first; `cursor` null: the end. Entries that come or go
   * meanwhile may be missed, and may make the walk begin anew. Not for hash maps.
   */
  entriesFrom(cursor: Uint8Array | null, limit: number): { count: number; keys: Uint8Array; values: Uint8Array; cursor: Uint8Array | null };
  /** Removes those of count packed keys that are there. */
  deleteBatch(keys: Uint8Array, count: number): void;
  /** count entries, packed keys and values. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void;
  /** Elements first .. first+count-1 of an array map, packed. */
  readRange(first: number, count: number): Uint8Array;
  /** Per-CPU array of u64 words: for elements first .. first+count-1 the sums over all CPUs, words in order. */
  sumRange(first: number, count: number): BigUint64Array;
  /** Maps a BPF_F_MMAPABLE array, whole, read-write, shared with the kernel. The same buffer on every call. */
  mmap(): ArrayBuffer;
  pin(path: string): void;
  close(): void;
}

export interface TestRunOptions {
  readonly data?: Uint8Array;
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
  /** Room for the output frame; default data.length + 256. */
  readonly outBytes?: number;
}

export class BpfProgram {
  static openPinned(path: string): BpfProgram;
  readonly info: ProgramInfo;
  pin(path: string): void;
  /** BPF_PROG_TEST_RUN. */
  testRun(options: TestRunOptions): { retval: number; data: Uint8Array; ctx: Uint8Array | null; durationNs: number };
  /**
   * BPF_PROG_TEST_RUN with a live frame: it goes through the program as if it had come in by this interface, and what
   * the verdict says happens to it. EINVAL: a kernel before 5.18; ENODEV: no such interface. What the driver then
   * cannot send (no ndo_xdp_xmit) is lost without an error.
   */
  inject(frame: Uint8Array, from: { readonly ifindex: number; readonly queue: number }): void;
  /** By bpf_link, so that the attachment is exchanged in one step by {@link BpfLink.update}. */
  attachXdp(ifindex: number, mode: XdpMode): BpfLink;
  /** clsact filter in direct-action mode (kernel 5.15 has no tcx); replaces a filter with the same handle and priority. */
  attachTc(ifindex: number, where: 'ingress' | 'egress', handle: number, priority: number): void;
  close(): void;
}

/** Removes a filter made by attachTc, and leaves the clsact qdisc; false when it was not there. */
export function detachTc(ifindex: number, where: 'ingress' | 'egress', handle: number, priority: number): boolean;
/** Program id of a filter made by attachTc, or null. */
export function queryTc(ifindex: number, where: 'ingress' | 'egress', handle: number, priority: number): number | null;
/** Ids of the maps that a loaded program uses; null when there is no such program any more. */
export function programMaps(id: number): readonly number[] | null;
/** Program attached to a device, with the mode it runs in; null when none. */
export function queryXdp(ifindex: number): { mode: XdpMode | 'offload'; programId: number } | null;

export class BpfLink {
  static openPinned(path: string): BpfLink;
  readonly info: LinkInfo;
  update(program: BpfProgram): void;
  pin(path: string): void;
  /** BPF_LINK_DETACH: the device is free at once, even while a pin exists. */
  detach(): void;
  close(): void;
}

/** Drains a BPF ring buffer on a thread of its own and delivers batches on the main thread. */
export class RingReader {
  /**
   * @param onBatch records packed one behind the other, each u32 length (host order), then the record padded to 8
   * bytes, so that the next begins 4 + roundup(length, 8) further; `lost` counts records dropped since the last batch because the main thread was too far behind.
   */
  constructor(map: BpfMap, options: { maxBatchBytes?: number; maxPendingBytes?: number }, onBatch: (records: Uint8Array, count: number, lost: number) => void);
  close(): void;
}

export interface SweepOptions {
  /** 16-byte slots (mmap of `sessions`). */
  readonly sessions: ArrayBuffer;
  /** Now, in ticks (24 bits). */
  readonly nowTick: number;
  /** Idle ticks allowed by [service * 4 + (state & 3)]; 0 = the service is gone (or its persistence), all is cleared. */
  readonly timeouts: Uint16Array;
  /** Clear what is expired; otherwise only count. */
  readonly expire: boolean;
  /** Clear every session of these backends / services (bitmaps by id, 65536 bits); null = none. */
  readonly purgeBackends: Uint8Array | null;
  readonly purgeServices: Uint8Array | null;
}

export interface SweepResult {
  /** By state 0..15, after expiry. State 0 = slots claimed but never finished. */
  readonly byState: Uint32Array;
  /** By service id, live sessions (young, established, closing). 65536 entries. */
  readonly byService: Uint32Array;
  /** Likewise, without those that are closing. */
  readonly openByService: Uint32Array;
  readonly byBackend: Uint32Array;
  /** Of these, young and established. */
  readonly openByBackend: Uint32Array;
  /** Entries of source persistence, confirmed or not. */
  readonly sourcesByService: Uint32Array;
  readonly sourcesByBackend: Uint32Array;
  readonly expired: number;
  readonly purged: number;
  /** Index of slots claimed (tag set, value 0): seen in two sweeps running = left by a crash. */
  readonly unfinished: Uint32Array;
}

/** Walks the session table on a thread of the pool. The layout is bpf/abi_types.h `struct session_slot`. */
export function sweepSessions(options: SweepOptions): Promise<SweepResult>;
/** Clears one slot if its tag still is `tag` (value first, then tag); false when it was taken by another flow. */
export function clearSlot(sessions: ArrayBuffer, slot: number, tag: bigint): boolean;

/** Memory of the maps `sessions` and `details`. */
export interface SessionMemory {
  readonly sessions: ArrayBuffer;
  readonly details: ArrayBuffer;
}

export interface MigrateOptions {
  readonly from: SessionMemory;
  /** Of any number of buckets. */
  readonly to: SessionMemory;
  readonly nowTick: number;
  /** As of a sweep: what is expired, or of a service that is gone, is left behind. */
  readonly timeouts: Uint16Array;
  /**
   * As large as `from.sessions`, zero before the first walk: what was copied, so that the walks after it take what has
   * changed alone.
   */
  readonly copied: ArrayBuffer;
}

export interface MigrateResult {
  readonly inserted: number;
  /** Were there, and are newer now. */
  readonly updated: number;
  /** Were there, as new or newer. */
  readonly kept: number;
  readonly expired: number;
  /** Nothing gives way here. */
  readonly noRoom: number;
}

/** Copies what lives in one session table into another, by the rules of bpf/session_insert.h. Either may be in use. */
export function migrateSessions(options: MigrateOptions): MigrateResult;

/**
 * Fills one struct maglev_table on a thread of the pool: the turns of src/compile/maglev.ts, in C++. `walks`: for each
 * member, in order, u32 first slot, u32 skip, u32 weight (above 0), u32 backend. Resolves to 131,080 bytes.
 */
export function fillMaglev(walks: Uint8Array): Promise<Uint8Array>;

/** A raw netlink socket (NETLINK_ROUTE) in the network namespace of the process. Encoding is TypeScript's. */
export class NetlinkSocket {
  /** groups: RTNLGRP numbers to join. onMessages: one datagram (may hold several nlmsghdr); overrun = ENOBUFS, resync. */
  constructor(groups: readonly number[], onDatagram: (datagram: Uint8Array | null, overrun: boolean) => void);
  send(message: Uint8Array): void;
  close(): void;
}

export type ProbeKind = 'tcp' | 'udp';

export interface ProbeRequest {
  /** Echoed in the result; unique among those under way. */
  readonly id: number;
  readonly kind: ProbeKind;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** SO_MARK; 0 = none. */
  readonly mark: number;
  readonly timeoutMs: number;
  /** Sent after connecting (tcp) or as the datagram (udp). null: tcp = connect only; udp = one empty datagram. */
  readonly send: Uint8Array | null;
  /** Bytes of reply to collect at most; 0 = none awaited. tcp: until EOF, this many bytes or `until` was seen. */
  readonly receive: number;
  /** Stop reading once these bytes were seen (for example CR LF CR LF); null = read until `receive` or EOF. */
  readonly until: Uint8Array | null;
  /** Hand over the connected tcp socket's descriptor instead of closing it (for TLS). */
  readonly handOver: boolean;
}

export interface ProbeResult {
  readonly id: number;
  /** null = done; else errno name: ECONNREFUSED, ETIMEDOUT, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EMFILE... */
  readonly error: string | null;
  readonly elapsedUs: number;
  readonly data: Uint8Array | null;
  /** With handOver: the connected descriptor, now the caller's; else -1. */
  readonly fd: number;
}

/**
 * Non-blocking probes on one epoll thread. tcp ends with FIN (shutdown, drain, close), not RST. udp: a connected
 * socket; an ICMP error shows as ECONNREFUSED / EHOSTUNREACH; with `receive` 0 silence until the timeout is success.
 */
export class Prober {
  constructor(onResults: (results: readonly ProbeResult[]) => void);
  start(requests: readonly ProbeRequest[]): void;
  cancel(ids: readonly number[]): void;
  close(): void;
}

/**
 * The session table as the data path and this process share it, with what its numbers are called on other nodes.
 * Merging, packing and comparing: src/sync/README.md has the records and the rules. Calls that walk the table run on a
 * thread of the pool.
 */
export class SyncTable {
  /** Memory of the maps `sessions` (whole buckets) and `details`; in tests any memory of these shapes. */
  constructor(memory: { readonly sessions: ArrayBuffer; readonly details: ArrayBuffer });
  /**
   * As src/sync/types.ts `Dictionary`; copied. In force for all that begins after the call. Returns how many numbers
   * share their wire id with another (of the same pool): what comes by that id goes to the first.
   */
  setDictionary(dictionary: {
    readonly serviceWire: Uint32Array;
    readonly servicePool: Uint16Array;
    readonly serviceProtocol: Uint8Array;
    readonly backendWire: Uint32Array;
    readonly backendPool: Uint16Array;
    readonly timeouts: Uint16Array;
  }): number;
  /** `tick` (24 bits) was now at this time of CLOCK_MONOTONIC. `tickNs` 0: it stands still, until set again (simulation). */
  setClock(clock: { readonly tick: number; readonly monotonicNs: bigint; readonly tickNs: number }): void;
  /**
   * Counts and sums by range (upper bits of the tag) of what has to be equal on all nodes: established sessions, and
   * clients kept to a backend. `ranges` is a power of two up to 65,536.
   */
  digest(ranges: number): Promise<{ readonly counts: Uint32Array; readonly sums: BigUint64Array }>;
  /**
   * Up to `limit` live sessions (young, established and closing, and clients kept to a backend) from slot `cursor` on, packed as in PeerSessions.records; of the ranges in `wanted` (a
   * bitmap of `ranges` bits) alone, or of all with null. `cursor` null: the end.
   */
  export(options: {
    readonly cursor: number;
    readonly limit: number;
    readonly ranges: number;
    readonly wanted: Uint8Array | null;
  }): Promise<{ readonly records: Uint8Array; readonly count: number; readonly cursor: number | null }>;
  /** Merges packed records. `origin`: of session_detail. Malformed: throws ERR_ARG and nothing was merged. */
  import(records: Uint8Array, origin: number): Promise<SyncMerged>;
}

export interface SyncMerged {
  readonly applied: number;
  /** What the table has is as new, or newer. */
  readonly stale: number;
  /** Of a listener or backend that this node does not know. */
  readonly unknown: number;
  readonly noRoom: number;
}

export interface SyncKey {
  /** On the wire. */
  readonly id: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

export interface SyncCoreOptions {
  readonly table: SyncTable;
  /** Memory of the map `session_log`: one struct session_log for each CPU; null: nothing is announced. */
  readonly log: ArrayBuffer | null;
  /** 32 bits, of this node's name. */
  readonly node: number;
  /** Greater than that of this node's boots before. */
  readonly boot: bigint;
  /** The first signs; at most 8 are accepted. */
  readonly keys: readonly SyncKey[];
  readonly recordsPerSecond: number;
  /** Of a datagram's UDP payload; 1400 unless set. */
  readonly datagramBytes?: number;
}

/** What the protocol found for TypeScript to decide about. */
export interface SyncEvents {
  /** Authenticated CONTROL datagrams. `admitted`: of a boot that was admitted; others have proved nothing but the key. */
  readonly control: readonly SyncControl[];
  /** Boots whose missing datagrams are past asking for: compare tables. */
  readonly lost: readonly { readonly node: number; readonly boot: bigint; readonly datagrams: number }[];
  /** Own announcements that were left out (log overrun, rate): peers have to compare tables with this node. */
  readonly unannounced: number;
}

export interface SyncControl {
  readonly node: number;
  readonly boot: bigint;
  readonly admitted: boolean;
  readonly from: SyncAddress;
  readonly body: Uint8Array;
}

export interface SyncAddress {
  readonly address: string;
  readonly port: number;
}

/** By the names of src/sync/types.ts SyncCounters. */
export type SyncCounts = Readonly<Record<string, bigint>>;

export interface SyncPeerCounts {
  readonly node: number;
  readonly boot: bigint;
  readonly datagrams: bigint;
  readonly records: bigint;
  readonly missed: bigint;
  readonly repaired: bigint;
  readonly givenUp: bigint;
}

/**
 * The protocol without sockets, threads or clock: for simulation and fuzzing. `nowNs` is any clock that never goes back.
 * SyncEngine drives the very same code.
 */
export class SyncCore {
  constructor(options: SyncCoreOptions);
  setKeys(keys: readonly SyncKey[]): void;
  setRate(recordsPerSecond: number): void;
  admit(node: number, boot: bigint): void;
  forget(node: number): void;
  /** One datagram as it came in. */
  receive(datagram: Uint8Array, from: SyncAddress, nowNs: bigint): void;
  /** Many, each behind its length (u32); how many there were. */
  receiveAll(datagrams: Uint8Array, from: SyncAddress, nowNs: bigint): number;
  /**
   * An authenticated CONTROL datagram; `to` null: to everyone. Throws ERR_ARG for a body of more than `datagramBytes` -
   * 64 bytes, and ENOBUFS when 256 are waiting to be sent.
   */
  control(body: Uint8Array, to: SyncAddress | null): void;
  /** Drains the log, asks for what is missing, answers those who ask: what is to be sent now (`to` null: to everyone). */
  poll(nowNs: bigint): readonly { readonly to: SyncAddress | null; readonly datagram: Uint8Array }[];
  events(): SyncEvents;
  counters(): SyncCounts;
  peers(): readonly SyncPeerCounts[];
}

export interface SyncEngineOptions extends SyncCoreOptions {
  readonly interface: string;
  /** Own address on it, of the family of group or peers. */
  readonly address: string;
  /** Multicast group; null: `peers`. */
  readonly group: string | null;
  readonly port: number;
  /** Unicast destinations of what is to everyone, where there is no group. */
  readonly peers: readonly string[];
}

/** SyncCore on a UDP socket, by a thread of its own: sendmmsg, recvmmsg, a look at the log every millisecond or so. */
export class SyncEngine {
  /** @throws NativeError of socket, bind, IP_ADD_MEMBERSHIP, naming address and interface. */
  constructor(options: SyncEngineOptions, onEvents: (events: SyncEvents) => void);
  setKeys(keys: readonly SyncKey[]): void;
  setRate(recordsPerSecond: number): void;
  setPeers(peers: readonly string[]): void;
  admit(node: number, boot: bigint): void;
  forget(node: number): void;
  control(body: Uint8Array, to: SyncAddress | null): void;
  counters(): SyncCounts;
  peers(): readonly SyncPeerCounts[];
  /** Name of the last error of sending (ENETUNREACH, EPERM, ENOBUFS); null once what was sent last went out. */
  sendError(): string | null;
  /** CPU of the thread so far. */
  cpuNs(): bigint;
  close(): void;
}

/** The MAC of datagrams: BLAKE2b of 16 bytes, keyed with 32 bytes. */
export function syncMac(key: Uint8Array, data: Uint8Array): Uint8Array;

/** A datagram to systemd's notification socket (sd_notify(3)); `path` may begin with "@". */
export function notifySystemd(path: string, state: string): void;

/**
 * Waits until every BPF program that was running at the call has returned (an RCU grace period, 10 to 20 ms). False: this
 * kernel cannot say (nohz_full).
 */
export function awaitPrograms(): Promise<boolean>;
/** Gives free memory of the C heap back to the kernel (malloc_trim). */
export function releaseFreeMemory(): void;
/** Ticks per second of jiffies: 1e9 / clock_getres(CLOCK_MONOTONIC_COARSE). */
export function kernelHz(): number;
export function possibleCpus(): number;
/** null when there is no such interface. */
export function interfaceIndex(name: string): number | null;
export function interfaceName(index: number): string | null;
/** statfs type of a directory is BPF_FS_MAGIC. */
export function isBpffs(path: string): boolean;
/** Mounts a bpffs at a directory; EBUSY when one is there. */
export function mountBpffs(path: string): void;
/** libbpf's version, "1.1". */
export const libbpfVersion: string;
