import { familyOf, type Ip } from '../../base/ip.js';
import { defaultGuePort, defaultInstance } from '../defaults.js';
import type { HostInterface } from '../host.js';
import { formatMapping } from '../mapping.js';
import { formatPrefix } from '../prefix.js';
import type { Rules } from '../rules.js';

export interface Check {
  readonly name: string;
  /** fail: traffic is lost or the VIP is taken away from the load balancers; warn: some of it may be. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly detail: string;
  /** What comes of it; empty when all is well. */
  readonly consequence: string;
  /** A command, or what else to do; empty when all is well. */
  readonly remedy: string;
}

/** What is known of an attached backend. */
export interface Facts {
  readonly instance: string;
  readonly target: HostInterface;
  readonly interfaces: readonly HostInterface[];
  /** Null: no program is attached. */
  readonly mode: 'native' | 'generic' | 'offload' | null;
  readonly rules: Rules;
  /** Of each VIP, bytes of the widest outer header seen. */
  readonly overheads: ReadonlyMap<Ip, number>;
  /** Interfaces with the program for replies. */
  readonly out: readonly string[];
  /** To be on this host besides the VIPs of the rules: those of the command line. */
  readonly asked: readonly Ip[];
  /** Below /proc/sys; null: there is no such setting. */
  readonly setting: (path: string) => number | null;
  /** Where replies to anybody leave, by family: a default route. Null: not known. */
  readonly defaultRoutes: readonly DefaultRoute[] | null;
}

export interface DefaultRoute {
  readonly family: 4 | 6;
  readonly device: string;
  /** Segment size that this host offers by it; null: what the MTU allows. */
  readonly advmss: number | null;
}

export const good = (name: string, detail: string): Check => ({
  name,
  level: 'ok',
  detail,
  consequence: '',
  remedy: '',
});

export const vipsOf = ({ rules, asked }: Facts): readonly Ip[] => [...new Set([...rules.vips, ...asked])];

/** Who holds an address. */
export const holderOf = (ip: Ip, { interfaces }: Pick<Facts, 'interfaces'>): HostInterface | undefined =>
  interfaces.find(({ addresses }) => addresses.includes(ip));

export const bitsOf = (ip: Ip): number => (familyOf(ip) === 4 ? 32 : 128);

/** The attach that made it what it is, for a remedy that changes nothing else. */
export function attachCommand(
  { instance, target, rules, out }: Facts,
  change: Partial<Rules> & { readonly out?: readonly string[] } = {},
): string {
  const { from, vips, onlyVips, mappings, exempt, guePort, clamp } = { ...rules, ...change };
  const leaves = change.out ?? out;
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
    ...(leaves.length === 0 || (leaves.length === 1 && leaves[0] === target.name) ? [] : ['--out', ...leaves]),
  ].join(' ');
}
