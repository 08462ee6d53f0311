import { familyOf, type Ip } from '../base/ip.js';
import { defaultGuePort, defaultInstance } from './defaults.js';
import { type HostInterface, loopbackVips } from './host.js';
import { formatMapping, type PortMapping } from './mapping.js';
import { formatPrefix } from './prefix.js';
import type { Rules } from './rules.js';

export interface Check {
  readonly name: string;
  /** fail: traffic is lost or the VIP is taken away from the load balancers; warn: some of it may be. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; empty when all is well. */
  readonly remedy: string;
}

export interface Facts {
  readonly instance: string;
  readonly target: HostInterface;
  readonly interfaces: readonly HostInterface[];
  readonly mode: 'native' | 'generic' | 'offload';
  readonly rules: Rules;
  /** Of each VIP, bytes of the widest outer header seen. */
  readonly overheads: ReadonlyMap<Ip, number>;
  /** Interfaces with the program for replies. */
  readonly out: readonly string[];
  /** To be on this host besides the VIPs of the rules: those of the command line. */
  readonly asked: readonly Ip[];
  readonly ipv4Setting: (interfaceName: string, name: string) => number | null;
}

/** IPv6 and UDP: GUE over IPv6 costs the most. */
const MOST_OUTER_BYTES = 48;
const CLIENT_MTU = 1500;

/** What a backend must have set so that what the load balancers send reaches its sockets, and replies the clients. */
export function checkHost(facts: Facts): readonly Check[] {
  const vips = [...new Set([...facts.rules.vips, ...facts.asked])];
  const held = vips.filter((vip) => facts.interfaces.some(({ addresses }) => addresses.includes(vip)));
  return [
    checkUp(facts.target),
    checkMac(facts),
    ...vips.map((vip) => checkVip(vip, facts)),
    ...checkListed(facts),
    ...facts.rules.mappings.map((mapping) => checkMapping(mapping, facts)),
    ...(vips.length === 0 || held.some((vip) => familyOf(vip) === 4) ? checkArp(facts, vips.length > 0) : []),
    checkReversePath(facts),
    checkReplies(facts),
    checkMtu(facts),
    checkMode(facts),
  ];
}

/** The attach that made it what it is, for a remedy that changes nothing else. */
export function attachCommand({ instance, target, rules, out }: Facts): string {
  const { from, vips, onlyVips, mappings, exempt, guePort, clamp } = rules;
  const some = (option: string, values: readonly string[]) => (values.length === 0 ? [] : [option, ...values]);
  return [
    `spillway backend attach --interface ${target.name}`,
    ...(instance === defaultInstance(target.name) ? [] : ['--instance', instance]),
    ...some('--from', from.map(formatPrefix)),
    ...some('--vip', onlyVips ? vips : []),
    ...some('--map', mappings.map(formatMapping)),
    ...some('--map-exempt', exempt.map(formatPrefix)),
    ...(guePort === defaultGuePort ? [] : ['--gue-port', String(guePort ?? 'off')]),
    ...(clamp === 'auto' ? [] : ['--clamp-mss', String(clamp)]),
    ...(out.length === 0 || (out.length === 1 && out[0] === target.name) ? [] : ['--out', ...out]),
  ].join(' ');
}

function checkUp({ name, up }: HostInterface): Check {
  if (up) return good('interface', `${name} is up`);
  return { name: 'interface', level: 'fail', detail: `${name} is down`, remedy: `ip link set dev ${name} up` };
}

function checkMac(facts: Facts): Check {
  const { target, rules } = facts;
  const { name, mac } = target;
  if (mac !== null && rules.macs.includes(mac)) return good('mac', `frames for ${mac} are taken`);
  return {
    name: 'mac',
    level: 'fail',
    detail: `${name} has ${mac ?? 'no address'} now, frames for ${rules.macs.join(', ')} are taken`,
    remedy: attachCommand(facts),
  };
}

