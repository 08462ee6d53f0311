import type { ClusterStatus } from '../api/cluster_port.js';
import type { ReportedTraffic, Status } from '../api/port.js';
import {
  AgentSeries,
  type ApplyRun,
  type EarlyFragmentEnd,
  type GrpcCall,
  type HealthCheckRun,
  type ReconcileRun,
} from './agent_series.js';
import { clusterText } from './cluster_writer.js';
import { reportedText } from './reported_writer.js';
import { StatusWriter } from './status_writer.js';

export interface MetricsOptions {
  /** The status with its backends, taken once a scrape. */
  readonly status: () => Status;
  /** What backends' programs reported of each VIP. */
  readonly reported: () => readonly ReportedTraffic[];
  readonly cluster: () => ClusterStatus;
  /** process_* and nodejs_* series; default true. Off where several agents share a process (tests). */
  readonly processMetrics?: boolean;
}

export interface Metrics {
  onGrpcCall(call: GrpcCall): void;
  onApply(run: ApplyRun): void;
  onReconcile(run: ReconcileRun): void;
  onHealthCheck(run: HealthCheckRun): void;
  onEarlyFragment(result: EarlyFragmentEnd): void;
  /** The whole exposition in text format 0.0.4, in chunks of about 64 KiB, each made when it is asked for. */
  scrape(): AsyncGenerator<string, void, undefined>;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const series = new AgentSeries({ processMetrics: options.processMetrics ?? true });
  const writer = new StatusWriter();
  return {
    onGrpcCall: (call) => series.onGrpcCall(call),
    onApply: (run) => series.onApply(run),
    onReconcile: (run) => series.onReconcile(run),
    onHealthCheck: (run) => series.onHealthCheck(run),
    onEarlyFragment: (result) => series.onEarlyFragment(result),
    async *scrape() {
      const own = await series.registry.metrics();
      yield own.endsWith('\n') ? own : `${own}\n`;
      yield* writer.write(options.status());
      yield reportedText(options.reported());
      yield clusterText(options.cluster());
    },
  };
}
