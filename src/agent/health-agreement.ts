import { isSuspect, type Standing, standingOf, type Voter } from '../cluster/agreement.js';
import { agreementIdsOf } from '../compile/agreement-ids.js';
import type { CompiledPool } from '../compile/compiled.js';
import type { AgreementConfig } from '../config/cluster.js';
import type { Clock } from '../health/ports.js';
import type { HealthChange, HealthState } from '../health/types.js';
import type { ClusterSync } from '../sync/types.js';
import { type Heard, VoterBook } from './health-voters.js';
import type { ObservedState } from './state.js';

/** What is needed of the cluster: ClusterSync has it. */
export type AgreementNodes = Pick<ClusterSync, 'peers' | 'onPeers' | 'setVerdicts'>;

/** What counts for traffic has changed. */
export interface AgreedChange {
  readonly key: string;
  readonly from: HealthState;
  readonly to: HealthState;
  readonly standing: Standing;
}

export interface HealthAgreementOptions {
  readonly config: AgreementConfig;
  /** Of this node; empty: all nodes vote. */
  readonly zone: string;
  readonly observed: () => ObservedState;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  /** Never empty: the tables are to be compiled again. */
  readonly onChanges: (changes: readonly AgreedChange[]) => void;
}

/** After a start: until then what counted before counts on, for the peers that outvoted this node are not heard yet. */
const PATIENCE_MS = 3000;
const nobody: readonly Heard[] = [];

/**
 * From this node's verdicts and its peers' to the health that counts. Without `connect` this node's word is all there
 * is. Costs what is named as unhealthy or unknown somewhere, not the number of backends.
 */
export class HealthAgreement {
  readonly #options: HealthAgreementOptions;
  readonly #pools = new Map<string, { readonly pool: CompiledPool; readonly ids: ReadonlyMap<string, bigint> }>();
  readonly #poolOf = new Map<bigint, string>();
  /** Pools of which the others would leave nothing, though this node sees a backend healthy: its own view rules. */
  readonly #spared = new Set<string>();
  readonly #idOf = new Map<string, bigint>();
  readonly #keyOf = new Map<bigint, string>();
  readonly #unhealthy = new Set<bigint>();
  readonly #unknown = new Set<bigint>();
  readonly #book: VoterBook;
  #configDigest = 0n;
  #nodes: AgreementNodes | null = null;
  #heard = nobody;
  #voters: readonly Voter[] = [];
  #patient = true;
  #cancelPatience = (): void => {};
  #suspect: boolean | null = null;

  constructor(options: HealthAgreementOptions) {
    this.#options = options;
    this.#book = new VoterBook({ clock: options.clock, onExpiry: () => this.#vote(this.#heard) });
  }

