/** One agent's life on one machine, step by step, on the real compile and plan. */

import type { Ip } from '../../src/base/ip.js';
import { compile } from '../../src/compile/compile.js';
import type { Compiled } from '../../src/compile/compiled.js';
import { egressDevice, egressIdentity } from '../../src/compile/egress.js';
import { IdLedger } from '../../src/compile/ids.js';
import type { TableOp } from '../../src/compile/ops.js';
import { plan } from '../../src/compile/plan.js';
import type { Tables } from '../../src/compile/tables.js';
import type { Desired } from '../../src/config/desired.js';
import type { HealthState } from '../../src/health/types.js';
import type { NextHop } from '../../src/netlink/types.js';
import { type Step, zones } from './arbitrary.js';
import { desiredOf, resolved, waysOut } from './desired.js';
import { Machine } from './machine.js';

export const tickMs = 256;
export const limits = { services: 64, pools: 32, backends: 256 };
/** A table for each pool and one to fill: what a plan never needs more of. */
const enoughTables = 33;

export class Life {
  ids = new IdLedger(limits);
  readonly machine: Machine;
  readonly health = new Map<string, HealthState>();
  readonly nextHops = new Map<Ip, NextHop>();
  waysOut = new Map(waysOut);
  desired: Desired = desiredOf([], []);
  compiled: Compiled | null = null;

  constructor(tableCount = enoughTables) {
    this.machine = new Machine(tableCount);
  }

  /** What follows from the step, by way of what was before, and the steps of the plan. */
  next(step: Step): { compiled: Compiled; ops: readonly TableOp[] } {
    const { machine } = this;
    machine.tick = (machine.tick + step.ticks) >>> 0;
    if (step.freed) this.#giveBackNumbers();
    const dirty = this.#observe(step);
    const previous = this.compiled ? { previous: { compiled: this.compiled, dirty } } : {};
    const compiled = this.compileWith(step.desired, previous);
    return { compiled, ops: this.planFor(compiled.tables) };
  }

  planFor(want: Tables): readonly TableOp[] {
    return plan(this.machine.tables(), want, { tableCount: this.machine.tableCount, tick: this.machine.tick });
  }

  compileWith(
    desired: Desired,
    extra: { previous?: NonNullable<Parameters<typeof compile>[3]['previous']> },
  ): Compiled {
    const observed = { health: this.health, nextHops: this.nextHops, waysOut: this.waysOut };
    return compile(desired, observed, this.ids, { tickMs, zone: zones[0], inForce: this.machine.tables(), ...extra });
  }

  #observe({ desired, health, hops, ways, ticks }: Step): { healthKeys: Set<string>; addresses: Set<Ip> } {
    const addresses = new Set<Ip>();
    for (const { backends } of desired.backendGroups) {
      for (const { address } of backends) {
        if (this.nextHops.has(address)) continue;
        this.nextHops.set(address, resolved(address));
        addresses.add(address);
      }
    }
    for (const [key, state] of health) this.health.set(key, state);
    const gone: NextHop = { state: 'unresolved', reason: 'no route' };
    for (const [address, device] of hops) {
      this.nextHops.set(address, device === null ? gone : resolved(address, 1500, device));
      addresses.add(address);
    }
    this.waysOut = new Map([...waysOut].map(([device, way]) => [device, this.waysOut.get(device) ?? way]));
    for (const [device, change] of ways) {
      const way = this.waysOut.get(device) ?? waysOut.get(device)!;
      if (change === 'new MAC') this.waysOut.set(device, { ...way, mac: `02:00:00:00:09:${10 + (ticks % 80)}` });
      else for (const address of this.#lose(device)) addresses.add(address);
    }
    return { healthKeys: new Set(health.map(([key]) => key)), addresses };
  }

  /** The device goes, and every next hop by it. */
  #lose(device: string): Ip[] {
    this.waysOut.delete(device);
    const lost = [...this.nextHops].filter(([, hop]) => hop.state === 'resolved' && hop.device === device);
    for (const [address] of lost) this.nextHops.set(address, { state: 'unresolved', reason: 'no such device' });
    return lost.map(([address]) => address);
  }

  #giveBackNumbers(): void {
    this.machine.freeRetired();
    this.ids.services.retain((_, id) => this.machine.services.has(id));
    this.ids.pools.retain((_, id) => this.machine.pools.has(id));
    this.ids.backends.retain((_, id) => this.machine.backends.has(id));
    this.ids.egresses.retain((_, id) => this.machine.egresses.has(id));
    this.ids.limits.retain((_, id) => this.machine.limits.has(id));
    this.ids.quicRoutings.retain((_, id) => this.machine.quicRoutings.has(id));
  }

  settle(desired: Desired, compiled: Compiled): void {
    this.desired = desired;
    this.compiled = compiled;
  }

  /** The agent starts again: what it knows is what the kernel holds, and the health that it saved. */
  restart(): void {
    const { services, pools, backends, egresses, limits: held, quicRoutings } = this.machine;
    this.ids = new IdLedger(limits);
    for (const [id, { identity }] of services) this.ids.services.adopt(identity, id);
    for (const [id, { identity }] of pools) this.ids.pools.adopt(identity, id);
    for (const [id, { identity }] of backends) this.ids.backends.adopt(identity, id);
    for (const [id, { identity }] of held) this.ids.limits.adopt(identity, id);
    for (const [id, row] of egresses) this.ids.egresses.adopt(egressIdentity(egressDevice(row)), id);
    for (const [id, { recipe }] of quicRoutings) this.ids.quicRoutings.adopt(recipe, id);
    this.compiled = null;
  }
}
