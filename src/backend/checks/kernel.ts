/** What sysctl has. */
import { familyOf } from '../../base/ip.js';
import { bitsOf, type Check, type Facts, good, holderOf, vipsOf } from './check.js';

/** The kernel takes the larger of `all` and the interface's own value of these. */
function effective({ setting, target }: Facts, name: string): number {
  const of = (device: string) => setting(`net/ipv4/conf/${device}/${name}`) ?? 0;
  return Math.max(of('all'), of(target.name));
}

/** sysctl's own spelling of an interface whose name holds a dot. */
const spelled = (device: string): string => device.replaceAll('.', '/');

const arpSettings = [
  {
    name: 'arp_ignore',
    // 3 answers for addresses of global scope, as VIPs on lo are.
    isGood: (value: number) => value === 1 || value === 2 || value === 8,
    wanted: 1,
    consequence: 'this host answers ARP for a VIP on lo: the router sends to it, past the load balancers',
  },
  {
    name: 'arp_announce',
    isGood: (value: number) => value >= 2,
    wanted: 2,
    consequence: 'this host names a VIP as its own in its ARP requests: the router learns it, past the load balancers',
  },
] as const;

/** Without these the router learns VIP -> this host, and the load balancers are passed by. */
export function checkArp(facts: Facts, { known }: { readonly known: boolean }): readonly Check[] {
  return arpSettings.map(({ name, isGood, wanted, consequence }) => {
    const value = effective(facts, name);
    if (isGood(value)) return good(name, `${value}`);
    const level = known ? 'fail' : 'warn';
    return { name, level, detail: `${value}`, consequence, remedy: `sysctl -w net.ipv4.conf.all.${name}=${wanted}` };
  });
}

export function checkReversePath(facts: Facts): Check {
  const value = effective(facts, 'rp_filter');
  const { name } = facts.target;
  if (value !== 1) return good('rp_filter', `${value}`);
  const back = facts.defaultRoutes?.find(({ family }) => family === 4)?.device;
  if (back === name) return good('rp_filter', `1 (strict), and clients are routed back by ${name}`);
  return {
    name: 'rp_filter',
    level: back === undefined ? 'warn' : 'fail',
    detail: `1 (strict)${back === undefined ? '' : `, and clients are routed back by ${back}`}`,
    consequence: `packets of clients that are not routed back by ${name} are dropped`,
    remedy: `sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.${spelled(name)}.rp_filter=2`,
  };
}

/** An address on a device whose IPv6 is off does not come into being, and packets to it are dropped. */
export function checkIpv6(facts: Facts): readonly Check[] {
  if (!vipsOf(facts).some((vip) => familyOf(vip) === 6)) return [];
  const off = ['all', 'lo', facts.target.name].filter(
    (device) => facts.setting(`net/ipv6/conf/${device}/disable_ipv6`) !== 0,
  );
  if (off.length === 0) return [good('ipv6', 'on')];
  return [
    {
      name: 'ipv6',
      level: 'fail',
      detail: `off for ${off.join(', ')}`,
      consequence: 'packets to IPv6 VIPs are dropped',
      remedy: `sysctl -w ${off.map((device) => `net.ipv6.conf.${spelled(device)}.disable_ipv6=0`).join(' ')}`,
    },
  ];
}

/** A host that forwards sends packets to an address that it does not have back to the router. */
export function checkForwarding(facts: Facts): readonly Check[] {
  return [
    { family: 4, path: 'net/ipv4/ip_forward' },
    { family: 6, path: 'net/ipv6/conf/all/forwarding' },
  ].flatMap(({ family, path }): readonly Check[] => {
    const vips = vipsOf(facts).filter((vip) => familyOf(vip) === family);
    if (vips.length === 0) return [];
    const absent = vips.filter((vip) => holderOf(vip, facts) === undefined);
    const isOn = (facts.setting(path) ?? 0) > 0;
    const name = `forwarding${family}`;
    if (!isOn) return [good(name, 'off')];
    if (absent.length === 0) return [good(name, 'on; every VIP is on this host, so no packet to one goes round')];
    return [
      {
        name,
        level: 'fail',
        detail: `on, and ${absent.join(', ')} is not on this host`,
        consequence: 'a packet to another port of it goes back to the router, and round until its TTL ends',
        remedy: absent.map((vip) => `ip address add ${vip}/${bitsOf(vip)} dev lo`).join('; '),
      },
    ];
  });
}
