/**
 * The session table as plain objects: two candidate buckets of four slots, the first while two are free, then the
 * emptier; else what is expired goes; else others are moved; else what is closing, young or long idle goes.
 */
import { SessionState, TableEvent } from '../../../src/abi/abi.generated.js';

export interface Session {
  readonly tag: bigint;
  backend: number;
  service: number;
  /** Tick. */
  seen: number;
  state: number;
  readonly detail: SessionOrigin;
}

export interface SessionOrigin {
  /** 16 bytes, hex. */
  readonly client: string;
  readonly clientPort: number;
  readonly protocol: number;
  readonly service: number;
  created: number;
}

const SLOTS = 4;
const TICKS = 1 << 24;
const ROOM_SKIP_LIMIT = 1024;

type Rank = 'expired' | 'closing' | 'young' | 'old' | 'none';
const ranks: readonly Rank[] = ['expired', 'closing', 'young', 'old', 'none'];
const eventOf = {
  expired: TableEvent.TABLE_REUSED_EXPIRED,
  closing: TableEvent.TABLE_EVICTED_CLOSING,
  young: TableEvent.TABLE_EVICTED_YOUNG,
  old: TableEvent.TABLE_EVICTED_OLD,
} as const;

/** Ticks allowed by service and state; 0: the service is gone. */
export type Timeouts = (service: number, state: number) => number;

export function idleTicks(now: number, seen: number): number {
  const idle = (((now - seen) % TICKS) + TICKS) % TICKS;
  return idle >= TICKS - 1 - 0xffff ? 0 : idle;
}

interface Place {
  readonly bucket: (Session | null)[];
  readonly slot: number;
}

export class SessionModel {
  readonly buckets: (Session | null)[][];
  /** Slots that other nodes are told of, in order: bpf/session_log.h. */
  readonly told: number[] = [];
  readonly events = Array.from({ length: TableEvent.TABLE_EVENT_COUNT }, () => 0);
  #roomFailures = 0;
  #roomSkip = 0;

  constructor(
    bucketCount: number,
    private readonly timeouts: Timeouts,
  ) {
    this.buckets = Array.from({ length: bucketCount }, () => Array.from({ length: SLOTS }, () => null));
  }

  candidates(tag: bigint): readonly [number, number] {
    const count = BigInt(this.buckets.length);
    const first = Number(((tag & 0xffff_ffffn) * count) >> 32n);
    const second = Number(((tag >> 32n) * count) >> 32n);
    return [first, first === second ? (first + 1) % this.buckets.length : second];
  }

  find(tag: bigint): Session | null {
    for (const index of this.candidates(tag)) {
      for (const session of this.buckets[index]!) if (session?.tag === tag) return session;
    }
    return null;
  }

  tell(session: Session): void {
    const bucket = this.candidates(session.tag).find((index) => this.buckets[index]!.includes(session))!;
    this.told.push(bucket * SLOTS + this.buckets[bucket]!.indexOf(session));
  }

  insert(session: Session, now: number): boolean {
    const [first, second] = this.candidates(session.tag).map((index) => this.buckets[index]!) as [
      Place['bucket'],
      Place['bucket'],
    ];
    const emptier = free(first) < 2 && free(second) > free(first) ? second : first;
    const place =
      this.#freePlace(emptier) ??
      this.#giveWay([first, second], now, ['expired']) ??
      this.#makeRoom(first, second) ??
      this.#giveWay([first, second], now, ['closing', 'young', 'old']);
    if (place) place.bucket[place.slot] = session;
    this.events[place ? TableEvent.TABLE_INSERTED : TableEvent.TABLE_NOT_TRACKED]!++;
    return place !== null;
  }

  #freePlace(bucket: Place['bucket']): Place | null {
    const slot = bucket.indexOf(null);
    return slot < 0 ? null : { bucket, slot };
  }

  rank(session: Session, now: number): Rank {
    const limit = this.timeouts(session.service, session.state & 3);
    const idle = idleTicks(now, session.seen);
    if (idle > limit) return 'expired';
    if (session.state === SessionState.SESSION_CLOSING) return 'closing';
    if ((session.state & 3) === SessionState.SESSION_YOUNG) return 'young';
    return idle > Math.floor(limit / 2) ? 'old' : 'none';
  }

  /** The lowest rank of both buckets, and of its members the one idle for longest, if that rank has to give way. */
  #giveWay(buckets: readonly Place['bucket'][], now: number, allowed: readonly Rank[]): Place | null {
    const all = buckets.flatMap((bucket) => bucket.map((session, slot) => ({ bucket, slot, session: session! })));
    const judged = all.map((one) => ({
      ...one,
      rank: this.rank(one.session, now),
      idle: idleTicks(now, one.session.seen),
    }));
    judged.sort((a, b) => ranks.indexOf(a.rank) - ranks.indexOf(b.rank) || b.idle - a.idle);
    const victim = judged[0]!;
    if (victim.rank === 'none' || !allowed.includes(victim.rank)) return null;
    this.events[eventOf[victim.rank]]!++;
    return victim;
  }

  /** A full table is searched ever more rarely: after n failures in a row the next 2^n searches are left out. */
  #makeRoom(first: Place['bucket'], second: Place['bucket']): Place | null {
    if (this.#roomSkip > 0) {
      this.#roomSkip--;
      return null;
    }
    const place = this.#byOne(first) ?? this.#byOne(second) ?? this.#byTwo(first) ?? this.#byTwo(second);
    if (place) {
      this.#roomFailures = 0;
      this.events[TableEvent.TABLE_MOVED]!++;
    } else {
      this.#roomFailures++;
      this.#roomSkip = Math.min(2 ** this.#roomFailures, ROOM_SKIP_LIMIT);
    }
    return place;
  }

  #otherBucket(session: Session, own: Place['bucket']): Place['bucket'] {
    const [first, second] = this.candidates(session.tag);
    return this.buckets[first] === own ? this.buckets[second]! : this.buckets[first]!;
  }

  #byOne(bucket: Place['bucket']): Place | null {
    for (let slot = 0; slot < SLOTS; slot++) {
      const other = this.#otherBucket(bucket[slot]!, bucket);
      const place = this.#freePlace(other);
      if (!place) continue;
      other[place.slot] = bucket[slot]!;
      bucket[slot] = null;
      return { bucket, slot };
    }
    return null;
  }

  #byTwo(bucket: Place['bucket']): Place | null {
    for (let slot = 0; slot < SLOTS; slot++) {
      const other = this.#otherBucket(bucket[slot]!, bucket);
      const place = this.#byOne(other);
      if (!place) continue;
      this.events[TableEvent.TABLE_MOVED]!++;
      other[place.slot] = bucket[slot]!;
      bucket[slot] = null;
      return { bucket, slot };
    }
    return null;
  }

  /** As the native sweep: clears what is expired or belongs to a service that is gone. */
  sweep(now: number): void {
    for (const bucket of this.buckets) {
      bucket.forEach((session, slot) => {
        if (!session) return;
        const limit = this.timeouts(session.service, session.state & 3);
        if (limit === 0 || idleTicks(now, session.seen) > limit) bucket[slot] = null;
      });
    }
  }

  pass(ticks: number): void {
    for (const session of this.buckets.flat()) {
      if (!session) continue;
      session.seen = (session.seen - ticks + TICKS) % TICKS;
      session.detail.created = (session.detail.created - ticks + TICKS) % TICKS;
    }
  }
}

function free(bucket: Place['bucket']): number {
  return bucket.filter((session) => session === null).length;
}
