import { familyOf } from '../base/ip.js';
import type { BirdConfig } from '../config/cluster.js';
import { neighborName, STATIC_NAMES } from './model.js';
import type { BfdState, ProtocolState } from './protocols.js';
import type { NeighborStatus, Route } from './types.js';
import { ofFamily } from './wanted.js';

/** What BIRD said of itself at one moment. */
export interface Observed {
  readonly protocols: ReadonlyMap<string, ProtocolState>;
  readonly bfd: readonly BfdState[];
}

/** A session that is not there yet is no problem so soon. */
const PATIENCE_MS = 10_000;

export function neighborsOf(config: BirdConfig, observed: Observed | null): readonly NeighborStatus[] {
  return config.neighbors.map((neighbor) => {
    const { address } = neighbor;
    const protocol = observed?.protocols.get(neighborName(neighbor));
    const [state = '', ...error] = (protocol?.info ?? '').split(/\s+/);
    return {
      address,
      family: familyOf(address),
      state: state === '' && protocol ? capitalized(protocol.state) : state,
      bfd: config.bfd === null ? 'off' : bfdOf(address, observed),
      sinceMs: protocol?.sinceMs ?? null,
      routesExported: protocol?.exported ?? 0,
      error: error.join(' '),
    };
  });
}

function bfdOf(address: string, observed: Observed | null): 'up' | 'down' | 'unknown' {
  const session = observed?.bfd.find((one) => one.address === address);
  if (!session) return 'unknown';
  return session.state === 'Up' ? 'up' : 'down';
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Of the routes that BIRD took, those that a neighbor hears. */
export function heardOf(routes: readonly Route[], neighbors: readonly NeighborStatus[]): readonly Route[] {
  const heard = new Set(neighbors.filter(({ state }) => state === 'Established').map(({ family }) => family));
  return routes.filter(({ vip }) => heard.has(familyOf(vip)));
}

/** Null: BIRD has the routes that it took, as many as it took. */
export function strayed(observed: Observed, taken: readonly Route[]): string | null {
  for (const family of [4, 6] as const) {
    const name = STATIC_NAMES[family];
    const wanted = ofFamily(taken, family).length;
    const protocol = observed.protocols.get(name);
    if (!protocol) return `BIRD has no protocol ${name}: it reads another configuration`;
    if (protocol.state !== 'up') return `${name} is ${protocol.state}`;
    if (protocol.imported !== null && protocol.imported !== wanted) {
      return `BIRD has ${protocol.imported} of ${wanted} IPv${family} routes`;
    }
  }
  return null;
}

export function neighborProblems(neighbors: readonly NeighborStatus[], wallMs: number): readonly string[] {
  return neighbors.flatMap(({ address, state, bfd, sinceMs, error }) => {
    if (state === 'Down') return [`neighbor ${address} is disabled: birdc enable, if that was not meant`];
    if (sinceMs === null || wallMs - sinceMs < PATIENCE_MS) return [];
    if (state !== 'Established') {
      return [`neighbor ${address} is not reached (${state}${error && `, ${error}`}): no route is told to it`];
    }
    if (bfd !== 'down') return [];
    return [`neighbor ${address} speaks BGP but not BFD: a cut is only seen when the hold time has passed`];
  });
}

/** Routes that there is nobody to tell to. */
export function familyProblems(config: BirdConfig, routes: readonly Route[]): readonly string[] {
  return ([4, 6] as const).flatMap((family) => {
    const [first] = ofFamily(routes, family);
    if (!first || config.neighbors.some(({ address }) => familyOf(address) === family)) return [];
    return [
      `${first.vip} is IPv${family}, no neighbor is: name the router's IPv${family} address in routes.neighbors, too`,
    ];
  });
}
