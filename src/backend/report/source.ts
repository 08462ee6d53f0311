import { existsSync } from 'node:fs';
import { BpfMap, interfaceIndex } from '../../dataplane/addon.js';
import { inspect } from '../attachment.js';
import { listInstances, pinnedInterfaces, pinsOf } from '../pins.js';
import { mapNames } from '../program.js';
import { type CounterMaps, readUsage } from '../slots.js';
import type { Reading } from './ledger.js';

/**
 * The counters of this network namespace's instances. Maps are held open, so that what was counted before a detach is
 * still read after it, once.
 */
export class UsageSource {
  readonly #held = new Map<number, CounterMaps>();

  /** @param only one instance; null: all of this network namespace */
  constructor(private readonly only: string | null) {}

  read(): readonly Reading[] {
    const present = new Set(this.instances().flatMap((instance) => this.#open(instance) ?? []));
    const readings = [...this.#held.values()].flatMap((maps) =>
      readUsage(maps).map(({ slot: _slot, born, ...usage }) => ({ ...usage, born: born.toString(16) })),
    );
    for (const [id, maps] of this.#held) {
      if (present.has(id)) continue;
      closeMaps(maps);
      this.#held.delete(id);
    }
    return readings;
  }

  /** Attached here, or left by an interface that was deleted. */
  instances(): readonly string[] {
    return listInstances().filter((instance) => {
      if (this.only !== null && instance !== this.only) return false;
      const pins = pinsOf(instance);
      return pinnedInterfaces(pins).every(
        (name) => inspect(pins, { name, ifindex: interfaceIndex(name) }).state !== 'elsewhere',
      );
    });
  }

  close(): void {
    for (const maps of this.#held.values()) closeMaps(maps);
    this.#held.clear();
  }

  /** Id of its map of usage, now held; null: it has none, or one of another layout. */
  #open(instance: string): number | null {
    const { carried } = pinsOf(instance);
    if (!existsSync(carried.usage) || !existsSync(carried.slots)) return null;
    const maps = { usage: BpfMap.openPinned(carried.usage), slots: BpfMap.openPinned(carried.slots) };
    const { id, name } = maps.usage.info;
    if (name !== mapNames.usage || this.#held.has(id)) {
      closeMaps(maps);
      return name === mapNames.usage ? id : null;
    }
    this.#held.set(id, maps);
    return id;
  }
}

function closeMaps({ usage, slots }: CounterMaps): void {
  usage.close();
  slots.close();
}
