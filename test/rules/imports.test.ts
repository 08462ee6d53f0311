/**
 * Who may import whom, in one table. Rooms do not know their siblings: agent wires them, and what they have to say to
 * each other are types.
 */
import test from 'ava';
import { type Import, importsOf, roomOf, sources } from './imports.js';

interface Allowed {
  /** Rooms, or files in them without extension. */
  readonly values?: readonly string[];
  /** Beside those: `import type` alone. */
  readonly types?: readonly string[];
  /** npm packages; node's own modules are free. */
  readonly packages?: readonly string[];
}

const table: Readonly<Record<string, Allowed>> = {
  base: { packages: ['ipaddr.js'] },
  addresses: { values: ['base'], types: ['config/desired'] },
  metering: { values: ['base'] },
  abi: {},
  /* The document is the JSON mapping of the protocol: its codec and its types, nothing that serves. */
  config: { values: ['base', 'api/codec'], types: ['api/generated'], packages: ['protobufjs', 'yaml'] },
  netlink: { values: ['base'] },
  health: { values: ['base'], types: ['config/desired'] },
  compile: { values: ['abi', 'base'], types: ['config/desired', 'health/types', 'netlink/types'] },
  cluster: { values: ['base', 'compile'], types: ['config/cluster', 'config/desired', 'health/types'] },
  sync: {
    values: ['api/codec', 'api/services', 'base', 'dataplane/addon'],
    types: ['cluster/types', 'compile/compiled', 'config/cluster'],
    packages: ['@grpc/grpc-js'],
  },
  bgp: { values: ['base', 'netlink'], types: ['config/cluster'] },
  dataplane: { values: ['abi', 'base', 'compile'] },
  events: { values: ['abi', 'base'] },
  metrics: { values: ['base'], types: ['api/cluster_port', 'api/port'], packages: ['prom-client'] },
  api: {
    values: ['base', 'config'],
    types: ['addresses/use', 'cluster/types', 'health/types', 'metering/types'],
    packages: ['@grpc/grpc-js', '@grpc/reflection', 'grpc-health-check', 'protobufjs'],
  },
  /* The other end of a tunnel, on a host of its own: of a load balancer it knows where to report to. */
  backend: {
    values: ['abi', 'base', 'dataplane/addon', 'api/client', 'metrics/server'],
    packages: ['commander', 'prom-client'],
  },
  cli: {
    values: ['base', 'api/client', 'api/codec', 'backend/commands', 'config/prefix', 'config/read'],
    packages: ['commander', 'picocolors', 'yaml'],
  },
  demo: { values: ['base', 'api/client'], packages: ['picocolors'] },
  agent: {
    values: [
      'abi',
      'addresses',
      'api',
      'base',
      'bgp',
      'cluster',
      'compile',
      'config',
      'dataplane',
      'events',
      'health',
      'metering',
      'metrics',
      'netlink',
      'sync',
    ],
  },
  main: { values: ['agent', 'api', 'base', 'config', 'dataplane', 'health'], packages: ['commander', 'pino'] },
};

const all = sources().flatMap(importsOf);

const isWithin = (target: string, places: readonly string[] = []): boolean =>
  places.some((place) => target === place || target.startsWith(`${place}/`));

/** Null when the table allows it. */
function fault({ from, to, typesOnly }: Import): string | null {
  const room = roomOf(from);
  const { values, types, packages } = table[room] ?? {};
  if (to.startsWith('node:') || roomOf(to) === room) return null;
  /* The contract of the addon: a rule of its own, below. */
  if (to === 'native/addon') return null;
  const isPackage = !to.includes('/') || to.startsWith('@');
  if (isPackage ? isWithin(to, packages) : isWithin(to, values) || (typesOnly && isWithin(to, types))) return null;
  return `src/${from} imports ${typesOnly ? 'types of ' : ''}${to}: not in the table for "${room}"`;
}

test('every room is in the table, and every room of the table is there', (t) => {
  const rooms = new Set(sources().map(roomOf));
  t.deepEqual([...rooms].sort(), Object.keys(table).sort());
});

test('imports are those of the table', (t) => {
  t.true(all.length > 300, `${all.length} imports were read`);
  t.deepEqual(
    all.flatMap((one) => fault(one) ?? []),
    [],
  );
});

test('the table allows no more than is used, but for base, and for those who wire the others', (t) => {
  const free = new Set(['base']);
  const wiring = new Set(['agent', 'main']);
  const unused = Object.entries(table)
    .filter(([room]) => !wiring.has(room))
    .flatMap(([room, { values = [], types = [], packages = [] }]) =>
      [...values, ...types, ...packages]
        .filter(
          (place) => !free.has(place) && !all.some(({ from, to }) => roomOf(from) === room && isWithin(to, [place])),
        )
        .map((place) => `${room}: ${place}`),
    );
  t.deepEqual(unused, []);
});

test('one file alone loads the native addon', (t) => {
  const users = all.filter(({ to }) => to === 'native/addon' || to.endsWith('spillway.node'));
  t.deepEqual([...new Set(users.map(({ from }) => from))], ['dataplane/addon.ts']);
});

test('generated messages stay where the protocol is: in api, and as types in config', (t) => {
  const users = all.filter(({ to, from }) => to.startsWith('api/generated') && roomOf(from) !== 'api');
  t.deepEqual(
    users.filter(({ from, typesOnly }) => roomOf(from) !== 'config' || !typesOnly).map(({ from }) => from),
    [],
  );
});

test('base stands on nothing of ours', (t) => {
  t.deepEqual(
    all.filter(({ from, to }) => roomOf(from) === 'base' && to.includes('/') && roomOf(to) !== 'base'),
    [],
  );
});
