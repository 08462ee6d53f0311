import { type CaptureFilter as FilterRow, Reason } from '../abi/abi.generated.js';
import type { CaptureBatch, CapturedPacket, CaptureFilter, CaptureOptions, CapturePort } from '../api/port.js';
import { InvalidError, PreconditionError } from '../base/errors.js';
import { familyOf, type Ip, ipToBytes } from '../base/ip.js';
import { protocolNumber } from '../compile/compile.js';
import type { Compiled } from '../compile/compiled.js';
import { parseCapturedPackets, type CapturedPacket as RawPacket } from '../events/captured-packets.js';
import type { DataPlaneNode, NodeCapture } from './dataplane-node.js';
import { reasons, reasonWord } from './reasons.js';

/** The data path stops capturing by itself after so long without an agent. */
const LEASE_MS = 3_000;
const RENEW_MS = 1_000;
const BATCH_MS = 100;
/** Packets that wait for a slow client; what is more is suppressed. */
const MAX_WAITING = 20_000;
/** CAPTURE_ANY_REASON of bpf/abi_capture.h. */
const ANY_REASON = 0xffff;

export interface CaptureSources {
  readonly node: Pick<DataPlaneNode, 'startCapture' | 'clock'>;
  readonly compiled: () => Compiled | null;
  readonly interfaces: () => readonly { readonly ifindex: number; readonly name: string }[];
  /** Alone with the data plane: nothing attaches or detaches meanwhile. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
}

/** One capture at a time: it swaps the program that is attached for a copy that hands packets over. */
export function createCapturePort(sources: CaptureSources): CapturePort {
  let running: { readonly sinceMs: number } | null = null;
  return {
    async *capture(options, signal) {
      if (running) {
        const since = new Date(running.sinceMs).toISOString();
        throw new PreconditionError(`a capture is running since ${since}: end it first, there is one at a time`);
      }
      const filter = filterRow(options.filter, options, sources.node.clock.tickMs);
      running = { sinceMs: Date.now() };
      try {
        yield* new Capture(sources, filter, options).batches(signal);
      } finally {
        running = null;
      }
    },
  };
}

class Capture {
  readonly #sources: CaptureSources;
  readonly #filter: Omit<FilterRow, 'until'>;
  readonly #options: CaptureOptions;
  #waiting: CapturedPacket[] = [];
  #taken = 0;
  #overflowed = 0;
  #told = 0;
  #wake = (): void => {};
  /** Of CLOCK_REALTIME over CLOCK_MONOTONIC. */
  readonly #offsetNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

  constructor(sources: CaptureSources, filter: Omit<FilterRow, 'until'>, options: CaptureOptions) {
    this.#sources = sources;
    this.#filter = filter;
    this.#options = options;
  }

