/** The kernel's memory beside the model's: session table, details, counters. */
import * as abi from '../../src/abi/abi.generated.js';
import { SessionState } from '../../src/abi/abi.generated.js';
import type { DataPath } from './data_path.js';
import type { DataPathModel, TrafficModel } from './model/data_path_model.js';
import type { Session } from './model/session_table.js';

export interface Differing {
  readonly what: string;
  readonly kernel: unknown;
  readonly model: unknown;
}

export class Comparison {
  readonly #slots: BigUint64Array;
  readonly #details: DataView;
  readonly #fragments: BigUint64Array;

  constructor(
    private readonly lb: DataPath,
    private readonly model: DataPathModel,
  ) {
    this.#slots = new BigUint64Array(lb.maps.sessions.mmap());
    this.#details = new DataView(lb.maps.details.mmap());
    this.#fragments = new BigUint64Array(lb.maps.fragments.mmap());
  }

  /** Tag -> backend, service, state, last seen: slot by slot of one bucket. */
  bucket(index: number): Differing | null {
    const sessions = this.model.sessions.buckets[index]!;
    for (let slot = 0; slot < sessions.length; slot++) {
      const at = (index * 4 + slot) * 2;
      const session = sessions[slot]!;
      const tag = session?.tag ?? 0n;
      if (this.#slots[at] === tag && this.#slots[at + 1] === packed(session)) continue;
      const kernel = { tag: this.#slots[at], value: this.#slots[at + 1]?.toString(16) };
      return { what: `bucket ${index} slot ${slot}`, kernel, model: { session, value: packed(session).toString(16) } };
    }
    return null;
  }

  bucketsOf(tag: bigint): Differing | null {
    const [first, second] = this.model.sessions.candidates(tag);
    return this.bucket(first) ?? this.bucket(second);
  }

  /** The whole table, with the cold entries. */
  table(): Differing | null {
    for (let index = 0; index < this.model.sessions.buckets.length; index++) {
      const differing = this.bucket(index) ?? this.#bucketDetails(index);
      if (differing) return differing;
    }
    return this.#firstFragments();
  }

  #firstFragments(): Differing | null {
    for (const [slot, held] of this.model.fragments.buckets.flat().entries()) {
      const kernel = [...this.#fragments.subarray(slot * 2, slot * 2 + 2)];
      const model = [held?.tag ?? 0n, packed(held && { ...held, state: SessionState.SESSION_ESTABLISHED })];
      if (kernel.join() !== model.join()) return { what: `slot ${slot} of first fragments`, kernel, model };
    }
    return null;
  }

  #bucketDetails(index: number): Differing | null {
    for (const [slot, session] of this.model.sessions.buckets[index]!.entries()) {
      if (!session) continue;
      const detail = abi.readSessionDetail(this.#details, (index * 4 + slot) * abi.sessionDetailSize);
      const kernel = {
        client: Buffer.from(detail.client).toString('hex'),
        clientPort: detail.clientPort,
        protocol: detail.protocol,
        service: detail.service,
        created: detail.createdTick,
      };
      const fits = detail.tagCheck === Number(session.tag >> 32n);
      if (fits && JSON.stringify(kernel) === JSON.stringify(session.detail)) continue;
      return { what: `detail of bucket ${index} slot ${slot}`, kernel, model: session.detail };
    }
    return null;
  }

  #turns(): Differing | null {
    const turns = new BigUint64Array(this.lb.maps.turns.mmap());
    return this.#counted('turns of pool', this.model.schedulers.turns, (pool) => turns[(pool * abi.turnSize) / 8]!);
  }

  #loads(): Differing | null {
    const words = new BigInt64Array(this.lb.maps.loads.mmap());
    const made = (id: number): bigint => words[(id * abi.loadSize + abi.loadOffset.made) / 8]!;
    return this.#counted('sessions made for backend', this.model.schedulers.made, made);
  }

