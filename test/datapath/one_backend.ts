/** A listener on TCP and UDP 80 over one backend, so that there is but one place to go to. */
import { DataPath } from '../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, seen } from '../support/desired.js';

export const client4 = '198.51.100.7';
export const client6 = '2001:db8:100::7';
export const vip4 = '192.0.2.10';
export const vip6 = '2001:db8:10::10';
export const be4 = '203.0.113.21';
export const be6 = '2001:db8:200::21';

export interface OneBackend {
  readonly forwarding?: 'L2_DSR' | 'IPIP' | 'GUE';
  readonly address?: string;
  /** Of the way to it. */
  readonly mtu?: number;
  /** That it is reached by; without one it is back by the port that a packet came in by. */
  readonly device?: string;
  readonly frags?: boolean;
}

export async function oneBackend(t: { teardown(f: () => void): void }, open: OneBackend = {}): Promise<DataPath> {
  const { forwarding = 'L2_DSR', address = be4, mtu = 9000, device, frags = false } = open;
  const lb = new DataPath({ frags });
  t.teardown(() => lb.close());
  const listeners = (['tcp', 'udp'] as const).map((protocol) => listener({ protocol, port: 80, backendGroup: 'web' }));
  const desired = desiredOf(
    [loadBalancer('web', [vip4, vip6], listeners)],
    [group('web', forwarding, [backend('be1', address)])],
  );
  await lb.apply(desired, seen(desired, device === undefined ? { mtu } : { mtu, devices: { be1: device } }));
  return lb;
}
