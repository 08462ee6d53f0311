/** The ways from the load balancers and to the clients. */
import { familyOf, type Ip, ipToBytes } from '../../base/ip.js';
import { formatPrefix, mappedBits, type Prefix } from '../prefix.js';
import { attachCommand, type Check, type Facts, good, holderOf, vipsOf } from './check.js';

export interface PathFacts extends Facts {
  /** Addresses that the load balancers send from, and check from. */
  readonly loadBalancers: readonly Ip[];
  /** The device by which a packet from `from` to `to` leaves; null: there is no way. */
  readonly route: (to: Ip, from: Ip | null) => string | null;
}

/** Somewhere on the Internet: whatever has no way of its own here. */
const anybody = { 4: '1.0.0.1', 6: '2600::' } as const;

export function checkPaths(facts: PathFacts): readonly Check[] {
  return [...checkReplyPaths(facts), ...facts.loadBalancers.flatMap((lb) => checkLoadBalancer(lb, facts))];
}

/** By family: replies of the VIPs that are here, and of the addresses that ports are mapped to. */
function checkReplyPaths(facts: PathFacts): readonly Check[] {
  const { rules, out, mode } = facts;
  const sources = [
    ...new Set([
      ...vipsOf(facts).filter((vip) => holderOf(vip, facts) !== undefined),
      ...rules.mappings.map(({ host }) => host).filter((host) => holderOf(host, facts) !== undefined),
    ]),
  ];
  const found = sources.map((source) => ({ source, device: facts.route(anybody[familyOf(source)], source) }));
  const lost = found.filter(({ device }) => device === null).map(({ source }) => source);
  const elsewhere = found.filter(({ device }) => device !== null && !out.includes(device));
  const checks: Check[] = [];
  if (lost.length > 0) {
    const family = familyOf(lost[0]!);
    checks.push({
      name: 'route',
      level: 'fail',
      detail: `no way to clients from ${lost.join(', ')}`,
      consequence: 'replies do not leave this host',
      remedy: `ip -${family} route add default via ROUTER`,
    });
  }
  if (elsewhere.length > 0 && mode !== null) {
    const devices = [...new Set(elsewhere.map(({ device }) => device!))];
    checks.push({
      name: 'route',
      level: 'fail',
      detail: `replies from ${elsewhere.map(({ source }) => source).join(', ')} leave by ${devices.join(', ')}, where no program is`,
      consequence: 'they are not counted, not mapped back, and uploads through a tunnel may hang',
      remedy: attachCommand(facts, { out: [...new Set([...out, ...devices])] }),
    });
  }
  if (checks.length === 0 && found.length > 0) {
    const devices = [...new Set(found.map(({ device }) => device!))];
    checks.push(good('route', `replies leave by ${devices.join(', ')}`));
  }
  return checks;
}

function checkLoadBalancer(lb: Ip, facts: PathFacts): readonly Check[] {
  const { rules, target } = facts;
  const checks: Check[] = [];
  const device = facts.route(lb, null);
  if (device === null) {
    checks.push({
      name: 'lb',
      level: 'fail',
      detail: `no way to ${lb}`,
      consequence: 'its checks of this host are not answered: it takes this backend for dead',
      remedy: `ip -${familyOf(lb)} route add ${lb} dev ${target.name}`,
    });
  } else checks.push(good('lb', `${lb} is reached by ${device}`));
  if (facts.mode !== null && rules.from.length > 0 && !isWithin(lb, rules.from)) {
    checks.push({
      name: 'lb',
      level: 'fail',
      detail: `${lb} is none of --from (${rules.from.map(formatPrefix).join(', ')})`,
      consequence: 'what it sends by a tunnel is not stripped',
      remedy: attachCommand(facts, { from: [...rules.from, { address: lb, bits: familyOf(lb) === 4 ? 32 : 128 }] }),
    });
  }
  if (rules.mappings.length > 0) {
    const exempt = isWithin(lb, rules.exempt);
    checks.push(
      good(
        'lb',
        exempt
          ? `${lb} is exempt from mapping: it may check the own ports, and not by way of the VIP`
          : `${lb} is mapped as clients are: it may check by way of the VIP, and not the own ports (--map-exempt)`,
      ),
    );
  }
  return checks;
}

export function isWithin(ip: Ip, prefixes: readonly Prefix[]): boolean {
  const bytes = ipToBytes(ip);
  return prefixes.some((prefix) => {
    const bits = mappedBits(prefix);
    return ipToBytes(prefix.address).every((byte, i) => {
      const kept = Math.min(8, Math.max(0, bits - i * 8));
      return ((byte ^ bytes[i]!) & (0xff00 >> kept) & 0xff) === 0;
    });
  });
}
