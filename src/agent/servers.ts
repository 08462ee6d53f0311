import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { AgentPort, VersionInfo } from '../api/port.js';
import { type ApiServer, createServer } from '../api/server.js';
import type { Logger } from '../base/log.js';
import type { AgentConfig } from '../config/agent.js';
import { libbpfVersion } from '../dataplane/addon.js';
import { layoutVersion } from '../dataplane/layout.js';
import type { Metrics } from '../metrics/metrics.js';
import { type MetricsServer, startMetricsServer } from '../metrics/server.js';
import type { DataPlaneNode } from './dataplane-node.js';

/** Everything that others connect to: gRPC, then metrics; without the second the first does not stay. */
export async function listen(
  config: AgentConfig,
  parts: {
    port: AgentPort;
    metrics: Metrics;
    log: Logger;
    /** Of the cluster: why this node should get no traffic. */
    notReady: () => readonly string[];
  },
): Promise<{ api: ApiServer; metrics: MetricsServer | null }> {
  const { port, metrics, log } = parts;
  const api = await createServer({
    agent: port,
    listen: config.listen,
    onCall: (report) => metrics.onGrpcCall(report),
    onFault: (error) => log.error({ err: error }, 'a call failed by a fault of the agent'),
  });
  if (!config.metrics) return { api, metrics: null };
  const notReady = (): readonly string[] => {
    const { node } = port.status.get({ summary: true });
    const missing = node.attachments
      .filter(({ attached }) => !attached)
      .map((one) => `not attached to ${one.interface}`);
    const unconfigured = port.config.current().version === 0 ? ['no configuration was applied yet'] : [];
    return [...missing, ...unconfigured, ...parts.notReady()];
  };
  const server = await startMetricsServer({
    host: config.metrics.host,
    port: config.metrics.port,
    scrape: () => metrics.scrape(),
    notReady,
    onError: (error) => log.error({ err: error }, 'a scrape failed'),
  }).catch(async (error: unknown) => {
    await api.stop({ deadlineMs: 0 });
    throw error;
  });
  return { api, metrics: server };
}

/** As in package.json, which stands beside dist/. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

export function versionInfo(version: string, { programs }: DataPlaneNode): VersionInfo {
  const [lb] = programs;
  return {
    version,
    layoutVersion,
    nodeVersion: process.version,
    kernel: release(),
    libbpf: libbpfVersion,
    programTag: lb.tag,
    verifiedInstructions: lb.verifiedInstructions,
    programs,
  };
}
