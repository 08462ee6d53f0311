import type { ReportedTraffic } from '../api/port.js';
import { familyHeader, labelText } from './text.js';

interface Family {
  readonly name: string;
  readonly help: string;
  readonly values: (of: ReportedTraffic) => readonly [inbound: bigint, outbound: bigint];
}

const families: readonly Family[] = [
  {
    name: 'spillway_backend_reported_packets_total',
    help: 'Packets of a VIP that its backends counted and reported to this node.',
    values: ({ packetsIn, packetsOut }) => [packetsIn, packetsOut],
  },
  {
    name: 'spillway_backend_reported_bytes_total',
    help: 'Bytes of a VIP that its backends counted and reported to this node.',
    values: ({ bytesIn, bytesOut }) => [bytesIn, bytesOut],
  },
];

/** Labels: load_balancer, vip, direction ("in" from clients, "out" to them). Nothing where nothing was reported. */
export function reportedText(reported: readonly ReportedTraffic[]): string {
  const some = reported.filter(({ packetsIn, packetsOut }) => packetsIn + packetsOut > 0n);
  if (some.length === 0) return '';
  return families
    .map(({ name, help, values }) => {
      const lines = some.map((one) => {
        const [inbound, outbound] = values(one);
        const text = (direction: string, value: bigint): string =>
          `${name}${labelText({ load_balancer: one.loadBalancer, vip: one.vip, direction })} ${value}\n`;
        return text('in', inbound) + text('out', outbound);
      });
      return familyHeader(name, 'counter', help) + lines.join('');
    })
    .join('');
}
