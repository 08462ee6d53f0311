import { familyOf, type Ip } from '../../base/ip.js';
import { loopbackVips } from '../host.js';
import { formatMapping, type PortMapping } from '../mapping.js';
import { attachCommand, bitsOf, type Check, type Facts, good, holderOf, vipsOf } from './check.js';
import { checkArp, checkReversePath } from './kernel.js';

/** IPv6 and UDP: GUE over IPv6 costs the most. */
const MOST_OUTER_BYTES = 48;
const CLIENT_MTU = 1500;
const TCP_IP_BYTES = { 4: 40, 6: 60 } as const;

/** What a backend must have set so that what the load balancers send reaches its sockets, and replies the clients. */
export function checkHost(facts: Facts): readonly Check[] {
  const vips = vipsOf(facts);
  const held4 = vips.some((vip) => familyOf(vip) === 4 && holderOf(vip, facts) !== undefined);
  return [
    checkUp(facts),
    ...(facts.mode === null ? [] : [checkMac(facts)]),
    ...vips.map((vip) => checkVip(vip, facts)),
    ...checkListed(facts),
    ...facts.rules.mappings.map((mapping) => checkMapping(mapping, facts)),
    ...(vips.length === 0 || held4 ? checkArp(facts, { known: vips.length > 0 }) : []),
    checkReversePath(facts),
    ...(facts.mode === null ? [] : [checkReplies(facts), checkMtu(facts), checkMode(facts)]),
  ];
}

function checkUp({ target: { name, up } }: Facts): Check {
  if (up) return good('interface', `${name} is up`);
  return {
    name: 'interface',
    level: 'fail',
    detail: `${name} is down`,
    consequence: 'nothing comes in by it',
    remedy: `ip link set dev ${name} up`,
  };
}

function checkMac(facts: Facts): Check {
  const { name, mac } = facts.target;
  if (mac !== null && facts.rules.macs.includes(mac)) return good('mac', `frames for ${mac} are taken`);
  return {
    name: 'mac',
    level: 'fail',
    detail: `${name} has ${mac ?? 'no address'} now, frames for ${facts.rules.macs.join(', ')} are taken`,
    consequence: 'no tunnel is stripped, no VIP counted or mapped',
    remedy: attachCommand(facts),
  };
}

function checkVip(vip: Ip, facts: Facts): Check {
  const holder = holderOf(vip, facts);
  const ports = facts.rules.mappings.filter((mapping) => mapping.vip === vip).length;
  const remedy = `ip address add ${vip}/${bitsOf(vip)} dev lo`;
  if (!holder && ports > 0) {
    const mapped = ports === 1 ? 'a port of it is mapped' : `${ports} ports of it are mapped`;
    return good('vip', `${vip} is not on this host, and need not be: ${mapped}`);
  }
  if (!holder) {
    const consequence = 'the kernel does not take packets to it';
    return { name: 'vip', level: 'fail', detail: `${vip} is not on this host`, consequence, remedy };
  }
  if (holder.name === 'lo') return good('vip', `${vip} is on lo`);
  return {
    name: 'vip',
    level: 'warn',
    detail: `${vip} is on ${holder.name}`,
    consequence: 'this host answers for it on the network, and takes it from the load balancers',
    remedy: `ip address del ${vip} dev ${holder.name}; ${remedy}`,
  };
}

/** What came to lo after the attach. */
function checkListed(facts: Facts): readonly Check[] {
  if (facts.mode === null || facts.rules.onlyVips) return [];
  const late = loopbackVips(facts.interfaces).filter((vip) => !facts.rules.vips.includes(vip));
  if (late.length === 0) return [];
  return [
    {
      name: 'vip',
      level: 'warn',
      detail: `${late.join(', ')} came to lo after the attach`,
      consequence: 'its traffic is not counted, and uploads to it through a tunnel may hang',
      remedy: attachCommand(facts),
    },
  ];
}

function checkMapping(mapping: PortMapping, facts: Facts): Check {
  const { host } = mapping;
  const words = formatMapping(mapping);
  const holder = holderOf(host, facts);
  if (holder) return good('map', `${words}, on ${holder.name}`);
  return {
    name: 'map',
    level: 'fail',
    detail: `${words}: ${host} is no address of this host any more`,
    consequence: 'what is mapped to it is lost',
    remedy: `ip address add ${host}/${familyOf(host) === 4 ? 24 : 64} dev ${facts.target.name}`,
  };
}

function checkReplies(facts: Facts): Check {
  const { out, rules } = facts;
  if (out.length > 0)
    return good('replies', `counted${rules.mappings.length > 0 ? ' and mapped' : ''} on ${out.join(', ')}`);
  return {
    name: 'replies',
    level: 'fail',
    detail: 'no program on the way out',
    consequence: 'replies of mapped ports miss their clients, none is counted, and uploads through a tunnel may hang',
    remedy: attachCommand(facts),
  };
}

function checkMtu(facts: Facts): Check {
  const { target, rules, overheads, out, defaultRoutes } = facts;
  const { mtu } = target;
  const overhead = Math.max(0, ...overheads.values()) || MOST_OUTER_BYTES;
  const wanted = CLIENT_MTU + overhead;
  if (mtu >= wanted) return good('mtu', `${mtu}`);
  if (rules.clamp !== 'off' && out.length > 0) {
    return good('mtu', `${mtu}: TCP clients are offered segments that fit (--clamp-mss ${rules.clamp})`);
  }
  const routes = defaultRoutes ?? [];
  const fits = ({ family, advmss }: (typeof routes)[number]) =>
    advmss !== null && advmss <= mtu - overhead - TCP_IP_BYTES[family];
  if (routes.length > 0 && routes.every(fits)) {
    return good('mtu', `${mtu}: TCP clients are offered segments that fit (advmss of the route)`);
  }
  return {
    name: 'mtu',
    level: 'warn',
    detail: `${mtu}, with nothing that makes clients send less`,
    consequence: `a client's full-size packet and the outer header need ${wanted}: uploads through a tunnel hang`,
    remedy: attachCommand(facts, { clamp: 'auto' }),
  };
}

function checkMode({ mode, target }: Facts): Check {
  if (mode !== 'generic') return good('mode', `${mode}`);
  return {
    name: 'mode',
    level: 'warn',
    detail: 'generic: the driver has no native XDP, or no room for it now',
    consequence: 'slower, but right; --mode native says why it cannot',
    remedy: `ethtool -i ${target.name}`,
  };
}
