import * as abi from '../../src/abi/abi.generated.js';
import { parseMac } from '../../src/base/ip.js';
import { compile } from '../../src/compile/compile.js';
import { IdLedger } from '../../src/compile/ids.js';
import { plan } from '../../src/compile/plan.js';
import type { BackendGroup, Desired, LoadBalancer } from '../../src/config/desired.js';
import { type BpfMap, BpfObject } from '../../src/dataplane/addon.js';
import type { TickClock } from '../../src/dataplane/clock.js';
import { kernelName, type MapName, mapNames } from '../../src/dataplane/layout.js';
import { mapSizes } from '../../src/dataplane/open.js';
import { defaultAllowances, deriveKey, freshSettings, SettingsMap } from '../../src/dataplane/settings.js';
import { ControlTables } from '../../src/dataplane/tables.js';
import { backend, desiredOf, group, listener, loadBalancer, seen } from '../support/desired.js';
import type { Forwarding } from './options.js';

/** Destination of the driver's frames. */
const OWN_MAC = '02:00:00:00:00:01';
const BACKENDS = 100;
/** Of the way to the backends: frames of 1,500 bytes fit whatever wraps them. */
const MTU = 1_600;
const LIMITS = {
  services: 16,
  backends: 256,
  pools: 16,
  vips: 16,
  accessListEntries: 131_072,
  sourceCells: 262_144,
  fragments: 16_384,
} as const;

export type LbMaps = Readonly<Record<MapName, BpfMap>>;

export interface LbOptions {
  readonly objectFile: string;
  readonly forwarding: Forwarding;
  /** Live sessions that the table is sized for, by the agent's own rule. */
  readonly sessions: number;
  readonly clock: TickClock;
  /** Of the desired state with every default. */
  readonly change: (desired: Desired) => Desired;
}

export interface Lb {
  readonly programId: number;
  readonly maps: LbMaps;
  close(): void;
}

/** Loads the load balancer and fills its maps as the agent does: compile, plan, apply. */
export async function loadLb(options: LbOptions): Promise<Lb> {
  const sizes = mapSizes({ ...LIMITS, sessions: options.sessions });
  const config = new Uint8Array(abi.lbConfigSize);
  abi.writeLbConfig(new DataView(config.buffer), 0, {
    buckets: sizes.sessions,
    frags: 0,
    capture: 0,
    fragmentBuckets: sizes.fragments,
    sourceCells: sizes.sources,
  });
  const object = BpfObject.load(options.objectFile, {
    rodata: { config },
    maxEntries: Object.fromEntries(mapNames.map((name) => [kernelName(name), sizes[name]])),
  });
  const maps = Object.fromEntries(mapNames.map((name) => [name, object.map(kernelName(name))])) as Record<
    MapName,
    BpfMap
  >;
  const program = object.program('lb');
  const settings = new SettingsMap(maps.settings);
  settings.write(freshSettings(deriveKey(Buffer.from('a key for benchmarks')), options.clock, 1));
  settings.setMacs([parseMac(OWN_MAC)!]);
  settings.setAllowances(defaultAllowances, options.clock.tickMs);
  await applyDesired(maps, options);
  return {
    programId: program.info.id,
    maps,
    close: () => {
      program.close();
      for (const map of Object.values(maps)) map.close();
      object.close();
    },
  };
}

const API_NAME = { l2: 'L2_DSR', ipip: 'IPIP', gue: 'GUE' } as const;

async function applyDesired(maps: LbMaps, { forwarding, clock, change }: LbOptions): Promise<void> {
  const desired = change(desiredState(API_NAME[forwarding]));
  const control = new ControlTables(maps, clock);
  const { tables } = compile(desired, seen(desired, { mtu: MTU }), new IdLedger(LIMITS), { tickMs: clock.tickMs });
  await control.apply(plan(control.read(), tables, { tableCount: control.tableCount }));
}

/** What the yardstick has: a VIP for each family, TCP 80 and UDP 443 on it, 100 backends. */
function desiredState(forwarding: BackendGroup['forwarding']): Desired {
  const members = (address: (n: number) => string) =>
    Array.from({ length: BACKENDS }, (_, i) => backend(`be${i + 1}`, address(i + 1)));
  const balancer = (name: string, vip: string): LoadBalancer =>
    loadBalancer(
      name,
      [vip],
      [
        listener({ protocol: 'tcp', port: 80, backendGroup: name }),
        listener({ protocol: 'udp', port: 443, backendGroup: name }),
      ],
    );
  return desiredOf(
    [balancer('four', '192.0.2.10'), balancer('six', '2001:db8::10')],
    [
      group(
        'four',
        forwarding,
        members((n) => `172.20.0.${n}`),
      ),
      group(
        'six',
        forwarding,
        members((n) => `fd00:20::${n.toString(16)}`),
      ),
    ],
  );
}
