import { familyOf } from '../base/ip.js';
import type { BgpNeighbor, BirdConfig } from '../config/cluster.js';
import type { Route } from './types.js';
import { type Attributes, attributesOf, ofFamily } from './wanted.js';

/** What BIRD's configuration says, before it is text. */
export interface BirdModel {
  readonly routerId: string;
  readonly localAs: number;
  /** A file, or null: syslog. */
  readonly logFile: string | null;
  /** Of the machine's run: routes of another one are not taken up again. */
  readonly bootId: string;
  readonly bfd: { readonly intervalMs: number; readonly multiplier: number; readonly multihop: boolean } | null;
  readonly neighbors: readonly NeighborModel[];
  readonly tables: readonly StaticModel[];
}

export interface NeighborModel {
  /** BIRD tells protocols apart by name: it follows from the neighbor alone, so that others come and go beside it. */
  readonly name: string;
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly as: number;
  readonly localAddress: string | null;
  /** 0: directly connected. */
  readonly multihop: number;
  readonly password: string | null;
  readonly holdTimeSeconds: number;
}

export interface StaticModel {
  readonly name: string;
  readonly family: 4 | 6;
  readonly routes: readonly { readonly route: Route; readonly attributes: Attributes }[];
}

export interface Surroundings {
  /** Contents of the password files, by path. */
  readonly passwords: ReadonlyMap<string, string>;
  readonly bootId: string;
  readonly logFile: string | null;
}

export const STATIC_NAMES = { 4: 'spillway4', 6: 'spillway6' } as const;
export const BFD_NAME = 'spillway_bfd';

/** @throws Error in words: what of the configuration BIRD could not express */
export function modelOf(config: BirdConfig, routes: readonly Route[], surroundings: Surroundings): BirdModel {
  const { bfd } = config;
  const multihop = config.neighbors.some((neighbor) => neighbor.multihop > 0);
  return {
    routerId: config.routerId,
    localAs: config.localAs,
    logFile: surroundings.logFile,
    bootId: surroundings.bootId,
    bfd: bfd && { ...bfd, multihop },
    neighbors: config.neighbors.map((neighbor) => neighborOf(config, neighbor, surroundings.passwords)),
    tables: ([4, 6] as const).map((family) => ({
      name: STATIC_NAMES[family],
      family,
      routes: ofFamily(routes, family).map((route) => ({
        route,
        attributes: attributesOf(route, config[route.preference]),
      })),
    })),
  };
}

export function neighborName({ address, port }: { readonly address: string; readonly port: number }): string {
  return `peer_${address.replaceAll(/[^0-9a-z]/g, '_')}${port === 179 ? '' : `_p${port}`}`;
}

function neighborOf(config: BirdConfig, neighbor: BgpNeighbor, passwords: ReadonlyMap<string, string>): NeighborModel {
  const { address, port, as, multihop, passwordFile } = neighbor;
  const family = familyOf(address);
  const localAddress = family === 4 ? config.localAddress4 : config.localAddress6;
  if (multihop > 0 && config.bfd !== null && localAddress === null) {
    const field = family === 4 ? 'routes.localAddress4' : 'routes.localAddress6';
    throw new Error(`neighbor ${address} is ${multihop} hops away: BFD to it needs ${field}`);
  }
  const password = passwordFile === null ? null : passwordIn(passwordFile, passwords.get(passwordFile) ?? '');
  const name = neighborName(neighbor);
  const { holdTimeSeconds } = config;
  return { name, family, address, port, as, localAddress, multihop, password, holdTimeSeconds };
}

/** TCP MD5 takes 80 bytes; BIRD's strings have no way to write a quotation mark. */
function passwordIn(file: string, text: string): string {
  const password = text.replace(/\r?\n$/, '');
  if (password === '') throw new Error(`${file} is empty: a password is expected in its first line`);
  if (!/^[\x20-\x7e]+$/.test(password) || password.includes('"')) {
    throw new Error(`${file}: one line of printable ASCII without quotation marks (") is expected`);
  }
  if (password.length > 80)
    throw new Error(`${file}: the password has ${password.length} characters, TCP MD5 takes 80`);
  return password;
}
