import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { usesOf } from '../addresses/use.js';
import type { AgentPort, Status } from '../api/port.js';
import { prepareSocket } from '../api/unix_socket.js';
import type { Logger } from '../base/log.js';
import { keepHeapSmall } from '../base/memory.js';
import type { Compiled } from '../compile/compiled.js';
import { describeOp } from '../compile/ops.js';
import { addressOfCheck } from '../compile/pool.js';
import { type AgentConfig, readClusterSecret } from '../config/agent.js';
import type { Desired } from '../config/desired.js';
import { configDigest } from '../config/digest.js';
import { openStore } from '../config/store.js';
import { NetlinkSocket, Prober } from '../dataplane/addon.js';
import { systemClock } from '../health/clock.js';
import { createHealthEngine, type HealthEngine } from '../health/engine.js';
import { HealthStore } from '../health/store.js';
import { nodeTls } from '../health/tls.js';
import type { CheckTarget } from '../health/types.js';
import { createMetrics } from '../metrics/metrics.js';
import { createNextHopTracker } from '../netlink/tracker.js';
import { adoptIds } from './adopt-ids.js';
import { createCapturePort } from './capture.js';
import { type OpenedCluster, openCluster, servedAllAlong } from './cluster-open.js';
import { createClusterPort, drainToEnd, withdrawFor } from './cluster-port.js';
import { Controller } from './controller.js';
import { detachInstance, openNode, siteOf } from './dataplane-node.js';
import { HealthAgreement, standingWords } from './health-agreement.js';
import { goneKeys, HealthSaver, restoreHealth } from './health-memory.js';
import { LimitGauges } from './limit-gauge.js';
import { openMeter, ownersOf } from './metering.js';
import { watchPackets } from './packet-events.js';
import { Phases } from './phases.js';
import { NextHopPreparation, withDeadline } from './preparation.js';
import { Reconciler } from './reconciler.js';
import { listen, packageVersion, versionInfo } from './servers.js';
import { createSessionPort } from './sessions.js';
import { buildStatus } from './status.js';
import { Sweeper } from './sweeper.js';

const SETTLE_MS = 5000;
const SWEEP_MS = 2000;
const STOP_DEADLINE_MS = 3000;
const unsettled =
  'the kernel has not told its links and routes in full yet: interfaces and next hops come as they are known';
const withoutConfiguration =
  'no saved configuration: the data plane keeps what it holds until the next apply, and health is not checked';

export interface RunningAgent {
  readonly targets: readonly string[];
  readonly metrics: { readonly host: string; readonly port: number } | null;
  /** Withdraws for this process alone; true when the traffic has moved, false at the signal or after node.drainTimeout. */
  drain(signal: AbortSignal): Promise<boolean>;
  /** Where the node is in its life, in a line; `watch` says when that may be another. */
  summary(): string;
  watch(onChange: () => void): () => void;
  /** Leaves forwarding in place, unless `detach`. */
  stop(options: { detach: boolean }): Promise<void>;
  /** Resolves when NodeService.Detach was called: the process should end. */
  readonly detached: Promise<void>;
}

