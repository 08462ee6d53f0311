import { familyOf } from '../base/ip.js';
import { MARK } from './render.js';
import type { Route } from './types.js';
import { wantedOf } from './wanted.js';

export interface Adopted {
  readonly bootId: string;
  readonly routes: readonly Route[];
}

/** The routes of a file that `render` wrote; null when it did not, or when somebody changed them. */
export function adopt(text: string): Adopted | null {
  const [mark, boot] = text.split('\n', 2);
  const bootId = /^# boot (\S+)$/.exec(boot ?? '')?.[1];
  if (mark !== MARK || bootId === undefined) return null;
  const routes: Route[] = [];
  for (const [line] of text.matchAll(/^ {2}route .*$/gm)) {
    const route = routeOf(line);
    if (route === null) return null;
    routes.push(route);
  }
  const wanted = wantedOf(routes);
  if (wanted.faults.length > 0 || wanted.routes.length !== routes.length) return null;
  return { bootId, routes: wanted.routes };
}

function routeOf(line: string): Route | null {
  const [, vip = '', bits, json] = /^ {2}route ([0-9a-f.:]+)\/(32|128) blackhole[^#]*; # (\{.*\})$/.exec(line) ?? [];
  if (json === undefined || bits !== (familyOf(vip) === 4 ? '32' : '128')) return null;
  let said: Partial<Route>;
  try {
    said = JSON.parse(json) as Partial<Route>;
  } catch {
    return null;
  }
  const { preference, med = null, prepend = 0, communities = [] } = said;
  if (preference !== 'primary' && preference !== 'secondary') return null;
  if (!Array.isArray(communities) || communities.some((one) => typeof one !== 'string')) return null;
  if (typeof prepend !== 'number' || (med !== null && typeof med !== 'number')) return null;
  return { vip, preference, med, prepend, communities };
}

export function isOurs(text: string): boolean {
  return text.startsWith(`${MARK}\n`);
}