  /**
   * From now on the nodes of the cluster are heard, and hear of this one. Returns what ends that: what counted last
   * counts on, for the kernel forwards by it after the agent's end.
   */
  connect(nodes: AgreementNodes): () => void {
    this.#nodes = nodes;
    const unwatch = nodes.onPeers(() => this.#hear());
    this.#cancelPatience = this.#options.clock.after(PATIENCE_MS, () => this.#endPatience());
    this.#tell();
    this.#hear();
    return () => {
      unwatch();
      this.#nodes = null;
      this.#cancelPatience();
      this.#book.close();
    };
  }

  /** After each compile: the checks that there are, and the digest of the desired state that they are of. */
  setTargets(pools: readonly CompiledPool[], configDigest: bigint): void {
    const before = this.#configDigest;
    if (before !== configDigest) this.#book.want(configDigest);
    const fresh = this.#replaceTargets(pools);
    this.#configDigest = configDigest;
    if (fresh.length === 0 && before === configDigest) return;
    this.#tell();
    this.#settle([...fresh, ...this.#spare([...this.#pools.keys(), ...this.#spared])]);
    // Peers that want the same are others now, and so is the meaning of what they leave unsaid.
    if (before !== configDigest) this.#vote(this.#heard);
  }

  /** What this node's checks have found. Observed state is set here. */
  take(changes: readonly Pick<HealthChange, 'key' | 'to'>[]): void {
    const observed = this.#options.observed();
    const ours: { key: string; id: bigint; to: HealthState }[] = [];
    for (const { key, to } of changes) {
      const id = this.#idOf.get(key);
      if (id === undefined) {
        observed.setHealth(key, to);
        continue;
      }
      this.#note(id, to);
      ours.push({ key, id, to });
    }
    const turned = this.#spare(this.#poolsOf(ours.map(({ id }) => id)));
    for (const { key, id, to } of ours) observed.setHealth(key, to, this.#standing(id, to).state);
    if (ours.length > 0) this.#tell();
    this.#settle(turned);
  }

  /** Null: no other node is heard, or the key is of no check. */
  standing(key: string): Standing | null {
    const id = this.#idOf.get(key);
    if (id === undefined || this.#voters.length === 0) return null;
    return this.#standing(id, this.#ownOf(id));
  }

  /** This node alone sees many backends fail that pass for the others. */
  get suspect(): boolean {
    const { suspectPercent: percent } = this.#options.config;
    this.#suspect ??= isSuspect(this.#unhealthy, { checked: this.#keyOf, peers: this.#voters, percent });
    return this.#suspect;
  }

  problems(): readonly string[] {
    if (!this.suspect) return [];
    return [
      `this node alone sees more than ${this.#options.config.suspectPercent} % of the backends fail that other nodes see ` +
        'healthy, which therefore keep their traffic: look at its interfaces and routes to them',
    ];
  }

  #tell(): void {
    this.#suspect = null;
    if (this.#nodes === null) return;
    const [unhealthy, unknown] = [new Set(this.#unhealthy), new Set(this.#unknown)];
    this.#nodes.setVerdicts({ configDigest: this.#configDigest, unhealthy, unknown });
  }

  /** Nodes of this zone that serve have a vote: others look from elsewhere, or need not see anything. */
  #hear(): void {
    if (this.#nodes === null) return;
    const { zone: own } = this.#options;
    const heard = this.#nodes.peers().flatMap(({ name, alive, life, zone, verdicts }) => {
      const votes = alive && life === 'active' && (own === '' || zone === own);
      return votes && verdicts !== null ? [{ name, verdicts }] : [];
    });
    const same = (one: Heard, i: number): boolean => one.verdicts === this.#heard[i]?.verdicts;
    if (heard.length !== this.#heard.length || !heard.every(same)) this.#vote(heard);
  }

  #vote(heard: readonly Heard[]): void {
    const named = this.#named();
    this.#heard = heard;
    this.#voters = this.#book.votersOf(heard);
    this.#suspect = null;
    if (heard.length > 0) this.#stopWaiting();
    const touched = new Set([...named, ...this.#named()]);
    this.#spare(this.#poolsOf(touched));
    this.#settle(touched);
  }

  #stopWaiting(): void {
    this.#patient = false;
    this.#cancelPatience();
  }

  #endPatience(): void {
    if (!this.#patient) return;
    this.#stopWaiting();
    this.#settle(this.#named());
  }

  /** What is not simply healthy everywhere. */
  #named(): Set<bigint> {
    const named = new Set([...this.#unhealthy, ...this.#unknown]);
    for (const { unhealthy, unknown } of this.#voters) {
      for (const id of unhealthy) named.add(id);
      for (const id of unknown) named.add(id);
    }
    return named;
  }

  #settle(ids: Iterable<bigint>): void {
    const observed = this.#options.observed();
    const changes: AgreedChange[] = [];
    for (const id of ids) {
      const key = this.#keyOf.get(id);
      if (key === undefined) continue;
      const own = this.#ownOf(id);
      const standing = this.#standing(id, own);
      const from = observed.healthOf(key);
      if (from === standing.state || (this.#patient && from !== own)) continue;
      observed.setHealth(key, own, standing.state);
      changes.push({ key, from, to: standing.state, standing });
    }
    if (changes.length > 0) this.#options.onChanges(changes);
  }

  #poolsOf(ids: Iterable<bigint>): Set<string> {
    const keys = new Set<string>();
    for (const id of ids) {
      const key = this.#poolOf.get(id);
      if (key !== undefined) keys.add(key);
    }
    return keys;
  }

  /** Looks anew which of these pools are spared. Returns the checks of those that are now and were not, or were. */
  #spare(keys: Iterable<string>): bigint[] {
    const turned: bigint[][] = [];
    for (const key of new Set(keys)) {
      const ids = this.#pools.get(key)?.ids ?? new Map<string, bigint>();
      const spares = this.#voters.length > 0 && this.#isLeftEmpty(ids.values());
      if (spares === this.#spared.has(key)) continue;
      if (spares) this.#spared.add(key);
      else this.#spared.delete(key);
      turned.push([...ids.values()]);
    }
    return turned.flat();
  }

  #isLeftEmpty(ids: Iterable<bigint>): boolean {
    let seesOne = false;
    for (const id of ids) {
      const own = this.#ownOf(id);
      if (this.#voted(id, own).state === 'healthy') return false;
      seesOne ||= own === 'healthy';
    }
    return seesOne;
  }

  #standing(id: bigint, own: HealthState): Standing {
    const voted = this.#voted(id, own);
    const isSpared = own === 'healthy' && this.#spared.has(this.#poolOf.get(id) ?? '');
    return isSpared ? { ...voted, state: 'healthy' } : voted;
  }

  #voted(id: bigint, own: HealthState): Standing {
    return standingOf(id, { own, peers: this.#voters }, this.#options.config.quorum);
  }

  #ownOf(id: bigint): HealthState {
    if (this.#unhealthy.has(id)) return 'unhealthy';
    return this.#unknown.has(id) ? 'unknown' : 'healthy';
  }

  #note(id: bigint, own: HealthState): void {
    this.#unhealthy.delete(id);
    this.#unknown.delete(id);
    if (own === 'unhealthy') this.#unhealthy.add(id);
    else if (own === 'unknown') this.#unknown.add(id);
  }

  /** Pools that are the same objects are not looked into. Returns the checks that are new. */
  #replaceTargets(pools: readonly CompiledPool[]): bigint[] {
    const fresh: [key: string, id: bigint, poolKey: string][] = [];
    const gone = new Map(this.#pools);
    for (const pool of pools) {
      const before = this.#pools.get(pool.key);
      gone.delete(pool.key);
      if (before?.pool === pool) continue;
      const ids = agreementIdsOf(pool);
      this.#pools.set(pool.key, { pool, ids });
      for (const [key, id] of before?.ids ?? []) if (ids.get(key) !== id) this.#remove(key, id);
      for (const [key, id] of ids) if (this.#idOf.get(key) !== id) fresh.push([key, id, pool.key]);
    }
    for (const [poolKey, { ids }] of gone) {
      this.#pools.delete(poolKey);
      for (const [key, id] of ids) this.#remove(key, id);
    }
    // After what goes: an id may pass from one pool to another.
    for (const [key, id, poolKey] of fresh) {
      this.#idOf.set(key, id);
      this.#keyOf.set(id, key);
      this.#poolOf.set(id, poolKey);
      this.#book.add(id);
      this.#note(id, this.#options.observed().ownHealthOf(key));
    }
    return fresh.map(([, id]) => id);
  }

  #remove(key: string, id: bigint): void {
    if (this.#idOf.get(key) === id) this.#idOf.delete(key);
    if (this.#keyOf.get(id) !== key) return;
    this.#keyOf.delete(id);
    this.#poolOf.delete(id);
    this.#book.remove(id);
    this.#unhealthy.delete(id);
    this.#unknown.delete(id);
  }
}

/** "2 of 3 nodes see it healthy" */
export function standingWords({ state, healthy, unhealthy }: Standing): string {
  const says = state === 'unhealthy' ? unhealthy : healthy;
  return `${says} of ${healthy + unhealthy} nodes see${says === 1 ? 's' : ''} it ${state === 'unhealthy' ? state : 'healthy'}`;
}

/** Why traffic goes on, or does not, though this node's own checks say otherwise; empty where they say the same. */
export function disagreement(own: HealthState, standing: Standing | null): string {
  if (standing === null || own === standing.state) return '';
  const here = own === 'unknown' ? 'not checked here yet' : `${own} here`;
  return `${here}, but ${standingWords(standing)}: ${standing.state === 'healthy' ? 'it takes traffic' : 'it takes none'}`;
}
