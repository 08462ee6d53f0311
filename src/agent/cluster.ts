import type { ClusterStatus } from '../api/cluster_port.js';
import type { Versioned } from '../api/port.js';
import type { Ip } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { Announcer } from '../bgp/types.js';
import { announcement, zoneIsGone } from '../cluster/announce.js';
import { isIsolated } from '../cluster/isolation.js';
import { isWithdrawn, type LifeEvent, type LifeState, step, unborn } from '../cluster/life.js';
import type { TrafficSample } from '../cluster/traffic.js';
import type { Life, NodeReport, VipRoute } from '../cluster/types.js';
import { vipTruths } from '../cluster/vip_truth.js';
import type { Compiled } from '../compile/compiled.js';
import type { AgentConfig } from '../config/agent.js';
import type { Desired } from '../config/desired.js';
import { configDigest } from '../config/digest.js';
import type { Clock } from '../health/ports.js';
import type { ClusterSync, JoinProgress } from '../sync/types.js';
import { DrainWatch } from './cluster-drain.js';
import { RouteKeeper, routesOf } from './cluster-routes.js';
import { clusterStatus, peerProblems, syncCounts } from './cluster-status.js';
import { type LifeFile, withdrawnAtStart } from './life-file.js';

/** Changes that come together are one change of the routes. */
const TOGETHER_MS = 10;
/** A node that was cut off hears routers again: by then it hears other nodes, too, or there are none. */
const PEERS_BACK_MS = 1000;

export interface ClusterOptions {
  readonly config: Pick<AgentConfig, 'node' | 'zones' | 'agreement'>;
  readonly version: string;
  readonly startedAtMs: number;
  /** null: this node keeps its sessions to itself. */
  readonly sync: ClusterSync | null;
  /** null: somebody else routes the VIPs. */
  readonly announcer: Announcer | null;
  readonly lifeFile: Pick<LifeFile, 'isWithdrawn' | 'setWithdrawn'>;
  readonly flowKeyDigest: bigint;
  readonly clock: Clock;
  readonly log: Logger;
  readonly current: () => Versioned;
  readonly compiled: () => Compiled | null;
  /** Empty: packets to VIPs are taken on every interface. */
  readonly dataPlaneFault: () => string;
  readonly sessions: () => number;
  /** Of all VIPs since the maps were made. */
  readonly traffic: () => Omit<TrafficSample, 'atMs'>;
  /** This node alone sees many backends down; who knows it names it as a problem. */
  readonly suspect: () => boolean;
  /** Something that `get` shows has changed. */
  readonly onChange: () => void;
}

/** What a command that waits shows. */
export interface LifeView {
  readonly life: Life;
  readonly announced: number;
  /** What is wanted is in force. */
  readonly routesSettled: boolean;
  readonly routeProblem: string;
  readonly hasRoutes: boolean;
  /** Without sync nobody knows: true. */
  readonly othersActive: boolean;
  /** While it drains. */
  readonly packetsPerSecond: number;
  readonly joining: JoinProgress | null;
  readonly joinMessage: string;
  readonly fileFault: string;
  readonly isolated: boolean;
  readonly sessions: number;
}

/**
 * This node among others: where it is in its life, what it announces, what it tells its peers. Everything that bears on
 * a route passes `#evaluate`, which is a function of what is known now.
 */
export class ClusterNode {
  #life: LifeState = unborn;
  #vips: readonly VipRoute[] = [];
  #standing: ReadonlySet<Ip> = new Set();
  readonly #routes: RouteKeeper;
  readonly #watchers = new Set<() => void>();
  #drain: DrainWatch | null = null;
  #joining: Promise<void> = Promise.resolve();
  #joinProgress: JoinProgress | null = null;
  #joinMessage = '';
  #cancelSoon: (() => void) | null = null;
  #cancelWake: (() => void) | null = null;
  #lastTraffic: TrafficSample | null = null;
  #rateBefore = 0;
  #digest: { readonly desired: Desired; readonly digest: bigint } | null = null;
  #fileFault = '';
  #isolated = false;
  #cancelReturn: (() => void) | null = null;
  #leaving = '';
  #closed = false;
  readonly #unwatchers: (() => void)[] = [];

