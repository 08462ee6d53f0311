import { familyOf, parseIp } from '../base/ip.js';
import { ip, path } from './agent_cluster.js';
import type { BgpNeighbor, BirdConfig, KernelTableConfig, RoutePreference, RoutesConfig } from './cluster.js';
import type { Section } from './section.js';
import { show } from './violations.js';

const ipv4 = {
  parse: (text: string) => {
    const address = parseIp(text);
    return address !== null && familyOf(address) === 4 ? address : null;
  },
  expected: 'an IPv4 address',
};
const ipv6 = {
  parse: (text: string) => {
    const address = parseIp(text);
    return address !== null && familyOf(address) === 6 ? address : null;
  },
  expected: 'an IPv6 address',
};
const MAX_U32 = 4_294_967_295;

/** What paths are derived from where the file names none. */
export interface Places {
  readonly instance: string;
  readonly stateDirectory: string;
}

export function readRoutes(routes: Section, places: Places): RoutesConfig {
  const kind = routes.choice('kind', 'bird', ['bird', 'kernel']);
  const read = kind === 'bird' ? readBird(routes, places) : readKernelTable(routes);
  routes.refuseUnknown();
  return read;
}

function readBird(routes: Section, { instance, stateDirectory }: Places): BirdConfig {
  const localAs = routes.integer('localAs', 0, { min: 0, max: MAX_U32 });
  if (localAs === 0) routes.fail('localAs', 'required: the AS number of this node, as 65001');
  const localAddress4 = routes.text<string | null>('localAddress4', null, ipv4);
  const routerId = routes.text('routerId', localAddress4 ?? '', ipv4);
  if (routerId === '') {
    routes.fail('routerId', 'required without localAddress4: an IPv4 address that no other router has');
  }
  const neighbors = readNeighbors(routes);
  // A router of the same AS refuses what has its own AS in the path (RFC 4271, 9.1.2): there, the MED has to do.
  const internal = neighbors.find(({ as }) => as === localAs);
  const read: BirdConfig = {
    kind: 'bird',
    localAs,
    routerId,
    localAddress4,
    localAddress6: routes.text<string | null>('localAddress6', null, ipv6),
    neighbors,
    bfd: readBfd(routes),
    holdTimeSeconds: Math.ceil(routes.duration('holdTime', '9s', { min: '3s', max: '60m' }) / 1000),
    primary: readPreference(routes.section('primary'), { med: null, prepend: 0 }),
    secondary: readPreference(routes.section('secondary'), { med: 100, prepend: internal ? 0 : 2 }),
    binary: routes.text('binary', '/usr/sbin/bird', path),
    socket: routes.text('socket', `/run/spillway/${instance}-bird.ctl`, path),
    configFile: routes.text('configFile', `${stateDirectory}/bird.conf`, path),
    supervise: routes.flag('supervise', true),
  };
  if (internal) refusePrepend(routes, read, internal);
  if (Buffer.byteLength(read.socket) > 107) routes.fail('socket', `${show(read.socket)}: longer than 107 bytes`);
  return read;
}

function refusePrepend(routes: Section, bird: BirdConfig, { address, as }: BgpNeighbor): void {
  for (const which of ['primary', 'secondary'] as const) {
    if (bird[which].prepend === 0) continue;
    const why = `${address} is of AS ${as}, too, and would refuse its own AS in the path: use med`;
    routes.failAt(`${which}.prepend`, `${bird[which].prepend}: ${why}`);
  }
}

function readNeighbors(routes: Section): BgpNeighbor[] {
  const given = routes.list('neighbors') ?? [];
  if (given.length === 0) routes.fail('neighbors', 'required: the routers, as [{address: 192.0.2.1, as: 65000}]');
  if (given.length > 32) routes.fail('neighbors', `${given.length} neighbors; at most 32`);
  const neighbors = given.map((value, index) => readNeighbor(routes.item('neighbors', index, value)));
  neighbors.forEach(({ address }, index) => {
    if (address !== '' && neighbors.findIndex((other) => other.address === address) !== index) {
      routes.failAt(`neighbors[${index}].address`, `${show(address)} is given twice`);
    }
  });
  return neighbors;
}

function readNeighbor(neighbor: Section): BgpNeighbor {
  const address = neighbor.text('address', '', ip);
  if (address === '') neighbor.fail('address', "required: the router's address");
  const as = neighbor.integer('as', 0, { min: 0, max: MAX_U32 });
  if (as === 0) neighbor.fail('as', "required: the router's AS number");
  const read: BgpNeighbor = {
    address,
    as,
    passwordFile: neighbor.text<string | null>('passwordFile', null, path),
    multihop: neighbor.integer('multihop', 0, { min: 0, max: 255 }),
    port: neighbor.integer('port', 179, { min: 1, max: 65_535 }),
  };
  neighbor.refuseUnknown();
  return read;
}

function readBfd(routes: Section): BirdConfig['bfd'] {
  if (routes.isNull('bfd')) return null;
  const bfd = routes.section('bfd');
  const read = {
    intervalMs: bfd.duration('interval', '100ms', { min: '10ms', max: '60s' }),
    multiplier: bfd.integer('multiplier', 3, { min: 2, max: 50 }),
  };
  bfd.refuseUnknown();
  return read;
}

function readPreference(preference: Section, unset: { med: number | null; prepend: number }): RoutePreference {
  const read: RoutePreference = {
    med: preference.integerOrNull('med', unset.med, { min: 0, max: MAX_U32 }),
    prepend: preference.integer('prepend', unset.prepend, { min: 0, max: 16 }),
    communities: readCommunities(preference),
  };
  preference.refuseUnknown();
  return read;
}

function readCommunities(preference: Section): string[] {
  const given = preference.list('communities') ?? [];
  given.forEach((value, index) => {
    if (typeof value === 'string' && isCommunity(value)) return;
    const expected = 'a community, as "65000:100", or a large one, as "65000:1:2", is expected';
    preference.failAt(`communities[${index}]`, `${show(value)}: ${expected}`);
  });
  return given.map(String);
}

function isCommunity(text: string): boolean {
  if (!/^\d{1,10}(:\d{1,10}){1,2}$/.test(text)) return false;
  const parts = text.split(':').map(Number);
  const most = parts.length === 2 ? 65_535 : MAX_U32;
  return parts.every((part) => part <= most);
}

function readKernelTable(routes: Section): KernelTableConfig {
  const table = routes.integer('table', 83, { min: 1, max: MAX_U32 });
  if (table === 255) routes.fail('table', '255 is the table of local addresses: choose another, as 83');
  return {
    kind: 'kernel',
    table,
    // Below 5 the kernel's own, up to 4 of them; 12 and 186 are those of BIRD and of BGP in FRR.
    protocol: routes.integer('protocol', 83, { min: 5, max: 255 }),
    primaryMetric: routes.integer('primaryMetric', 100, { min: 1, max: MAX_U32 }),
    secondaryMetric: routes.integer('secondaryMetric', 200, { min: 1, max: MAX_U32 }),
  };
}