function checkVip(vip: Ip, { interfaces, rules }: Facts): Check {
  const holder = interfaces.find(({ addresses }) => addresses.includes(vip));
  const ports = rules.mappings.filter((mapping) => mapping.vip === vip).length;
  const bits = familyOf(vip) === 4 ? 32 : 128;
  const remedy = `ip address add ${vip}/${bits} dev lo`;
  if (!holder && ports > 0) {
    const detail = `${vip} is not on this host, and need not be: ${ports === 1 ? 'a port' : `${ports} ports`} of it are mapped`;
    return good('vip', detail);
  }
  if (!holder) return { name: 'vip', level: 'fail', detail: `${vip} is not on this host`, remedy };
  if (holder.name === 'lo') return good('vip', `${vip} is on lo`);
  const detail = `${vip} is on ${holder.name}: this host answers for it on the network`;
  return { name: 'vip', level: 'warn', detail, remedy };
}

/** What came to lo after the attach. */
function checkListed(facts: Facts): readonly Check[] {
  const late = loopbackVips(facts.interfaces).filter((vip) => !facts.rules.vips.includes(vip));
  if (late.length === 0 || facts.rules.onlyVips) return [];
  return [
    {
      name: 'vip',
      level: 'warn',
      detail: `${late.join(', ')} came to lo after the attach: not counted, and uploads through a tunnel may hang`,
      remedy: attachCommand(facts),
    },
  ];
}

function checkMapping(mapping: PortMapping, { interfaces }: Facts): Check {
  const { host } = mapping;
  const words = formatMapping(mapping);
  const holder = interfaces.find(({ addresses }) => addresses.includes(host));
  if (holder) return good('map', `${words}, on ${holder.name}`);
  return {
    name: 'map',
    level: 'fail',
    detail: `${words}: ${host} is no address of this host any more, and what is mapped to it is lost`,
    remedy: `ip address add ${host}/${familyOf(host) === 4 ? 24 : 64} dev INTERFACE, or attach with another --map`,
  };
}

function checkReplies(facts: Facts): Check {
  const { out, rules } = facts;
  if (out.length > 0)
    return good('replies', `counted${rules.mappings.length > 0 ? ' and mapped' : ''} on ${out.join(', ')}`);
  return {
    name: 'replies',
    level: 'fail',
    detail: 'no program on the way out: replies of mapped ports miss their clients, none is counted or clamped',
    remedy: attachCommand(facts),
  };
}

/** The kernel takes the larger of `all` and the interface's own value of these. */
function effective(facts: Facts, name: string): number {
  const { ipv4Setting, target } = facts;
  return Math.max(ipv4Setting('all', name) ?? 0, ipv4Setting(target.name, name) ?? 0);
}

/** Without these the router learns VIP -> this host, and the load balancers are passed by. */
function checkArp(facts: Facts, known: boolean): readonly Check[] {
  return [
    { name: 'arp_ignore', least: 1, wanted: 1, harm: 'this host answers ARP for a VIP on lo' },
    { name: 'arp_announce', least: 2, wanted: 2, harm: 'this host names a VIP as its own in its ARP requests' },
  ].map(({ name, least, wanted, harm }) => {
    const value = effective(facts, name);
    if (value >= least) return good(name, `${value}`);
    const level = known ? 'fail' : 'warn';
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

function checkMtu({ target: { name, mtu }, rules, overheads, out }: Facts): Check {
  const wanted = CLIENT_MTU + (Math.max(0, ...overheads.values()) || MOST_OUTER_BYTES);
  if (mtu >= wanted) return good('mtu', `${mtu}`);
  if (rules.clamp !== 'off' && out.length > 0) {
    return good('mtu', `${mtu}: TCP clients are offered segments that fit (--clamp-mss ${rules.clamp})`);
  }
  return {
    name: 'mtu',
    level: 'warn',
    detail: `${mtu}: a client's full-size packet and the outer header need ${wanted}, and uploads may hang`,
    remedy: `attach with --clamp-mss auto, or: ip link set dev ${name} mtu ${wanted} (load balancers and switches too)`,
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
