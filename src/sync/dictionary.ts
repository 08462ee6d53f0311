import type { Compiled, CompiledPool } from '../compile/compiled.js';
import type { Dictionary } from './types.js';
import { wireId } from './wire.js';

export interface DictionaryResult {
  readonly dictionary: Dictionary;
  /** Names that share a wire id: their sessions are not synchronised. */
  readonly problems: readonly string[];
}

const protocolNumber = { tcp: 6, udp: 17 } as const;

type Sources = Pick<Compiled, 'services' | 'pools' | 'tables' | 'stoppedServices'>;

/**
 * What this node's numbers are called on the wire. It follows from the configuration alone, so that equal
 * configurations give equal wire ids whatever numbers each node has given out. Neither removed backends nor stopped
 * listeners are in it: the sessions of the former select anew at their next packet, those of the latter go.
 */
export function dictionaryOf({ services, pools, tables, stoppedServices }: Sources): DictionaryResult {
  const rows = 1 + highest(services.keys());
  const serviceWire = new Uint32Array(rows);
  const servicePool = new Uint16Array(rows);
  const serviceProtocol = new Uint8Array(rows);
  const timeouts = new Uint16Array(rows * 4);
  const names = new WireNames('listeners', serviceWire);
  for (const { id, vip, listener, pool } of services.values()) {
    if (stoppedServices.has(id)) continue;
    const { protocol, port, scheduler } = listener;
    names.add(id, serviceWireOf({ protocol, vip, port, quic: scheduler === 'QCH' }), `${protocol} ${vip} port ${port}`);
    servicePool[id] = pool.id;
    serviceProtocol[id] = protocolNumber[protocol];
    timeouts.set(tables.services.get(id)?.timeoutTicks ?? [], id * 4);
  }
  const { backendWire, backendPool, problems } = backendsOf(pools);
  return {
    dictionary: { serviceWire, servicePool, serviceProtocol, timeouts, backendWire, backendPool },
    problems: [...names.problems, ...problems],
  };
}

/** A listener with the scheduler QCH is another: its sessions are of connection ids (compile's serviceIdentity). */
export function serviceWireOf(service: { protocol: string; vip: string; port: number; quic: boolean }): number {
  const { protocol, vip, port, quic } = service;
  return wireId('spillway service', protocol, vip, String(port), ...(quic ? ['quic'] : []));
}

export function backendWireOf(backend: { group: string; name: string; address: string }): number {
  return wireId('spillway backend', backend.group, backend.name, backend.address);
}

function backendsOf(pools: readonly CompiledPool[]) {
  const rows = 1 + highest(pools.flatMap((pool) => pool.backends.map(({ id }) => id)));
  const backendWire = new Uint32Array(rows);
  const backendPool = new Uint16Array(rows);
  const problems: string[] = [];
  for (const pool of pools) {
    const names = new WireNames(`backends of group ${pool.group.name}`, backendWire);
    for (const { id, group, backend } of pool.backends) {
      names.add(id, remembered(backend, group), `${backend.name} (${backend.address})`);
      backendPool[id] = pool.id;
    }
    problems.push(...names.problems);
  }
  return { backendWire, backendPool, problems: [...new Set(problems)] };
}

type NamedBackend = CompiledPool['backends'][number]['backend'];

/** Backends of a configuration are immutable: a compile for another reason asks for the same ones. */
const known = new WeakMap<NamedBackend, { readonly group: string; readonly wire: number }>();

function remembered(backend: NamedBackend, group: string): number {
  const before = known.get(backend);
  if (before?.group === group) return before.wire;
  const wire = backendWireOf({ group, name: backend.name, address: backend.address });
  known.set(backend, { group, wire });
  return wire;
}

/** Gives local numbers their wire ids; those that two share are taken from both, for a session must not change hands. */
class WireNames {
  readonly problems: string[] = [];
  readonly #owners = new Map<number, { readonly local: number; readonly name: string }>();

  constructor(
    private readonly kind: string,
    private readonly wires: Uint32Array,
  ) {}

  add(local: number, wire: number, name: string): void {
    const owner = this.#owners.get(wire);
    if (owner === undefined) {
      this.#owners.set(wire, { local, name });
      this.wires[local] = wire;
      return;
    }
    this.wires[owner.local] = 0;
    this.problems.push(
      `${this.kind}: ${owner.name} and ${name} have the same id in the sync stream, their sessions stay on one node: rename one`,
    );
  }
}

function highest(numbers: Iterable<number>): number {
  let top = 0;
  for (const number of numbers) if (number > top) top = number;
  return top;
}