  constructor(private readonly options: ClusterOptions) {
    const { announcer, clock, log, sync } = options;
    this.#routes = new RouteKeeper(announcer, { clock, log, onTold: () => this.#changed() });
    if (announcer) this.#unwatchers.push(announcer.onChange(() => this.#announcerChanged()));
    if (sync) this.#unwatchers.push(sync.onPeers(() => this.refresh()));
  }

  /** `takesOver`: packets to VIPs came and were served all along; see takesOver of cluster-open.ts. */
  async start({ takesOver }: { readonly takesOver: boolean }): Promise<void> {
    const announced = takesOver ? this.#routes.announced() : this.#standing;
    const { withdrawn, fault } = await withdrawnAtStart(this.options.lifeFile, { announces: announced.size > 0 });
    this.#fileFault = fault;
    if (!withdrawn) this.#standing = announced;
    this.#step({ event: 'start', withdrawn, takesOver: this.#standing.size > 0 });
    if (withdrawn) this.#watchDrain(0);
    else this.#join();
  }

  /** Something that routes rest on may have changed: looked at soon, once for what comes together. */
  refresh(): void {
    if (this.#closed) return;
    this.#cancelSoon ??= this.options.clock.after(TOGETHER_MS, () => {
      this.#cancelSoon = null;
      this.#evaluate();
    });
  }

  /** Now and then, with the counts of a sweep. */
  sample(): void {
    const sample = { atMs: this.options.clock.monotonicMs(), ...this.options.traffic() };
    const last = this.#lastTraffic;
    if (last && sample.atMs > last.atMs) {
      this.#rateBefore = (Number(sample.packets - last.packets) * 1000) / (sample.atMs - last.atMs);
    }
    this.#lastTraffic = sample;
    this.#report();
  }

  #step(event: LifeEvent): void {
    const before = this.#life;
    this.#life = step(before, event);
    if (before === this.#life) return;
    if (before.life !== this.#life.life) this.options.log.info({ life: this.#life.life }, `node: ${this.#life.life}`);
    if (!isWithdrawn(this.#life)) {
      this.#drain?.close();
      this.#drain = null;
    }
    this.#evaluate();
  }

  #announcerChanged(): void {
    this.#lookAround();
    this.#changed();
  }

  /** Cut off, or back: then by way of a join, as one that starts. */
  #lookAround(): void {
    const { clock, log, sync } = this.options;
    if (!sync || this.#closed) return;
    const [{ neighbors }, peers] = [this.#routes.status, sync.peers()];
    if (this.#life.life === 'active' && isIsolated(neighbors, peers)) {
      log.warn({}, 'cut off from routers and from other nodes: joins again when they are back');
      this.#isolated = true;
      this.#step({ event: 'isolated' });
    } else if (this.#isolated && peers.some(({ alive }) => alive)) {
      this.#return();
    } else if (this.#isolated && neighbors.some(({ state }) => state === 'Established')) {
      this.#cancelReturn ??= clock.after(PEERS_BACK_MS, () => this.#return());
    }
  }

  #return(): void {
    this.#cancelReturn?.();
    this.#cancelReturn = null;
    if (!this.#isolated || this.#closed) return;
    this.#isolated = false;
    this.#join();
  }

  #evaluate(): void {
    if (this.#closed) return;
    this.#lookAround();
    const { config, clock, compiled, current, dataPlaneFault, sync } = this.options;
    const tables = compiled();
    // Traffic that flows by tables whose configuration is lost goes on.
    if (!tables && this.#standing.size > 0 && !isWithdrawn(this.#life) && this.#leaving === '') return;
    const { desired } = current();
    const nowMs = clock.monotonicMs();
    const { routes, wakeAtMs } = announcement({
      vips: tables ? vipTruths(desired, tables) : [],
      life: this.#life,
      dataPlaneFault: this.#leaving || dataPlaneFault(),
      zone: config.node.zone,
      peers: sync?.peers() ?? [],
      suspect: this.options.suspect(),
      suspectWithdraws: config.agreement.suspectWithdraws,
      holdDownMs: config.zones.holdDownMs,
      standing: this.#standing,
      nowMs,
    });
    this.#vips = routes;
    const byName = new Map(desired.loadBalancers.map((loadBalancer) => [loadBalancer.name, loadBalancer]));
    const wanted = routesOf(routes, ({ loadBalancer }) => byName.get(loadBalancer)!.announcement);
    this.#standing = new Set(wanted.map(({ vip }) => vip));
    this.#routes.want(wanted);
    this.#cancelWake?.();
    this.#cancelWake = wakeAtMs === null ? null : clock.after(wakeAtMs - nowMs, () => this.refresh());
    this.#changed();
  }

  #changed(): void {
    if (this.#closed) return;
    this.#report();
    this.options.onChange();
    for (const watcher of this.#watchers) watcher();
  }

  #self(): NodeReport {
    const { config, version, startedAtMs, current, sessions, flowKeyDigest } = this.options;
    const { desired, version: configVersion } = current();
    if (this.#digest?.desired !== desired) this.#digest = { desired, digest: configDigest(desired) };
    return {
      name: config.node.name,
      zone: config.node.zone,
      life: this.#life.life,
      version,
      configVersion: BigInt(configVersion),
      configDigest: this.#digest.digest,
      flowKeyDigest,
      sessions: sessions(),
      announced: this.#routes.status.announced.length,
      suspect: this.options.suspect(),
      startedAtMs,
    };
  }

  #report(): void {
    const { name: _, zone: __, startedAtMs: ___, ...report } = this.#self();
    this.options.sync?.setReport(report);
  }

  /** After a join that is under way: a node that was drained meanwhile begins anew. */
  #join(): void {
    const { sync, log } = this.options;
    if (!sync) {
      this.#joined('');
      return;
    }
    const join = async (): Promise<void> => {
      if (this.#life.life !== 'joining' || this.#closed) return;
      const onProgress = (progress: JoinProgress): void => {
        this.#joinProgress = progress;
        this.#changed();
      };
      const result = await sync.join({ onProgress });
      this.#joinProgress = null;
      if (this.#closed) return;
      const { from, sessions, reason } = result;
      const got = from === null ? 'without sessions of others' : `with ${sessions} sessions of ${from}`;
      const message = reason === '' ? `joined ${got}` : `joined ${got}: ${reason}`;
      log.info({ ...result }, message);
      this.#joined(message);
    };
    this.#joining = this.#joining.then(join).catch((error: Error) => {
      log.error({ err: error }, 'the join failed: goes on with the sessions that are here');
      if (this.#life.life === 'joining' && !this.#closed) this.#joined(`joined without all sessions: ${error.message}`);
    });
  }

  #joined(message: string): void {
    const { clock, config, sync } = this.options;
    this.#joinMessage = message;
    const zoneGone = zoneIsGone(config.node.zone, sync?.peers() ?? []);
    this.#step({ event: 'joined', atMs: clock.monotonicMs(), zoneIsGone: zoneGone });
  }

  #watchDrain(before: number): void {
    const { clock, traffic } = this.options;
    this.#drain?.close();
    this.#drain = new DrainWatch({
      clock,
      before,
      sample: traffic,
      withdrawn: () => this.#routes.settled && this.#routes.status.announced.length === 0,
      onGone: () => this.#step({ event: 'drained' }),
    });
  }

  /** Over restarts: what cannot be kept is a problem that is told, and no reason not to drain. */
  async keep(withdrawn: boolean): Promise<void> {
    try {
      await this.options.lifeFile.setWithdrawn(withdrawn);
      this.#fileFault = '';
    } catch (error) {
      const after = withdrawn ? 'announces again' : 'is drained again';
      this.#fileFault = `a restart of the agent ${after}, for the state directory refuses: ${(error as Error).message}`;
      this.options.log.error({ err: error }, this.#fileFault);
    }
  }

  /** Withdraws, for this process alone unless it is kept; what comes after says `view`. */
  beginDrain(): void {
    if (isWithdrawn(this.#life)) return;
    this.#isolated = false;
    this.#step({ event: 'drain' });
    this.#watchDrain(this.#rateBefore);
  }

  beginActivate(): void {
    if (!isWithdrawn(this.#life)) return;
    this.#step({ event: 'activate' });
    this.#join();
  }

  /** Whatever else is true: the data plane is about to be taken away; empty: it stays after all. */
  leave(reason: string): void {
    this.#leaving = reason;
    this.#evaluate();
  }

  /** How far life has come. */
  view(): LifeView {
    const { announcer, sync } = this.options;
    return {
      life: this.#life.life,
      announced: this.#routes.status.announced.length,
      routesSettled: this.#routes.settled,
      routeProblem: this.#routes.problems[0] ?? '',
      hasRoutes: announcer !== null,
      othersActive: sync === null || sync.peers().some(({ alive, life }) => alive && life === 'active'),
      packetsPerSecond: this.#drain?.packetsPerSecond ?? 0,
      joining: this.#joinProgress,
      joinMessage: this.#joinMessage,
      fileFault: this.#fileFault,
      isolated: this.#isolated,
      sessions: this.options.sessions(),
    };
  }

  /** For systemctl status and the like. */
  summary(): string {
    const { life } = this.#life;
    const { kind, announced } = this.#routes.status;
    const routes =
      kind === 'none' ? 'routes are not its own' : `${announced.length} of ${this.#vips.length} VIPs announced`;
    const peers = this.options.sync?.peers() ?? null;
    const heard = peers?.filter(({ alive }) => alive).length;
    return `${life}, ${routes}${peers ? `, ${heard} of ${peers.length} peers heard` : ''}`;
  }

  status(): ClusterStatus {
    const { sync } = this.options;
    return clusterStatus({
      self: this.#self(),
      peers: sync?.peers() ?? [],
      vips: this.#vips,
      routes: this.#routes.status,
      sync: sync ? syncCounts(sync) : null,
      problems: this.problems(),
    });
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  problems(): readonly string[] {
    const { sync } = this.options;
    const how = this.#life.life === 'stopped' ? 'drained' : 'draining';
    const drained = isWithdrawn(this.#life) ? [`the node is ${how}: "spillway node activate" brings it back`] : [];
    const cutOff = this.#isolated
      ? ['cut off from routers and from other nodes: it joins again when they are back']
      : [];
    return [
      ...drained,
      ...cutOff,
      ...(this.#fileFault === '' ? [] : [this.#fileFault]),
      ...this.#routes.problems,
      ...(sync?.problems() ?? []),
      ...peerProblems(this.#self(), sync?.peers() ?? []),
    ];
  }

  /** Why this node should get no traffic now; empty: it may. */
  notReady(): readonly string[] {
    const { life } = this.#life;
    if (life === 'joining') return ['joins: sessions are fetched from a peer'];
    return isWithdrawn(this.#life) ? ['drained'] : [];
  }

  async close({ withdraw }: { readonly withdraw: boolean }): Promise<void> {
    this.#closed = true;
    this.#cancelSoon?.();
    this.#cancelWake?.();
    this.#cancelReturn?.();
    this.#drain?.close();
    for (const unwatch of this.#unwatchers) unwatch();
    await this.#routes.close({ withdraw });
    await this.options.sync?.close();
  }
}
