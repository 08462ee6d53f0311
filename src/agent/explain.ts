import { BackendFlags, type Pool } from '../abi/abi.generated.js';
import type { Explanation, Flow, Session } from '../api/port.js';
import { familyOf, ipToBytes } from '../base/ip.js';
import { protocolNumber } from '../compile/compile.js';
import type { CompiledBackend, CompiledService } from '../compile/compiled.js';
import { type FlowAddresses, type FlowKey, flowTag, maglevSlotOf, sourceTag } from '../compile/fingerprint.js';
import { vipKeyText } from '../compile/tables.js';
import type { SessionEntry, SessionTable } from '../dataplane/session-table.js';
import type { ControlTables } from '../dataplane/tables.js';
import type { Controller } from './controller.js';

export interface ExplainSources {
  readonly controller: Controller;
  readonly control: ControlTables;
  readonly table: SessionTable;
  readonly flowKey: () => FlowKey;
}

const nobody: Omit<Explanation, 'verdict' | 'reason' | 'steps'> = {
  session: null,
  chosenBy: null,
  maglevSlot: null,
  loadBalancer: '',
  listener: '',
  backendGroup: '',
  backend: '',
  backendAddress: '',
  nextHopMac: '',
  egressInterface: '',
  egressVlan: 0,
  forwarding: null,
};

/** The data path's decision for the next packet of a flow that is no SYN, unless `flow.syn`, told step by step, from the kernel's own tables. */
export function explainFlow(
  sources: ExplainSources,
  flow: Flow,
  toSession: (entry: SessionEntry) => Session | null,
): Explanation {
  const { controller, table } = sources;
  const { compiled, applied } = controller;
  const steps: string[] = [];
  const end = (verdict: Explanation['verdict'], reason: string, rest: Partial<Explanation> = {}): Explanation => ({
    ...nobody,
    ...rest,
    verdict,
    reason,
    steps,
  });
  const protocol = protocolNumber[flow.protocol];
  const row = applied.vips.get(vipKeyText({ address: flow.vip, port: flow.vipPort, protocol }));
  const service = row && compiled?.services.get(row.service);
  const addresses: FlowAddresses = {
    source: ipToBytes(flow.client),
    destination: ipToBytes(flow.vip),
    sourcePort: flow.clientPort,
    destinationPort: flow.vipPort,
    protocol,
    v6: familyOf(flow.vip) === 6,
  };
  if (!service) {
    if (!applied.vips.has(vipKeyText({ address: flow.vip, port: 0, protocol: 0 }))) {
      steps.push(`${flow.vip} is no VIP of this node: left to the kernel`);
      return end('pass', 'not_vip');
    }
    steps.push(`${flow.vip} is a VIP`, `no listener takes ${flow.protocol} port ${flow.vipPort}`);
    return end('drop', 'no_listener');
  }
  const who = {
    loadBalancer: service.loadBalancer.name,
    listener: service.listener.name,
    backendGroup: service.pool.group.name,
    forwarding: service.pool.group.forwarding,
  };
  steps.push(`listener ${who.loadBalancer}/${who.listener} takes ${flow.protocol} port ${flow.vipPort} of ${flow.vip}`);
  const tag = flowTag(addresses, sources.flowKey());
  const entry = flow.ignoreSession ? null : table.find(tag);
  const limit = (entry && applied.services.get(entry.service)?.timeoutTicks[entry.state]) ?? 0;
  if (entry && entry.idleTicks > limit) {
    steps.push('its session has expired and is about to be cleared: the flow selects anew');
  } else if (entry) {
    const backend = compiled!.backends.get(entry.backend);
    const session = toSession(entry);
    if (backend?.up) {
      steps.push(`a session binds this flow to backend ${backend.backend.name}, which is up`);
      return end('forward', 'session', { ...who, ...destination(backend), session, chosenBy: 'session' });
    }
    steps.push(
      backend
        ? `its session names backend ${backend.backend.name}, which is not up: it selects anew`
        : `its session names a removed backend (${entry.backend}): it selects anew`,
    );
  } else {
    steps.push(flow.ignoreSession ? 'what if: no session on this node' : 'no session on this node');
  }
  if (service.listener.stopped) {
    steps.push('the listener is stopped');
    return end('drop', 'stopped', who);
  }
  return selected(sources, { service, addresses, tag, syn: flow.syn }, steps, (verdict, reason, rest) =>
    end(verdict, reason, { ...who, ...rest }),
  );
}

function destination({ backend, nextHopMac, device, vlan, group }: CompiledBackend): Partial<Explanation> {
  const egress = { egressInterface: device, egressVlan: vlan };
  return { backend: backend.name, backendAddress: backend.address, nextHopMac, ...egress, backendGroup: group };
}

/** What the table before the last swap says, while connections that began by it may still lack a session. */
function handedOver(control: ControlTables, placed: Pool, slot: number): number | null {
  const open = placed.previousTable !== placed.table && ((placed.handoverUntil - control.tick) | 0) >= 0;
  return open ? control.readTable(placed.previousTable)[slot]! : null;
}

function selected(
  { controller, control, flowKey }: ExplainSources,
  { service, addresses, tag, syn }: { service: CompiledService; addresses: FlowAddresses; tag: bigint; syn: boolean },
  steps: string[],
  end: (verdict: Explanation['verdict'], reason: string, rest?: Partial<Explanation>) => Explanation,
): Explanation {
  const { pool, listener } = service;
  const slot = maglevSlotOf(listener.scheduler === 'SCH' ? sourceTag(addresses, flowKey()) : tag);
  const placed = control.poolRow(pool.id);
  const now = placed ? control.readTable(placed.table)[slot]! : 0;
  const before = placed && addresses.protocol === protocolNumber.tcp && !syn ? handedOver(control, placed, slot) : null;
  const kept = before !== null && before !== now && controller.compiled?.backends.get(before)?.up ? before : null;
  const id = kept ?? now;
  const by = { chosenBy: 'maglev' as const, maglevSlot: slot };
  steps.push(
    `${listener.scheduler} hashes ${listener.scheduler === 'SCH' ? "the client's address" : 'addresses and ports'} to slot ${slot} of group ${pool.group.name}`,
  );
  if (kept !== null) {
    steps.push(
      'the table has just been replaced: a connection without a session began before, and goes by the one before',
    );
  }
  if (pool.failingOpen) steps.push('all its backends are unhealthy: the listener fails open');
  if (id === 0) {
    steps.push('no backend of the group can take traffic');
    return end('drop', 'no_backend', by);
  }
  const backend = controller.compiled?.backends.get(id);
  if (!backend || !(backend.row.flags & BackendFlags.BACKEND_UP)) {
    steps.push(`that is backend ${backend?.backend.name ?? id}, which is not up`);
    return end('drop', 'backend_down', by);
  }
  steps.push(`that is backend ${backend.backend.name}`);
  return end('forward', 'maglev', { ...by, ...destination(backend) });
}
