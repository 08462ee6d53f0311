import { familyOf, type Ip } from '../base/ip.js';
import type { HostInterface } from './host.js';
import type { Rules } from './program.js';

export interface Check {
  readonly name: string;
  /** fail: traffic is lost or the VIP is taken away from the load balancers; warn: some of it may be. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; empty when all is well. */
  readonly remedy: string;
}

export interface Facts {
  readonly target: HostInterface;
  readonly interfaces: readonly HostInterface[];
  readonly mode: 'native' | 'generic' | 'offload';
  readonly rules: Rules;
  /** To be on this host: those of the rules and those of the command line. */
  readonly vips: readonly Ip[];
  readonly ipv4Setting: (interfaceName: string, name: string) => number | null;
}

/** IPv4 in IPv6 costs the most. */
const OUTER_BYTES = 40;
const CLIENT_MTU = 1500;

/** What a backend must have set so that tunnelled packets reach its sockets. */
export function checkHost(facts: Facts): readonly Check[] {
  return [
    checkUp(facts.target),
    checkMac(facts.target, facts.rules),
    ...facts.vips.map((vip) => checkVip(vip, facts.interfaces)),
    ...(facts.vips.length === 0 || facts.vips.some((vip) => familyOf(vip) === 4) ? checkArp(facts) : []),
    checkReversePath(facts),
    checkMtu(facts.target),
    checkMode(facts),
  ];
}

function checkUp({ name, up }: HostInterface): Check {
  if (up) return good('interface', `${name} is up`);
  return { name: 'interface', level: 'fail', detail: `${name} is down`, remedy: `ip link set dev ${name} up` };
}

function checkMac({ name, mac }: HostInterface, rules: Rules): Check {
  if (mac !== null && rules.macs.includes(mac)) return good('mac', `frames for ${mac} are stripped`);
  return {
    name: 'mac',
    level: 'fail',
    detail: `${name} has ${mac ?? 'no address'} now, frames for ${rules.macs.join(', ')} are stripped`,
    remedy: `spillway backend attach --interface ${name}`,
  };
}

function checkVip(vip: Ip, interfaces: readonly HostInterface[]): Check {
  const holder = interfaces.find(({ addresses }) => addresses.includes(vip));
  const bits = familyOf(vip) === 4 ? 32 : 128;
  const remedy = `ip address add ${vip}/${bits} dev lo`;
  if (!holder) return { name: 'vip', level: 'fail', detail: `${vip} is not on this host`, remedy };
  if (holder.name === 'lo') return good('vip', `${vip} is on lo`);
  const detail = `${vip} is on ${holder.name}: this host answers for it on the network`;
  return { name: 'vip', level: 'warn', detail, remedy };
}

/** The kernel takes the larger of `all` and the interface's own value of these. */
function effective(facts: Facts, name: string): number {
  const { ipv4Setting, target } = facts;
  return Math.max(ipv4Setting('all', name) ?? 0, ipv4Setting(target.name, name) ?? 0);
}

/** Without these the router learns VIP -> this host, and the load balancers are passed by. */
function checkArp(facts: Facts): readonly Check[] {
  return [
    { name: 'arp_ignore', least: 1, wanted: 1, harm: 'this host answers ARP for a VIP on lo' },
    { name: 'arp_announce', least: 2, wanted: 2, harm: 'this host names a VIP as its own in its ARP requests' },
  ].map(({ name, least, wanted, harm }) => {
    const value = effective(facts, name);
    if (value >= least) return good(name, `${value}`);
    const level = facts.vips.length === 0 ? 'warn' : 'fail';
    return { name, level, detail: `${value}: ${harm}`, remedy: `sysctl -w net.ipv4.conf.all.${name}=${wanted}` };
  });
}

function checkReversePath(facts: Facts): Check {
  const value = effective(facts, 'rp_filter');
  if (value !== 1) return good('rp_filter', `${value}`);
  const { name } = facts.target;
  return {
    name: 'rp_filter',
    level: 'warn',
    detail: `1 (strict): packets of clients that are not routed back by ${name} are dropped`,
    remedy: `sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.${name.replaceAll('.', '/')}.rp_filter=2`,
  };
}

function checkMtu({ name, mtu }: HostInterface): Check {
  const wanted = CLIENT_MTU + OUTER_BYTES;
  if (mtu >= wanted) return good('mtu', `${mtu}`);
  return {
    name: 'mtu',
    level: 'warn',
    detail: `${mtu}: a client's full-size packet and the outer header need ${wanted}, and uploads may hang`,
    remedy: `ip link set dev ${name} mtu ${wanted} (load balancers and switches too), or advmss on the route to clients`,
  };
}

function checkMode({ mode, target }: Facts): Check {
  if (mode !== 'generic') return good('mode', mode);
  return {
    name: 'mode',
    level: 'warn',
    detail: 'generic: the driver has no native XDP, or no room for it now; slower, but right',
    remedy: `spillway backend attach --interface ${target.name} --mode native (says why it cannot)`,
  };
}

function good(name: string, detail: string): Check {
  return { name, level: 'ok', detail, remedy: '' };
}
