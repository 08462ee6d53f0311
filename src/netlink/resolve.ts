import { getSystemErrorName } from 'node:util';
import { familyOf, type Ip } from '../base/ip.js';
import type { RouteMessage } from './decode.js';
import { NUD, RTN } from './kernel.js';
import type { Link } from './links.js';
import type { NextHop, WayOut } from './types.js';

/** What the kernel answered about the way to one address. */
export type RouteAnswer =
  | { readonly kind: 'pending' }
  | { readonly kind: 'route'; readonly route: RouteFacts }
  | { readonly kind: 'refused'; readonly errno: number; readonly text: string | null };

/** Of a route, what a next hop follows from. */
export type RouteFacts = Pick<RouteMessage, 'type' | 'oif' | 'gateway' | 'preferredSource' | 'mtu'>;

const MOST_SHARED = 4096;
const shared = new Map<string, RouteAnswer>();

/** The addresses behind one route, which may be all 50,000, share one answer. */
export function routeAnswer({ type, oif, gateway, preferredSource, mtu }: RouteMessage): RouteAnswer {
  const key = `${type}|${oif}|${gateway}|${preferredSource}|${mtu}`;
  let answer = shared.get(key);
  if (answer === undefined) {
    if (shared.size >= MOST_SHARED) shared.clear();
    answer = { kind: 'route', route: { type, oif, gateway, preferredSource, mtu } };
    shared.set(key, answer);
  }
  return answer;
}

/** What is known of a neighbour that somebody wants. */
export interface NeighbourView {
  /** The MAC it has or, for the grace, the one it had. */
  readonly mac: string | null;
  /** It was asked in vain, and has not answered since. */
  readonly failed: boolean;
  /** Why the kernel would not keep it. */
  readonly error: string | null;
}

/** NUD states in which a MAC is good for sending. */
export const NUD_USABLE = NUD.REACHABLE | NUD.STALE | NUD.DELAY | NUD.PROBE | NUD.PERMANENT | NUD.NOARP;

export interface Surroundings {
  link(ifindex: number): Link | null;
  /** How frames leave by a device, or why they cannot. */
  wayOut(link: Link): WayOut | string;
  /** Not just back by the port, and with the tags, that a packet came with. */
  isSteered(way: WayOut): boolean;
  neighbour(ifindex: number, address: Ip): NeighbourView | null;
}

/** The neighbour that a route leads to, when it is one to ask for. */
export function wantedNeighbour(
  address: Ip,
  answer: RouteAnswer,
  around: Surroundings,
): { ifindex: number; address: Ip } | null {
  if (answer.kind !== 'route' || obstacle(address, answer.route, around) !== null) return null;
  return { ifindex: answer.route.oif!, address: answer.route.gateway ?? address };
}

export function resolveNextHop(address: Ip, answer: RouteAnswer, around: Surroundings): NextHop {
  if (answer.kind === 'pending') return unresolved('the route is being looked up');
  if (answer.kind === 'refused') return unresolved(refusal(address, answer));
  const { route } = answer;
  const why = obstacle(address, route, around);
  if (why !== null) return unresolved(why);
  const link = around.link(route.oif!)!;
  const way = around.wayOut(link) as WayOut;
  const via = route.gateway ?? address;
  const neighbour = around.neighbour(link.ifindex, via);
  if (!neighbour?.mac) return unresolved(silence(via, link.name, neighbour));
  return {
    state: 'resolved',
    mac: neighbour.mac,
    ifindex: link.ifindex,
    device: link.name,
    vlan: way.vlan,
    steered: around.isSteered(way),
    mtu: route.mtu === null ? link.mtu : Math.min(route.mtu, link.mtu),
    source: route.preferredSource!,
    via,
  };
}

/** What stands in the way before any neighbour is asked; null: nothing. */
function obstacle(address: Ip, route: RouteFacts, around: Surroundings): string | null {
  const special = specialRoute(address, route.type);
  if (special !== null) return special;
  const link = route.oif === null ? null : around.link(route.oif);
  if (!link) return `the route to ${address} names no interface: add one that does`;
  const way = around.wayOut(link);
  if (typeof way === 'string') return `the route to ${address} leaves by ${way}`;
  if (!link.up) return `interface ${link.name} is down: the route to ${address} leaves by it`;
  if (route.preferredSource === null)
    return `no source address towards ${address}: give ${link.name} an address of its family`;
  return null;
}

function specialRoute(address: Ip, type: number): string | null {
  switch (type) {
    case RTN.UNICAST:
      return null;
    case RTN.LOCAL:
      return `${address} is an address of this host: a backend must be another host`;
    case RTN.BROADCAST:
    case RTN.ANYCAST:
    case RTN.MULTICAST:
      return `${address} is a broadcast, anycast or multicast address here: name one host`;
    case RTN.BLACKHOLE:
    case RTN.UNREACHABLE:
    case RTN.PROHIBIT:
      return `the route to ${address} is a ${routeTypeName(type)} route: remove it, or add a more specific one`;
    default:
      return `the route to ${address} is of type ${type}, which cannot be forwarded along`;
  }
}

function routeTypeName(type: number): string {
  if (type === RTN.BLACKHOLE) return 'blackhole';
  return type === RTN.UNREACHABLE ? 'unreachable' : 'prohibit';
}

/** IPv4 answers a lookup that hits a special route by an error; IPv6 by a route of that type. */
function refusal(address: Ip, answer: { readonly errno: number; readonly text: string | null }): string {
  const name = errnoName(answer.errno);
  switch (name) {
    case 'ENETUNREACH':
      return `no route to ${address}: add a route, or correct the address`;
    case 'EHOSTUNREACH':
      return specialRoute(address, RTN.UNREACHABLE)!;
    case 'EACCES':
      return specialRoute(address, RTN.PROHIBIT)!;
    case 'EINVAL':
      return specialRoute(address, RTN.BLACKHOLE)!;
    default:
      return `the kernel refused to look up the route to ${address}: ${name}${answer.text ? ` (${answer.text})` : ''}`;
  }
}

function silence(via: Ip, interfaceName: string, neighbour: NeighbourView | null): string {
  const protocol = familyOf(via) === 4 ? 'ARP' : 'neighbour discovery';
  if (neighbour?.error) return `the kernel would not resolve ${via} on ${interfaceName}: ${neighbour.error}`;
  if (neighbour?.failed) {
    return `no answer to ${protocol} from ${via} on ${interfaceName}: check that the host is up and on this network`;
  }
  return `waiting for the answer to ${protocol} from ${via} on ${interfaceName}`;
}

export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

function unresolved(reason: string): NextHop {
  return { state: 'unresolved', reason };
}
