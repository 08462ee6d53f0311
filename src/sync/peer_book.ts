import type { Peer, PeerSync } from '../cluster/types.js';
import type { SyncAddress, SyncPeerCounts } from '../dataplane/addon.js';
import { VerdictReader } from './verdict_pages.js';
import type { Beacon } from './wire.js';

/** Four beacons and a little: one that is lost, or two, do not make a node dead. */
export const ALIVE_MS = 1200;
/** A silent peer is shown for so long. */
const REMEMBERED_MS = 3_600_000;
export const MAX_PEERS = 64;
const LAG_WEIGHT = 0.2;

/** A start of another node that has shown that it is there, or was. Times on the monotonic clock. */
export class PeerState {
  beacon: Beacon | null = null;
  /** It has shown that it is there; not so again once it was silent for long, for then its numbers are forgotten. */
  proved = true;
  /** Its records are taken. */
  admitted = false;
  /** Why they are not; empty otherwise. */
  refusal = '';
  alive = false;
  saidGoodbye = false;
  lagMs: number | null = null;
  readonly verdicts = new VerdictReader();
  /** Of the engine, when last looked at. */
  datagrams = 0n;

  constructor(
    readonly node: number,
    readonly boot: bigint,
    public from: SyncAddress,
    public heardMs: number,
  ) {}

  get name(): string {
    return this.beacon?.name ?? `node ${this.node.toString(16)}`;
  }

  hear(nowMs: number): void {
    this.heardMs = nowMs;
    this.saidGoodbye = false;
  }

  measureLag(lagMs: number): void {
    this.lagMs = this.lagMs === null ? lagMs : this.lagMs + (lagMs - this.lagMs) * LAG_WEIGHT;
  }

  isAlive(nowMs: number): boolean {
    return !this.saidGoodbye && nowMs - this.heardMs < ALIVE_MS;
  }
}

const lives = {
  LIFE_UNSPECIFIED: 'joining',
  JOINING: 'joining',
  ACTIVE: 'active',
  DRAINING: 'draining',
  STOPPED: 'stopped',
} as const;

const silent: PeerSync = { datagrams: 0n, records: 0n, missed: 0n, repaired: 0n, givenUp: 0n, lagMs: null };

/** Other nodes by their number; at most MAX_PEERS, of which the longest silent makes way. */
export class PeerBook {
  readonly #peers = new Map<number, PeerState>();

  get(node: number): PeerState | undefined {
    return this.#peers.get(node);
  }

  all(): readonly PeerState[] {
    return [...this.#peers.values()];
  }

  /** False: so many are alive that there is no room. */
  add(peer: PeerState): boolean {
    if (!this.#peers.has(peer.node) && this.#peers.size >= MAX_PEERS) {
      const [oldest] = this.all()
        .filter(({ alive }) => !alive)
        .sort((a, b) => a.heardMs - b.heardMs);
      if (oldest === undefined) return false;
      this.#peers.delete(oldest.node);
    }
    this.#peers.set(peer.node, peer);
    return true;
  }

  /** For so long nobody could be heard. */
  excuse(ms: number, nowMs: number): void {
    for (const peer of this.#peers.values()) peer.heardMs = Math.min(nowMs, peer.heardMs + ms);
  }

  /** Looks who is there. @returns those for whom that changed, and whether anyone was forgotten. */
  look(nowMs: number, counts: readonly SyncPeerCounts[]): { changed: PeerState[]; forgotten: number[] } {
    const changed: PeerState[] = [];
    const forgotten: number[] = [];
    const datagrams = new Map(counts.map((count) => [`${count.node} ${count.boot}`, count.datagrams]));
    for (const peer of this.#peers.values()) {
      const heard = datagrams.get(`${peer.node} ${peer.boot}`) ?? peer.datagrams;
      // Its stream is a sign of life, too, when beacons get lost.
      if (heard > peer.datagrams && peer.alive) peer.heardMs = nowMs;
      peer.datagrams = heard;
      const alive = peer.beacon !== null && peer.isAlive(nowMs);
      if (alive !== peer.alive) changed.push(peer);
      peer.alive = alive;
      if (!alive && nowMs - peer.heardMs > REMEMBERED_MS) {
        this.#peers.delete(peer.node);
        forgotten.push(peer.node);
      }
    }
    return { changed, forgotten };
  }

  /** By name; those that have not said who they are, are not among them. */
  describe(options: { nowMs: number; wallMs: number; counts: readonly SyncPeerCounts[] }): readonly Peer[] {
    const byBoot = new Map(options.counts.map((count) => [`${count.node} ${count.boot}`, count]));
    return this.all()
      .flatMap((peer) => describePeer(peer, { ...options, count: byBoot.get(`${peer.node} ${peer.boot}`) }) ?? [])
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function describePeer(
  peer: PeerState,
  { nowMs, wallMs, count }: { nowMs: number; wallMs: number; count: SyncPeerCounts | undefined },
): Peer | null {
  const { beacon } = peer;
  if (beacon === null) return null;
  const { datagrams, records, missed, repaired, givenUp } = count ?? silent;
  return {
    name: beacon.name,
    zone: beacon.zone,
    life: lives[beacon.life as keyof typeof lives] ?? 'joining',
    version: beacon.version,
    configVersion: beacon.configVersion,
    configDigest: beacon.configDigest,
    flowKeyDigest: beacon.flowKeyDigest,
    sessions: Number(beacon.sessions),
    announced: beacon.announced,
    suspect: beacon.suspect,
    startedAtMs: Number(beacon.startedAtMs),
    address: peer.from.address,
    bootId: peer.boot,
    alive: peer.alive,
    saidGoodbye: peer.saidGoodbye,
    lastHeardMs: wallMs - (nowMs - peer.heardMs),
    verdicts: peer.verdicts.verdicts(nowMs),
    sync: { datagrams, records, missed, repaired, givenUp, lagMs: peer.lagMs },
  };
}
