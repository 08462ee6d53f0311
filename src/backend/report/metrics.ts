import { existsSync } from 'node:fs';
import { Counter, Gauge, Registry } from 'prom-client';
import { interfaceIndex } from '../../dataplane/addon.js';
import { inspect } from '../attachment.js';
import { pinnedInterfaces, pinsOf } from '../pins.js';
import { readCounts, readUsageOf } from '../program.js';
import type { Reporter } from './reporter.js';

interface Sources {
  readonly instances: () => readonly string[];
  /** Null: nothing is reported, the metrics alone are served. */
  readonly reporter: Reporter | null;
}

/** The backend's side for Prometheus, read from the kernel at each scrape. */
export function createRegistry({ instances, reporter }: Sources): Registry {
  const registry = new Registry();
  kernelSeries(registry, instances);
  if (reporter !== null) reportSeries(registry, reporter);
  return registry;
}

function kernelSeries(registry: Registry, instances: () => readonly string[]): void {
  const registers = [registry];
  // Registered first, and so asked first: it reads for all of them.
  const attached = new Gauge({
    name: 'spillway_backend_attached',
    help: '1 where the programs are attached.',
    labelNames: ['instance', 'interface', 'mode'],
    registers,
    collect: () => {
      // The kernel counts: what it says is put in the place of what was said at the last scrape.
      for (const series of [attached, frames, frameBytes, packets, bytes, events]) series.reset();
      for (const instance of instances()) read(instance);
    },
  });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `spillway_backend_${name}_total`, help, labelNames, registers });
  const frame = ['instance', 'reason', 'verdict'] as const;
  const frames = counter('frames', 'What became of frames on their way in.', frame);
  const frameBytes = counter('frame_bytes', 'What became of the bytes of frames on their way in.', frame);
  const vip = ['instance', 'vip', 'direction'] as const;
  const packets = counter('vip_packets', 'Packets to (in) and from (out) a VIP.', vip);
  const bytes = counter('vip_bytes', 'Bytes of Ethernet frames to and from a VIP, without outer headers.', vip);
  const events = counter('events', 'Packets mapped, exempt, or offered another segment size.', ['instance', 'event']);

  function read(instance: string): void {
    const pins = pinsOf(instance);
    for (const name of pinnedInterfaces(pins)) {
      const attachment = inspect(pins, { name, ifindex: interfaceIndex(name) });
      const mode = attachment.state === 'attached' ? attachment.mode : 'none';
      attached.set({ instance, interface: name, mode }, attachment.state === 'attached' ? 1 : 0);
    }
    if (!Object.values(pins.carried).every((path) => existsSync(path))) return;
    const counts = readCounts(pins.carried.count);
    for (const { reason, verdict, ...count } of counts.reasons) {
      frames.inc({ instance, reason, verdict }, Number(count.packets));
      frameBytes.inc({ instance, reason, verdict }, Number(count.bytes));
    }
    for (const { event, packets: times } of counts.events) events.inc({ instance, event }, Number(times));
    for (const usage of readUsageOf(pins.carried)) {
      packets.inc({ instance, vip: usage.vip, direction: 'in' }, Number(usage.packetsIn));
      packets.inc({ instance, vip: usage.vip, direction: 'out' }, Number(usage.packetsOut));
      bytes.inc({ instance, vip: usage.vip, direction: 'in' }, Number(usage.bytesIn));
      bytes.inc({ instance, vip: usage.vip, direction: 'out' }, Number(usage.bytesOut));
    }
  }
}

function reportSeries(registry: Registry, reporter: Reporter): void {
  const registers = [registry];
  new Counter({
    name: 'spillway_backend_reports_total',
    help: 'Attempts to report to a load balancer, by what came of them.',
    labelNames: ['target', 'result'],
    registers,
    collect() {
      this.reset();
      for (const [target, results] of reporter.results) {
        for (const [result, times] of results) this.inc({ target, result }, times);
      }
    },
  });
  new Gauge({
    name: 'spillway_backend_report_counted_timestamp_seconds',
    help: 'When a load balancer last counted a report.',
    labelNames: ['target'],
    registers,
    collect() {
      for (const [target, ms] of reporter.countedMs) this.set({ target }, ms / 1000);
    },
  });
  new Gauge({
    name: 'spillway_backend_reports_unsettled',
    help: 'Reports that may have arrived, and whose answer is awaited.',
    registers,
    collect() {
      this.set(reporter.ledger.unsettled.length);
    },
  });
}