  async *batches(signal: AbortSignal): AsyncGenerator<CaptureBatch, void, void> {
    const { node, exclusively, interfaces } = this.#sources;
    const capture = await exclusively(async () => node.startCapture((records, lost) => this.#take(records, lost)));
    const renew = (): void => this.#renew(capture);
    renew();
    const timer = setInterval(renew, RENEW_MS);
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake);
    const endsAtMs = this.#options.durationMs === null ? null : performance.now() + this.#options.durationMs;
    try {
      yield {
        packets: [],
        suppressed: 0,
        interfaces: interfaces().map(({ ifindex, name }) => ({ index: ifindex, name })),
      };
      while (!signal.aborted) {
        const over = endsAtMs !== null && performance.now() >= endsAtMs;
        const batch = this.#batch(capture);
        if (batch.packets.length > 0 || batch.suppressed > 0) yield batch;
        if (over || (this.#options.count !== null && this.#taken >= this.#options.count)) return;
        const leftMs = endsAtMs === null ? RENEW_MS : Math.min(RENEW_MS, endsAtMs - performance.now());
        await this.#pause(Math.max(0, leftMs));
      }
    } finally {
      clearInterval(timer);
      signal.removeEventListener('abort', wake);
      await exclusively(async () => capture.close());
    }
  }

  #renew(capture: NodeCapture): void {
    const { clock } = this.#sources.node;
    capture.setFilter({ ...this.#filter, until: (clock.now32() + Math.ceil(LEASE_MS / clock.tickMs)) >>> 0 });
  }

  #take(records: Uint8Array, lost: number): void {
    this.#overflowed += lost;
    for (const packet of parseCapturedPackets(records)) {
      if (this.#options.count !== null && this.#taken + this.#waiting.length >= this.#options.count) break;
      if (this.#waiting.length >= MAX_WAITING) this.#overflowed++;
      else this.#waiting.push(this.#named(packet));
    }
    this.#wake();
  }

  #batch(capture: NodeCapture): CaptureBatch {
    const packets = this.#waiting;
    this.#waiting = [];
    this.#taken += packets.length;
    const suppressed = capture.suppressed() + this.#overflowed;
    const batch = { packets, suppressed: suppressed - this.#told, interfaces: [] };
    this.#told = suppressed;
    return batch;
  }

  /** Until the time is over; a packet, or the client's leaving, shortens it to what fills a batch. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      let timer = setTimeout(done, ms);
      this.#wake = () => {
        this.#wake = () => {};
        clearTimeout(timer);
        timer = setTimeout(done, Math.min(ms, BATCH_MS));
      };
      if (this.#waiting.length > 0) this.#wake();
    });
  }

  #named(packet: RawPacket): CapturedPacket {
    const compiled = this.#sources.compiled();
    const service = compiled?.services.get(packet.service);
    const { reason } = packet;
    return {
      atNs: packet.monotonicNs + this.#offsetNs,
      interfaceIndex: packet.interfaceIndex,
      data: packet.frame,
      originalLength: packet.length,
      verdict: verdictOf(reason),
      reason: reason === null ? '' : reasonWord(reason),
      loadBalancer: service?.loadBalancer.name ?? '',
      listener: service?.listener.name ?? '',
      backend: compiled?.backends.get(packet.backend)?.backend.name ?? '',
    };
  }
}

function verdictOf(reason: number | null): CapturedPacket['verdict'] {
  if (reason === null) return 'forward';
  if (reason < Reason.ANSWER_ECHO) return 'pass';
  return reason < Reason.DROP_NO_LISTENER ? 'answer' : 'drop';
}

function filterRow(
  filter: CaptureFilter,
  { snapLength, rate }: CaptureOptions,
  tickMs: number,
): Omit<FilterRow, 'until'> {
  const client = masked(filter.client);
  const vip = masked(filter.vip === undefined ? undefined : { address: filter.vip, prefixLength: null });
  return {
    client: client.address,
    clientMask: client.mask,
    vip: vip.address,
    vipMask: vip.mask,
    clientPort: filter.clientPort ?? 0,
    vipPort: filter.vipPort ?? 0,
    protocol: filter.protocol === undefined ? 0 : protocolNumber[filter.protocol],
    dropsOnly: filter.dropsOnly ? 1 : 0,
    reason: filter.reason === undefined ? ANY_REASON : reasonIndex(filter.reason),
    snapLength,
    rate: Math.max(1, Math.round((rate * tickMs) / 1000)),
  };
}

/** Bits of the mapped address that have to be equal. */
function masked(prefix: { address: Ip; prefixLength: number | null } | undefined): {
  address: Uint8Array;
  mask: Uint8Array;
} {
  const mask = new Uint8Array(16);
  if (prefix === undefined) return { address: new Uint8Array(16), mask };
  const mapped = familyOf(prefix.address) === 4 ? 96 : 0;
  const bits = prefix.prefixLength === null ? 128 : prefix.prefixLength + mapped;
  for (let bit = 0; bit < bits; bit++) mask[bit >> 3]! |= 0x80 >> (bit & 7);
  return { address: ipToBytes(prefix.address), mask };
}

function reasonIndex(word: string): number {
  const found = reasons.find((reason) => reason.word === word);
  if (found) return found.index;
  const known = reasons.map((reason) => reason.word).join(', ');
  throw new InvalidError([{ field: 'filter.reason', description: `no reason "${word}"; there are: ${known}` }]);
}
