import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/** One finished call, as the API server reports it. */
export interface GrpcCall {
  /** "ConfigService" */
  readonly service: string;
  /** "Apply" */
  readonly method: string;
  /** "OK", "INVALID_ARGUMENT" */
  readonly code: string;
  readonly durationMs: number;
}

export interface ApplyRun {
  readonly result: 'changed' | 'unchanged' | 'refused' | 'failed';
  readonly durationMs: number;
}

export interface ReconcileRun {
  readonly result: 'clean' | 'repaired' | 'failed';
  readonly durationMs: number;
}

export interface HealthCheckRun {
  readonly kind: 'tcp' | 'http' | 'udp';
  readonly success: boolean;
  readonly durationMs: number;
}

/** What became of a fragment that came before its datagram's first one. */
export type EarlyFragmentEnd = 'sent' | 'expired' | 'overflow' | 'failed';

/** prom-client calls these gauges `_total`, which the naming rules keep for counters. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** What the agent does itself: few series, made by prom-client. */
export class AgentSeries {
  readonly registry = new Registry();

  private readonly grpcCalls = new Counter({
    name: 'spillway_grpc_requests_total',
    help: 'gRPC calls finished.',
    labelNames: ['service', 'method', 'code'],
    registers: [this.registry],
  });
  private readonly grpcDuration = new Histogram({
    name: 'spillway_grpc_request_duration_seconds',
    help: 'Time to answer unary gRPC calls.',
    labelNames: ['service', 'method', 'code'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  private readonly applyDuration = new Histogram({
    name: 'spillway_apply_duration_seconds',
    help: 'Time from a desired state to the maps, by result.',
    labelNames: ['result'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 3, 10, 30],
    registers: [this.registry],
  });
  private readonly reconcileDuration = new Histogram({
    name: 'spillway_reconcile_duration_seconds',
    help: 'Time to compare the kernel with the desired state, and to repair it.',
    labelNames: ['result'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  private readonly checkDuration = new Histogram({
    name: 'spillway_health_check_duration_seconds',
    help: 'Time that health checks took.',
    labelNames: ['kind', 'result'],
    buckets: [0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5],
    registers: [this.registry],
  });

  private readonly earlyFragments = new Counter({
    name: 'spillway_early_fragments_total',
    help: 'Fragments that came before the first one of their datagram, by what became of them.',
    labelNames: ['result'],
    registers: [this.registry],
  });

  constructor(options: { processMetrics: boolean }) {
    if (!options.processMetrics) return;
    collectDefaultMetrics({ register: this.registry });
    for (const name of misnamed) this.registry.removeSingleMetric(name);
  }

  onGrpcCall(call: GrpcCall): void {
    const labels = { service: call.service, method: call.method, code: call.code };
    this.grpcCalls.inc(labels);
    // A stream lasts as long as its client listens: its time says nothing about the agent.
    if (call.method !== 'Watch') this.grpcDuration.observe(labels, call.durationMs / 1000);
  }

  onApply(run: ApplyRun): void {
    this.applyDuration.observe({ result: run.result }, run.durationMs / 1000);
  }

  onReconcile(run: ReconcileRun): void {
    this.reconcileDuration.observe({ result: run.result }, run.durationMs / 1000);
  }

  onHealthCheck(run: HealthCheckRun): void {
    const result = run.success ? 'success' : 'failure';
    this.checkDuration.observe({ kind: run.kind, result }, run.durationMs / 1000);
  }

  onEarlyFragment(result: EarlyFragmentEnd): void {
    this.earlyFragments.inc({ result });
  }
}