  #counted(what: string, model: ReadonlyMap<number, number>, count: (id: number) => bigint): Differing | null {
    for (const [id, expected] of model) {
      if (count(id) !== BigInt(expected)) return { what: `${what} ${id}`, kernel: count(id), model: expected };
    }
    return null;
  }

  /** What limits have counted. */
  limits(): Differing | null {
    const view = new DataView(this.lb.maps.limits.mmap());
    for (const [id, count] of this.model.admission.counts) {
      const { busyUntil, made, ended } = abi.readLimit(view, id * abi.limitSize);
      const kernel = [BigInt.asIntN(64, busyUntil), made, ended];
      const model = [count.busyUntil, count.made, count.ended];
      if (kernel.join() !== model.join()) return { what: `limit ${id}`, kernel, model };
    }
    return null;
  }

  refusals(): Differing | null {
    const kernelOf = this.lb.control.limitRows.refusals(this.lb.maps.limits.info.maxEntries - 1);
    for (const [id, { refused }] of this.model.admission.counts) {
      const kernel = kernelOf(id).map(Number);
      if (kernel.join() !== refused.join()) return { what: `refusals of limit ${id}`, kernel, model: refused };
    }
    return null;
  }

  /** Cells of clients, and receipts. */
  cells(): Differing | null {
    const { sources, receipts } = this.model.admission;
    const cells = new BigUint64Array(this.lb.maps.sources.mmap());
    for (const [cell, level] of sources) {
      const kernel = BigInt.asIntN(64, cells[cell]!);
      if (kernel !== level) return { what: `source cell ${cell}`, kernel, model: level };
    }
    const held = new BigUint64Array(this.lb.receipts);
    let found = 0;
    for (const word of held) if (word !== 0n) found++;
    if (found !== receipts.size) return { what: 'receipts', kernel: found, model: receipts.size };
    for (const [cell, { tag, tick }] of receipts) {
      const model = (tag << 16n) | BigInt(tick);
      if (held[cell] !== model) return { what: `receipt ${cell}`, kernel: held[cell], model };
    }
    return null;
  }

  /** What other nodes are told of since this was asked last. */
  told(): Differing | null {
    const [kernel, model] = [this.lb.told(), this.model.sessions.told.splice(0)];
    return kernel.join() === model.join() ? null : { what: 'what is told to other nodes', kernel, model };
  }

  /** Each reason and each table event, so far. */
  counts(): Differing | null {
    const words = this.lb.maps.counters.sumRange(0, 1);
    const expected = [...this.model.reasons, ...this.model.sessions.events];
    const at = expected.findIndex((count, i) => BigInt(count) !== words[i]);
    return at < 0 ? null : { what: `counter ${at}`, kernel: words[at], model: expected[at] };
  }

  traffic(): Differing | null {
    return (
      this.#turns() ??
      this.#loads() ??
      trafficOf('service', this.lb.counters.services(this.lb.maps.services.info.maxEntries - 1), this.model.services) ??
      trafficOf('backend', this.lb.counters.backends(this.lb.maps.backends.info.maxEntries - 1), this.model.backends)
    );
  }
}

function packed(session: Pick<Session, 'backend' | 'service' | 'seen' | 'state'> | null): bigint {
  if (!session) return 0n;
  const low = BigInt(session.backend + session.service * 65_536);
  return low | (BigInt(session.seen) << 32n) | (BigInt(session.state) << 56n);
}

function trafficOf(
  what: string,
  count: (id: number) => { packets: bigint; bytes: bigint; sessions: bigint; noSession: bigint },
  model: ReadonlyMap<number, TrafficModel>,
): Differing | null {
  for (const [id, expected] of model) {
    const { packets, bytes, sessions, noSession } = count(id);
    const kernel = [packets, bytes, sessions, noSession].map(Number);
    const wanted = [expected.packets, expected.bytes, expected.sessions, expected.noSession];
    if (kernel.join() !== wanted.join()) return { what: `${what} ${id}`, kernel, model: wanted };
  }
  return null;
}
