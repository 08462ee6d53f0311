/** What the programs counted, and count now. */
import type { Count } from '../program.js';
import { attachCommand, type Check, type Facts, good } from './check.js';

export interface TrafficFacts extends Facts {
  readonly before: readonly Count[];
  readonly after: readonly Count[];
  readonly watchedMs: number;
}

interface Trouble {
  /** While it grows. */
  readonly level: 'warn' | 'fail';
  readonly consequence: string;
  readonly remedy: (facts: Facts) => string;
}

const troubles: Readonly<Record<string, Trouble>> = {
  drop_fragment: {
    level: 'fail',
    consequence: 'tunnels came in fragments, which are not put together',
    remedy: ({ target }) =>
      `raise the MTU between load balancers and this host: ip link set dev ${target.name} mtu 1600, there and here`,
  },
  drop_malformed: {
    level: 'fail',
    consequence: 'tunnels were cut short on their way',
    remedy: () =>
      'look for a switch or a NIC with too small an MTU: tcpdump -nve ip proto 4 or ip proto 41 or udp port 6080',
  },
  drop_checksum: {
    level: 'fail',
    consequence: 'outer headers were damaged on their way',
    remedy: ({ target }) =>
      `ethtool -S ${target.name} (errors of the link); between namespaces: ethtool -K SENDER tx off`,
  },
  drop_gue: {
    level: 'warn',
    consequence: 'GUE came that is more than a plain header, or none at all',
    remedy: () =>
      'see who else sends to the port, or take another one by --gue-port and tunnelPort of the backend groups',
  },
  drop_inner: {
    level: 'fail',
    consequence: 'tunnels held no whole IP packet',
    remedy: () => 'see who sends them: tcpdump -nve ip proto 4 or ip proto 41 or udp port 6080',
  },
  drop_ecn: {
    level: 'warn',
    consequence: 'packets that met congestion, of clients without ECN: dropped, as RFC 6040 has it',
    remedy: () => 'nothing, unless it grows fast: then the way from the load balancers is congested',
  },
  drop_internal: {
    level: 'fail',
    consequence: 'the driver refused to move the head of frames',
    remedy: (facts) => `${attachCommand(facts)} --mode generic`,
  },
  pass_source: {
    level: 'fail',
    consequence: 'tunnels of others than --from were not stripped: of a new load balancer, its clients are lost',
    remedy: (facts) => `name each load balancer: ${attachCommand(facts)}`,
  },
  pass_not_vip: {
    level: 'warn',
    consequence: 'tunnelled packets to no VIP of --vip were not stripped',
    remedy: (facts) => `name each VIP: ${attachCommand(facts)}`,
  },
  pass_options: {
    level: 'warn',
    consequence: 'tunnels with outer IPv4 options were not stripped',
    remedy: () => 'no load balancer of ours sends them: see who does',
  },
};

export function checkTraffic(facts: TrafficFacts): readonly Check[] {
  if (facts.mode === null) return [];
  const grown = facts.after.map((now) => ({
    ...now,
    grown: now.packets - (facts.before.find(({ reason }) => reason === now.reason)?.packets ?? 0n),
  }));
  const arrived = grown.filter(({ verdict, reason }) => verdict === 'strip' || reason === 'pass_vip');
  const total = (counts: readonly { readonly grown: bigint }[]) => counts.reduce((sum, one) => sum + one.grown, 0n);
  const seconds = facts.watchedMs / 1000;
  const words = arrived.filter((one) => one.grown > 0n).map((one) => `${one.grown} ${one.reason}`);
  const moving: Check =
    total(arrived) > 0n
      ? good('traffic', `in ${seconds} s: ${words.join(', ')}`)
      : {
          name: 'traffic',
          level: 'warn',
          detail: `no packet to a VIP in ${seconds} s (${arrived.reduce((sum, one) => sum + one.packets, 0n)} since the attach)`,
          consequence: 'no load balancer sends here now: even its checks by way of the VIP would be seen',
          remedy: `on a load balancer: spillway backends; here: tcpdump -nei ${facts.target.name} ip proto 4 or ip proto 41 or udp port ${facts.rules.guePort ?? 6080}`,
        };
  const bad = grown.flatMap(({ reason, packets, grown: now }): readonly Check[] => {
    const trouble = troubles[reason];
    if (trouble === undefined || packets === 0n) return [];
    const detail = `${packets} since the attach, ${now} in ${seconds} s`;
    return [
      {
        name: reason,
        // What happened once is no state to be mended.
        level: now > 0n ? trouble.level : 'warn',
        detail,
        consequence: trouble.consequence,
        remedy: trouble.remedy(facts),
      },
    ];
  });
  return [moving, ...bad];
}
