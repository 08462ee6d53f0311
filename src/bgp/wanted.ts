import { familyOf, type Ip, parseIp } from '../base/ip.js';
import type { RoutePreference } from '../config/cluster.js';
import type { Route } from './types.js';

/** Path attributes of one route: what its preference says, and what was added for it. */
export interface Attributes {
  /** null: none is sent. */
  readonly med: number | null;
  readonly prepend: number;
  /** Two parts each. */
  readonly communities: readonly (readonly number[])[];
  /** Three parts each. */
  readonly largeCommunities: readonly (readonly number[])[];
}

const MOST_U32 = 0xffff_ffff;
/** BIRD keeps paths of up to 255 in one segment, and routers refuse far shorter ones. */
const MOST_PREPENDED = 64;

export function attributesOf(route: Route, preference: RoutePreference): Attributes {
  const med =
    route.med === null && preference.med === null ? null : Math.min((route.med ?? 0) + (preference.med ?? 0), MOST_U32);
  const all = [...new Set([...preference.communities, ...route.communities])].map(parseCommunity);
  return {
    med,
    prepend: Math.min(preference.prepend + route.prepend, MOST_PREPENDED),
    communities: all.filter((one) => one.length === 2),
    largeCommunities: all.filter((one) => one.length === 3),
  };
}

/** @throws Error naming the text */
export function parseCommunity(text: string): readonly number[] {
  const parts = /^\d{1,10}(:\d{1,10}){1,2}$/.test(text) ? text.split(':').map(Number) : [];
  const most = parts.length === 2 ? 0xffff : MOST_U32;
  if (parts.length === 0 || parts.some((part) => part > most)) {
    throw new Error(`community "${text}": "65000:100", or a large one as "65000:1:2", is expected`);
  }
  return parts;
}

export interface Wanted {
  /** By VIP, in the order of their text, each VIP once. */
  readonly routes: readonly Route[];
  /** What was left out, and why. */
  readonly faults: readonly string[];
}

/** What can be announced of what was asked for: one route that makes no sense must not hold up the others. */
export function wantedOf(routes: readonly Route[]): Wanted {
  const good = new Map<string, Route>();
  const faults: string[] = [];
  for (const route of routes) {
    const vip = canonical(route.vip);
    const fault = vip === null ? 'an IPv4 or IPv6 address is expected' : faultOf(route);
    if (vip === null || fault !== null) faults.push(`${route.vip} is not announced: ${fault}`);
    else good.set(vip, { ...route, vip });
  }
  return { routes: [...good.values()].sort((a, b) => (a.vip < b.vip ? -1 : a.vip > b.vip ? 1 : 0)), faults };
}

const MOST_KEPT = 65_536;
const parsed = new Map<string, Ip | null>();

/** The same VIPs are told again and again, and parsing is most of the cost of a change (70 of 100 ms at 1,000 VIPs). */
function canonical(text: string): Ip | null {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  if (parsed.size >= MOST_KEPT) parsed.clear();
  const ip = parseIp(text);
  parsed.set(text, ip);
  return ip;
}

function faultOf(route: Route): string | null {
  for (const [name, value, most] of [
    ['med', route.med ?? 0, MOST_U32],
    ['prepend', route.prepend, MOST_PREPENDED],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value > most) return `${name} ${value}: 0 to ${most} is expected`;
  }
  try {
    route.communities.forEach(parseCommunity);
  } catch (error) {
    return (error as Error).message;
  }
  return null;
}

export function ofFamily(routes: readonly Route[], family: 4 | 6): readonly Route[] {
  return routes.filter(({ vip }) => familyOf(vip) === family);
}
