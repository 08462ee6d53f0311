import type { BirdModel, NeighborModel, StaticModel } from './model.js';
import type { Route } from './types.js';
import type { Attributes } from './wanted.js';

export const MARK = '# Written by spillwayd, and again whenever routes change: what is edited here is lost.';
const LOG_BYTES = 4 * 1024 * 1024;

/** BIRD 2's configuration: https://bird.network.cz/?get_doc&v=20&f=bird-3.html */
export function render(model: BirdModel): string {
  return `${[
    `${MARK}\n# boot ${model.bootId}`,
    general(model),
    model.bfd === null ? '' : bfd(model.bfd),
    exportFilter,
    ...model.tables.map((table) => staticTable(table, model.localAs)),
    ...model.neighbors.map((neighbor) => bgp(neighbor, model)),
  ]
    .filter((part) => part !== '')
    .join('\n\n')}\n`;
}

function general({ routerId, logFile }: BirdModel): string {
  const log = logFile === null ? 'log syslog all;' : `log "${logFile}" ${LOG_BYTES} "${logFile}.1" all;`;
  return `${log}
router id ${routerId};
timeformat protocol iso long ms;

protocol device {
}`;
}

function bfd({ intervalMs, multiplier, multihop }: NonNullable<BirdModel['bfd']>): string {
  const timers = [
    `min rx interval ${intervalMs} ms;`,
    `min tx interval ${intervalMs} ms;`,
    `multiplier ${multiplier};`,
  ];
  const block = (head: string): string => [`  ${head} {`, ...timers.map((timer) => `    ${timer}`), '  };'].join('\n');
  return ['protocol bfd spillway_bfd {', block('interface "*"'), ...(multihop ? [block('multihop')] : []), '}'].join(
    '\n',
  );
}

/** The same whatever is announced: a filter that changes would have every route sent again. */
const exportFilter = `filter spillway_export {
  if proto != "spillway4" && proto != "spillway6" then reject;
  # A MED that was not set by the export filter itself stays in this AS.
  if defined(bgp_med) then bgp_med = bgp_med;
  accept;
}`;

/** No kernel protocol reads these: they are there to be told, and never reach the node's own forwarding. */
function staticTable({ name, family, routes }: StaticModel, localAs: number): string {
  const bits = family === 4 ? 32 : 128;
  const lines = routes.map(({ route, attributes }) => {
    return `  route ${route.vip}/${bits} blackhole${setAttributes(attributes, localAs)}; # ${said(route)}`;
  });
  return [`protocol static ${name} {`, `  ipv${family};`, ...lines, '}'].join('\n');
}

/** What was asked for, for the agent that comes next (adopt.ts). */
function said({ preference, med, prepend, communities }: Route): string {
  return JSON.stringify({
    preference,
    ...(med !== null && { med }),
    ...(prepend > 0 && { prepend }),
    ...(communities.length > 0 && { communities }),
  });
}

function setAttributes({ med, prepend, communities, largeCommunities }: Attributes, localAs: number): string {
  const statements = [
    ...(med === null ? [] : [`bgp_med = ${med};`]),
    ...Array<string>(prepend).fill(`bgp_path.prepend(${localAs});`),
    ...communities.map((parts) => `bgp_community.add((${parts.join(', ')}));`),
    ...largeCommunities.map((parts) => `bgp_large_community.add((${parts.join(', ')}));`),
  ];
  return statements.length === 0 ? '' : ` { ${statements.join(' ')} }`;
}

/**
 * BIRD waits a minute and more after an error before it tries again: here one second, and three when errors go on.
 * Graceful restart is off: while it lasts, the router would go on sending to a node that is not there.
 */
function bgp(neighbor: NeighborModel, model: BirdModel): string {
  const { name, family, address, port, as, localAddress, multihop, password, holdTimeSeconds } = neighbor;
  return [
    `protocol bgp ${name} {`,
    `  local${localAddress === null ? '' : ` ${localAddress}`} as ${model.localAs};`,
    `  neighbor ${address} port ${port} as ${as};`,
    multihop === 0 ? '  direct;' : `  multihop ${multihop};`,
    ...(password === null ? [] : [`  password "${password}";`]),
    `  hold time ${holdTimeSeconds};`,
    `  bfd ${model.bfd === null ? 'off' : 'on'};`,
    '  graceful restart off;',
    '  long lived graceful restart off;',
    '  connect delay time 1;',
    '  connect retry time 2;',
    '  error wait time 1, 3;',
    '  error forget time 30;',
    `  ipv${family} {`,
    '    import none;',
    '    export filter spillway_export;',
    '    next hop self;',
    '  };',
    '}',
  ].join('\n');
}