/** Brings up one node. What it finds in the kernel it takes over; packets flow all along. */
export async function startAgent(config: AgentConfig, log: Logger): Promise<RunningAgent> {
  keepHeapSmall();
  const phases = new Phases(() => performance.now());
  const startedAtMs = Date.now();
  const version = packageVersion();
  const objects = config.objectDirectory ?? fileURLToPath(new URL('../../bpf', import.meta.url));
  if (config.listen.unix !== null) await prepareSocket(config.listen.unix);
  mkdirSync(config.stateDirectory, { recursive: true, mode: 0o750 });
  const secret = readClusterSecret(config);
  const startProblems: string[] = [];

  const changed = new Set<() => void>();
  const notify = (): void => {
    for (const listener of changed) listener();
  };

  let preparation: NextHopPreparation | null = null;
  let reconciler: Reconciler | null = null;
  let cluster: OpenedCluster | null = null;
  const tracker = createNextHopTracker({
    netlink: NetlinkSocket,
    interfaces: config.interfaces,
    onChange: ({ addresses, interfaces, waysOut }) => {
      if (preparation) {
        if (waysOut) controller.observed.setWaysOut(tracker.waysOut());
        if (preparation.take(addresses) || waysOut) controller.recompute();
      }
      if (interfaces) reconciler?.soon();
      notify();
    },
  });
  let settled = false;
  const settling = tracker.settled().then(() => {
    settled = true;
  });
  phases.done('prepared');
  await withDeadline(settling, SETTLE_MS);
  phases.done('links and routes');
  if (!settled) log.warn({ problems: tracker.problems() }, unsettled);

  const node = openNode(config, { objects, secret, ports: tracker.ports(), log });
  const have = node.control.read();
  phases.done('kernel maps');
  const ids = adoptIds(config, node, have);
  const { meter, problems: meterProblems } = await openMeter(config, {
    counters: node.counters,
    services: have.services,
    log,
  });
  const store = openStore(`${config.stateDirectory}/config.json`);
  const healthStore = new HealthStore(`${config.stateDirectory}/health.json`);

  const healthSaver = new HealthSaver(
    healthStore,
    () => health,
    (error) => {
      log.error({ err: error }, 'health could not be saved: after a restart backends are checked anew');
    },
  );
  const health: HealthEngine = createHealthEngine({
    prober: (onResults) => new Prober(onResults),
    tls: nodeTls(systemClock),
    clock: systemClock,
    random: Math.random,
    concurrency: config.healthChecks.concurrency,
    onCheck: (check) => metrics.onHealthCheck(check),
    onChanges: (changes) => {
      agreement.take(changes);
      for (const change of changes) {
        log.info({ ...change }, `backend ${change.key} is ${change.to}: ${change.reason}`);
      }
      // It may have come back as another host: asked at once, its MAC is followed within the next checks.
      tracker.verify(changes.filter(({ to }) => to === 'unhealthy').map(({ key }) => addressOfCheck(key)));
      controller.recompute();
      healthSaver.soon();
      notify();
    },
  });

  const agreement: HealthAgreement = new HealthAgreement({
    config: config.agreement,
    zone: config.node.zone,
    observed: () => controller.observed,
    clock: systemClock,
    onChanges: (changes) => {
      for (const { key, to, standing } of changes) {
        log.info({ key, to, standing }, `backend ${key} counts as ${to}: ${standingWords(standing)}`);
      }
      controller.recompute();
      notify();
    },
  });
  const metrics = createMetrics({
    status: () => status(false),
    reported: () => meter.reported(),
    cluster: () => cluster!.node.status(),
  });
  let metered: Desired['loadBalancers'] | null = null;
  let checks: readonly (readonly CheckTarget[])[] = [];
  const onCompiled = (compiled: Compiled, { configuration }: { configuration: boolean }): void => {
    const now = compiled.pools.map((pool) => pool.checks);
    if (now.length !== checks.length || now.some((list, i) => list !== checks[i])) {
      controller.observed.forget({ keys: goneKeys(checks, now) });
      checks = now;
      health.setTargets(now.flat());
    }
    agreement.setTargets(compiled.pools, configDigest(controller.current().desired));
    if (configuration) {
      const { desired } = controller.current();
      if (desired.loadBalancers !== metered) meter.own(ownersOf(compiled, desired));
      metered = desired.loadBalancers;
      preparation?.forgetUnused();
      void sweeper.soon().catch(() => {});
    }
    cluster?.onCompiled(compiled);
    notify();
  };
  const controller: Controller = new Controller({
    control: node.control,
    ids,
    store,
    tickMs: node.clock.tickMs,
    zone: config.node.zone,
    hearsOthers: config.sync !== null,
    accessListEntries: Math.min(config.limits.accessListEntries, node.control.limits.accessListEntries),
    log,
    now: Date.now,
    prepare: (desired) => preparation!.prepare(desired),
    onCompiled,
    onApply: ({ ok, durationMs }) => metrics.onApply({ result: ok ? 'changed' : 'failed', durationMs }),
  });
  preparation = new NextHopPreparation(tracker, controller.observed);
  controller.observed.setWaysOut(tracker.waysOut());
  const { table, control, counters } = node;
  const sweeper = new Sweeper({
    table,
    controller,
    control,
    counters,
    ids,
    now: Date.now,
    renewServices: (numbers, reset) => meter.renew(numbers, reset),
    onCounts: ({ byService }) => {
      meter.peak(byService);
      cluster?.node.sample();
    },
    onError: (error) => log.error({ err: error }, 'numbers out of use could not be freed'),
  });

  const packets = watchPackets(node, { metrics, log, onProblem: (text) => startProblems.push(text) });

  startProblems.push(...node.attachProbes(tracker.ports()));
  phases.done('counters and probes');
  const loaded = await store.load();
  for (const { path, setAside, reason } of loaded.damaged) {
    const text = `${path} is damaged (${reason})${setAside ? `, set aside as ${setAside}` : ''}`;
    startProblems.push(
      `${text}; ${loaded.source === 'previous' ? 'the state before the last apply is in force' : 'nothing was restored'}`,
    );
    log.error({ path, setAside, reason }, text);
  }
  const problem = await restoreHealth({ healthStore, health, observed: controller.observed, nowMs: Date.now() });
  if (problem) startProblems.push(problem);
  const { saved } = loaded;
  const orphaned = !saved && node.adopted && have.services.size > 0;
  preparation.adopt(have.backends.values(), {
    egresses: have.egresses,
    onEnd: () => controller.recompute(),
  });
  await sweeper.reserveNamed(have.services);
  await controller.start(have, saved);
  phases.done('configuration');
  const served = servedAllAlong(config, node, tracker.ports());
  const first = node.attachPorts(siteOf(tracker));
  for (const text of first.problems) log.error({}, text);
  reconciler = new Reconciler({
    controller,
    node,
    tracker,
    log,
    intervalMs: config.reconcileIntervalMs,
    attachProblems: first.problems,
    onRun: (run) => metrics.onReconcile(run),
    onChange: () => {
      cluster?.node.refresh();
      notify();
    },
  });
  const sweepTimer = setInterval(
    () => void sweeper.sweep().catch((error: unknown) => log.error({ err: error }, 'sweep failed')),
    SWEEP_MS,
  );
  await sweeper.sweep();
  phases.done('attached and swept');
  const gauges = new LimitGauges({
    limits: () => controller.compiled?.limits.values() ?? [],
    counters,
    rows: control.limitRows,
    tick: () => control.tick,
    nowMs: () => performance.now(),
    onError: (error) => log.error({ err: error }, 'what comes in for limits could not be measured'),
  });
  meter.start();
  const localSessions = createSessionPort({
    controller,
    control,
    table,
    sweeper,
    tickMs: node.clock.tickMs,
    flowKey: () => node.settings.flowKey(),
  });
  const { purge } = localSessions;
  const parts = { version, startedAtMs, secret, controller, node, tracker, sweeper, agreement, purge, log };
  cluster = await openCluster(config, { ...parts, onChange: notify });
  await cluster.node.start({ takesOver: served });
  phases.done('cluster');

  const problems = (): string[] => [
    ...startProblems,
    ...(orphaned && controller.current().version === 0 ? [withoutConfiguration] : []),
    ...(settled ? [] : [unsettled]),
    ...node.notices,
    ...reconciler!.problems(),
    ...tracker.problems(),
    ...health.problems(),
    ...agreement.problems(),
    ...meterProblems(),
    ...cluster!.problems(),
  ];
  const status = (summary: boolean): Status =>
    buildStatus(
      {
        instance: config.instance,
        version,
        startedAtMs,
        slots: table.slots,
        controller,
        counters,
        limitRows: control.limitRows,
        gauges,
        sessionCounts: () => sweeper.counts,
        health: (key) => health.record(key),
        standing: (key) => agreement.standing(key),
        attachments: () => node.attachments(siteOf(tracker)),
        dropSample: (reason) => packets.dropSample(reason),
        reconciliation: () => reconciler!.status(),
        problems,
      },
      { summary },
    );
  const unwatchConfig = controller.watch(notify);

  let isDetached = false;
  let onDetached: () => void = () => {};
  const detached = new Promise<void>((resolve) => {
    onDetached = resolve;
  });
  const port: AgentPort = {
    config: controller,
    status: {
      get: ({ summary }) => status(summary),
      watch: (onChange) => {
        changed.add(onChange);
        return () => changed.delete(onChange);
      },
      addresses: () => usesOf(controller.current().desired),
    },
    metering: {
      list: (query) => meter.list(query),
      report: async ({ hostname, ...report }) => {
        const unknownVips = await meter.report(report);
        if (unknownVips.length > 0)
          log.debug({ hostname, unknownVips }, 'reported traffic of VIPs that no LoadBalancer has');
        return unknownVips;
      },
    },
    sessions: { ...localSessions, purge: cluster.purge },
    capture: createCapturePort({
      node,
      compiled: () => controller.compiled,
      interfaces: () => tracker.ports(),
      exclusively: (work) => controller.exclusively(work),
    }),
    cluster: createClusterPort(cluster.node, { clock: systemClock, ...config.node }),
    node: {
      version: () => versionInfo(version, node),
      reconcile: async () => {
        const { repairs, ops } = await reconciler!.run({ everything: true });
        return { repairs, steps: ops.map(describeOp) };
      },
      detach: async () => {
        const why = { reason: 'the data plane is detached', signal: AbortSignal.timeout(STOP_DEADLINE_MS) };
        const detach = () => controller.exclusively(async () => detachInstance(config));
        const interfaces = await withdrawFor(cluster!.node, systemClock, why, detach);
        reconciler!.close();
        meter.sample();
        log.warn({ interfaces }, 'detached: traffic to the VIPs on this node stops');
        isDetached = true;
        setImmediate(onDetached);
        return { interfaces };
      },
    },
  };
  const servers = await listen(config, { port, metrics, log, notReady: () => cluster!.node.notReady() });
  servers.api.setServing(true);
  phases.done('servers');
  const { targets } = servers.api;
  const { version: configVersion } = controller.current();
  log.info({ targets, adopted: node.adopted, version: configVersion, tookMs: phases.durations }, 'ready');

  return {
    targets: servers.api.targets,
    metrics: servers.metrics && { host: servers.metrics.host, port: servers.metrics.port },
    detached,
    drain: (signal) => drainToEnd(cluster!.node, { clock: systemClock, ...config.node }, signal),
    summary: () => cluster!.node.summary(),
    watch: (onChange) => cluster!.node.watch(onChange),
    async stop({ detach }) {
      await servers.api.stop({ deadlineMs: STOP_DEADLINE_MS });
      await servers.metrics?.close();
      await cluster!.close({ withdraw: detach || isDetached });
      unwatchConfig();
      clearInterval(sweepTimer);
      gauges.close();
      reconciler!.close();
      packets.close();
      health.close();
      await healthSaver.now();
      await controller.close();
      if (detach) detachInstance(config);
      await meter.close();
      tracker.close({ release: detach });
      node.close();
    },
  };
}
