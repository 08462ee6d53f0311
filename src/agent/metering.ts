import type { Logger } from '../base/log.js';
import type { Compiled } from '../compile/compiled.js';
import type { Tables } from '../compile/tables.js';
import type { AgentConfig } from '../config/agent.js';
import type { Desired } from '../config/desired.js';
import { Counters } from '../dataplane/counters.js';
import { openPinnedMaps, pinsOf } from '../dataplane/layout.js';
import { Meter } from '../metering/meter.js';
import type { Owners } from '../metering/state.js';
import { detachInstance } from './dataplane-node.js';

/** Texts of what was found damaged that `spillway status` shows: the first ones, the log has all. */
const MOST_DAMAGES = 8;

export interface AgentMeter {
  readonly meter: Meter;
  problems(): readonly string[];
}

/** To be opened before the tables change: what flowed without an agent belongs to those who had it then. */
export async function openMeter(
  config: AgentConfig,
  { counters, services, log }: { counters: Counters; services: Tables['services']; log: Logger },
): Promise<AgentMeter> {
  const damages = new Set<string>();
  const meter = await Meter.open({
    folder: `${config.stateDirectory}/metering`,
    ...config.metering,
    counters: {
      generation: counters.generation,
      most: counters.mostServices,
      known: (id) => services.has(id),
      read: (highest) => counters.services(highest),
    },
    now: Date.now,
    monotonic: () => performance.now(),
    onDamage: (text) => {
      if (damages.size < MOST_DAMAGES) damages.add(text);
      log.error({}, text);
    },
    onRefusal: (error) => log.error({ err: error }, error.message),
  });
  return { meter, problems: () => [...damages, ...meter.problems()] };
}

/** Who counts for whom. */
export function ownersOf({ services }: Compiled, { loadBalancers }: Desired): Owners {
  return {
    services: new Map([...services].map(([id, { loadBalancer }]) => [id, loadBalancer.name])),
    vips: new Map(loadBalancers.flatMap(({ name, addresses }) => addresses.map((vip) => [vip, name] as const))),
  };
}

/** Without an agent: what flowed since the last one is counted before the maps that say so are gone. */
export async function detachMetered(config: AgentConfig, log: Logger): Promise<string[]> {
  const pinned = openCounters(config, log);
  const interfaces = detachInstance(config);
  if (pinned === null) return interfaces;
  const { meter } = await openMeter(config, { counters: pinned.counters, services: new Map(), log });
  await meter.close();
  pinned.close();
  return interfaces;
}

function openCounters(config: AgentConfig, log: Logger): { counters: Counters; close(): void } | null {
  try {
    const maps = openPinnedMaps(pinsOf(config.pinDirectory, config.instance));
    const close = (): void => {
      for (const map of maps.values()) map.close();
    };
    const [svc_counters, be_counters, counters] = [
      maps.get('svc_counters'),
      maps.get('be_counters'),
      maps.get('counters'),
    ];
    if (svc_counters && be_counters && counters)
      return { counters: new Counters({ svc_counters, be_counters, counters }), close };
    close();
    return null;
  } catch (error) {
    // Detaching is what is to be done about it.
    log.warn({ err: error }, 'what flowed since the agent ended is not metered: the maps cannot be read');
    return null;
  }
}
