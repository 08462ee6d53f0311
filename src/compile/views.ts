import { familyOf } from '../base/ip.js';
import type { BackendGroup, Desired, HealthCheck, Listener, LoadBalancer } from '../config/desired.js';
import type { CompiledPool } from './compiled.js';
import type { PoolSpec } from './pool.js';
import { PoolKeys } from './pool-keys.js';
import type { SlotOrder } from './slots.js';
import type { Tables } from './tables.js';

export interface ListenerOf {
  readonly loadBalancer: LoadBalancer;
  readonly listener: Listener;
}

/** Listeners of one group with the same judgement of its backends and the same table of them: they share a pool. */
export interface View {
  readonly spec: Omit<PoolSpec, 'key'>;
  readonly text: string;
  readonly users: ListenerOf[];
}

export interface Views {
  readonly specs: readonly PoolSpec[];
  /** In order of name. */
  readonly uses: readonly (ListenerOf & { readonly poolKey: string })[];
}

/** Who shares a pool, and its key. `inForce` and `known`: the tables that are, and the pools that they came from. */
export function viewsOf(desired: Desired, inForce: Tables, known: readonly CompiledPool[]): Views {
  const groups = new Map(desired.backendGroups.map((group) => [group.name, group]));
  const byGroup = new Map<string, Map<string, View>>();
  const listeners = inOrderOfName(desired).map((user) => {
    const group = groups.get(user.listener.backendGroup)!;
    const { text, spec } = viewOf(user, group);
    const ofGroup = byGroup.get(group.name) ?? new Map<string, View>();
    byGroup.set(group.name, ofGroup);
    const view = ofGroup.get(text) ?? { spec, text, users: [] };
    ofGroup.set(text, view);
    view.users.push(user);
    return { ...user, view };
  });
  const keys = new PoolKeys(inForce, known);
  const keyOf = new Map([...byGroup].flatMap(([group, views]) => [...keys.assign(group, [...views.values()])]));
  const specs = [...keyOf].map(([{ spec, text }, key]) => remember(text, { ...spec, key }));
  return { specs, uses: listeners.map(({ view, ...user }) => ({ ...user, poolKey: keyOf.get(view)! })) };
}

function inOrderOfName({ loadBalancers }: Desired): ListenerOf[] {
  return loadBalancers
    .flatMap((loadBalancer) => loadBalancer.listeners.map((listener) => ({ loadBalancer, listener })))
    .sort(
      (a, b) => compareText(a.loadBalancer.name, b.loadBalancer.name) || compareText(a.listener.name, b.listener.name),
    );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Listeners are immutable: what was said of one stands while its group and addresses do. */
const seen = new WeakMap<Listener, { view: Omit<View, 'users'>; loadBalancer: LoadBalancer }>();

function viewOf({ listener, loadBalancer }: ListenerOf, group: BackendGroup): Omit<View, 'users'> {
  const known = seen.get(listener);
  if (known?.loadBalancer === loadBalancer) {
    return known.view.spec.group === group
      ? known.view
      : { text: known.view.text, spec: { ...known.view.spec, group } };
  }
  const view = freshView({ listener, loadBalancer }, group);
  seen.set(listener, { view, loadBalancer });
  return view;
}

function freshView({ listener, loadBalancer }: ListenerOf, group: BackendGroup): Omit<View, 'users'> {
  const check: HealthCheck | null = listener.healthCheck && {
    ...listener.healthCheck,
    port: listener.healthCheck.port || listener.port,
  };
  const toVip = check?.target === 'VIP';
  const spec = {
    group,
    check,
    allUnhealthy: listener.allUnhealthy,
    vip4: toVip ? (loadBalancer.addresses.find((ip) => familyOf(ip) === 4) ?? null) : null,
    vip6: toVip ? (loadBalancer.addresses.find((ip) => familyOf(ip) === 6) ?? null) : null,
    order: orderOf[listener.scheduler],
    equalWeights: listener.scheduler === 'RR',
    slowStartMs: listener.slowStartMs,
    locality: listener.locality,
  };
  return { text: textOf(spec), spec };
}

const orderOf: Readonly<Record<Listener['scheduler'], SlotOrder>> = {
  TCH: 'maglev',
  SCH: 'maglev',
  QCH: 'maglev',
  WRR: 'turns',
  RR: 'turns',
  WLC: 'members',
};

function textOf({ check, ...rest }: View['spec']): string {
  const { allUnhealthy, vip4, vip6, order, equalWeights, slowStartMs, locality } = rest;
  const probe = check?.probe;
  const bytes =
    probe?.kind === 'udp'
      ? `${Buffer.from(probe.request).toString('hex')}/${Buffer.from(probe.expectedReply).toString('hex')}`
      : '';
  const plain = check && { ...check, probe: { ...probe, request: 0, expectedReply: 0 } };
  // Nodes of other versions call checks by this text: what comes new is left out where it is not used.
  const more = locality === null ? [] : [locality];
  return JSON.stringify([plain, bytes, allUnhealthy, vip4, vip6, order, equalWeights, slowStartMs, ...more]);
}

const texts = new WeakMap<PoolSpec, string>();

function remember(text: string, spec: PoolSpec): PoolSpec {
  texts.set(spec, text);
  return spec;
}

/** Equal texts, equal judgement. */
export function viewText(spec: PoolSpec): string {
  return texts.get(spec) ?? textOf(spec);
}
