import type { messages } from '../../api/client.js';
import type { Paint, Palette } from '../format/color.js';
import { type Cell, formatFields, formatTable, printable } from '../format/table.js';
import { formatAge, formatDuration, toMs } from '../format/time.js';
import { formatCount, groupDigits } from '../format/units.js';
import { problemLines, type ViewOptions } from './status.js';

export const lifeWords: Readonly<Record<messages.Life, string>> = {
  LIFE_UNSPECIFIED: 'unknown',
  JOINING: 'joining',
  ACTIVE: 'active',
  DRAINING: 'draining',
  STOPPED: 'stopped',
};

/** All nodes, then what this one announces and to whom. */
export function formatCluster(cluster: messages.Cluster, options: ViewOptions): string {
  const { paint } = options;
  let out = nodeTable(cluster.nodes, options);
  out += routeTables(cluster.routes, options);
  if (cluster.sync?.enabled !== true)
    out += `\n${paint.dim('no session sync: this node keeps its sessions to itself')}\n`;
  return `${out}\n${problemLines(cluster.problems, paint)}`;
}

/** This node alone. */
export function formatNode(cluster: messages.Cluster, options: ViewOptions): string {
  const { paint, nowMs } = options;
  const self = cluster.nodes.find((node) => node.self);
  if (self === undefined) return 'the agent does not say who it is\n';
  const others = cluster.nodes.filter((node) => !node.self);
  const heard = others.filter(({ alive }) => alive).length;
  const up = self.startedAt === null ? '' : `, up ${formatAge(nowMs - toMs(self.startedAt))}`;
  const fields = formatFields(
    [
      ['Node', `${printable(self.name)}, spillway ${printable(self.version)}${up}`],
      ['Zone', self.zone === '' ? 'none' : printable(self.zone)],
      ['Life', lifeCell(self, paint).paint(lifeWords[self.life])],
      ['Configuration', self.configVersion === 0n ? 'none applied yet' : `version ${self.configVersion}`],
      ['Sessions', groupDigits(self.sessions)],
      ['Announced', `${self.announced} of ${cluster.routes?.vips.length ?? 0} VIPs`],
      ['Peers', cluster.sync?.enabled === true ? `${heard} of ${others.length} heard` : 'no session sync'],
    ],
    paint.bold,
  );
  return `${fields}${problemLines(cluster.problems, paint)}${routeTables(cluster.routes, options)}`;
}

function nodeTable(nodes: readonly messages.ClusterNode[], { nowMs, paint }: ViewOptions): string {
  const rows = nodes.map((node): Cell[] => [
    node.self ? { text: `${node.name} (here)`, paint: paint.bold } : node.name,
    node.zone === '' ? '-' : node.zone,
    lifeCell(node, paint),
    node.configDiffers ? { text: `${node.configVersion} differs`, paint: paint.warn } : String(node.configVersion),
    formatCount(node.sessions),
    String(node.announced),
    node.self || node.syncLag === null ? '-' : formatDuration(toMs(node.syncLag)),
    ...(node.self
      ? (['-', '-', '-'] as const)
      : [
          formatCount(node.missed),
          formatCount(node.repaired),
          node.givenUp === 0n ? '0' : { text: formatCount(node.givenUp), paint: paint.warn },
        ]),
    node.lastHeardAt === null ? '-' : `${formatAge(nowMs - toMs(node.lastHeardAt))} ago`,
    node.version,
  ]);
  const columns = [
    { title: 'NODE' },
    { title: 'ZONE' },
    { title: 'LIFE' },
    { title: 'CONFIG' },
    { title: 'SESSIONS', align: 'right' },
    { title: 'VIPS', align: 'right' },
    { title: 'LAG', align: 'right' },
    { title: 'MISSED', align: 'right' },
    { title: 'REPAIRED', align: 'right' },
    { title: 'GIVEN UP', align: 'right' },
    { title: 'HEARD', align: 'right' },
    { title: 'VERSION' },
  ] as const;
  return formatTable(columns, rows, paint.bold);
}

function lifeCell({ alive, life, suspect }: messages.ClusterNode, paint: Palette): { text: string; paint: Paint } {
  if (!alive) return { text: `silent (was ${lifeWords[life]})`, paint: paint.bad };
  if (suspect) return { text: `${lifeWords[life]}, suspect`, paint: paint.bad };
  return { text: lifeWords[life], paint: life === 'ACTIVE' ? paint.good : paint.warn };
}

function routeTables(routes: messages.Routes | null, options: ViewOptions): string {
  if (routes === null) return '';
  const vips = routes.vips.length === 0 ? '' : `\n${vipTable(routes.vips, options.paint)}`;
  const neighbors = routes.neighbors.length === 0 ? '' : `\n${neighborTable(routes.neighbors, options)}`;
  return `${vips}${neighbors}`;
}

function vipTable(vips: readonly messages.VipRoute[], paint: Palette): string {
  const rows = vips.map((vip): Cell[] => [
    vip.vip,
    vip.loadBalancer,
    vip.announced ? { text: 'yes', paint: paint.good } : { text: 'no', paint: paint.warn },
    vip.preference,
    vip.reason,
  ]);
  const columns = [
    { title: 'VIP' },
    { title: 'LOADBALANCER' },
    { title: 'ANNOUNCED' },
    { title: 'PREFERENCE' },
    { title: 'REASON' },
  ];
  return formatTable(columns, rows, paint.bold);
}

function neighborTable(neighbors: readonly messages.RouteNeighbor[], { nowMs, paint }: ViewOptions): string {
  const rows = neighbors.map((one): Cell[] => [
    one.address,
    { text: one.state === '' ? 'unknown' : one.state, paint: one.state === 'Established' ? paint.good : paint.bad },
    { text: one.bfd, paint: one.bfd === 'down' ? paint.bad : (text) => text },
    String(one.routesExported),
    one.since === null ? '-' : formatAge(nowMs - toMs(one.since)),
  ]);
  const columns = [
    { title: 'NEIGHBOR' },
    { title: 'BGP' },
    { title: 'BFD' },
    { title: 'ROUTES', align: 'right' },
    { title: 'SINCE', align: 'right' },
  ] as const;
  return formatTable(columns, rows, paint.bold);
}
