import { BackendFlags, SessionState } from '../abi/abi.generated.js';
import type { Explanation, Flow, Session } from '../api/port.js';
import { familyOf, ipToBytes } from '../base/ip.js';
import { protocolNumber } from '../compile/compile.js';
import type { CompiledBackend, CompiledService } from '../compile/compiled.js';
import { type FlowAddresses, type FlowKey, flowTag, quicFallbackTag } from '../compile/fingerprint.js';
import { preferenceText } from '../compile/locality.js';
import { quicServerKeyText, serverIdOf } from '../compile/quic.js';
import { vipKeyText } from '../compile/tables.js';
import type { SessionEntry, SessionTable } from '../dataplane/session-table.js';
import type { ControlTables } from '../dataplane/tables.js';
import type { Controller } from './controller.js';
import { denialOf, refusalOf } from './explain-admission.js';
import { chooseBackend } from './explain-choice.js';

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
  const question = {
    client: flow.client,
    service,
    compiled: compiled!,
    control: sources.control,
    key: sources.flowKey(),
  };
  if (service.listener.scheduler === 'QCH' && !service.listener.stopped) {
    const named = namedById(sources, service, flow.quicConnectionId, steps);
    const denied = named && denialOf(question, steps);
    if (denied) return end('drop', denied, who);
    if (named) return end('forward', 'quic', { ...who, ...destination(named), chosenBy: 'quic' });
  }
  const entry = flow.ignoreSession ? null : table.find(sessionTag(service, tag));
  const limit = (entry && applied.services.get(entry.service)?.timeoutTicks[entry.state & 3]) ?? 0;
  if (entry && entry.idleTicks > limit) {
    steps.push('its session has expired and is about to be cleared: the flow selects anew');
  } else if (entry && flow.syn && entry.state === SessionState.SESSION_CLOSING) {
    steps.push('its session is closing, and a SYN begins another connection: it selects anew');
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
  const again = flow.syn && entry?.state === SessionState.SESSION_CLOSING;
  if (!entry || entry.idleTicks > limit || again) {
    const refusal = refusalOf(question, steps);
    if (refusal) return end('drop', refusal, who);
  }
  return selected(sources, { service, addresses, tag, syn: flow.syn }, steps, (verdict, reason, rest) =>
    end(verdict, reason, { ...who, ...rest }),
  );
}

function sessionTag({ listener }: CompiledService, tag: bigint): bigint {
  return listener.scheduler === 'QCH' ? quicFallbackTag(tag) : tag;
}

/** As quic_backend in bpf/quic.h; null: what follows is for a packet whose id says nothing. */
function namedById(
  { controller }: ExplainSources,
  { pool, listener }: CompiledService,
  connectionId: Uint8Array,
  steps: string[],
): CompiledBackend | null {
  if (connectionId.length === 0) {
    steps.push('QCH: a packet whose connection id names a backend goes there; what follows is for one that names none');
    return null;
  }
  const read = serverIdOf(connectionId, listener.quic);
  if ('problem' in read) {
    steps.push(`QCH: ${read.problem}: it goes by addresses and ports`);
    return null;
  }
  const server = Buffer.from(read.serverId).toString('hex');
  const row = controller.applied.quicServers.get(quicServerKeyText({ pool: pool.id, serverId: read.serverId }));
  const backend = row && controller.compiled?.backends.get(row.backend);
  if (backend?.up) {
    steps.push(`QCH: the connection id names server ${server}, which is backend ${backend.backend.name}`);
    return backend;
  }
  steps.push(
    backend
      ? `QCH: the connection id names server ${server}, backend ${backend.backend.name}, which is not up: it goes by addresses and ports`
      : `QCH: the connection id names server ${server}, which no backend is: it goes by addresses and ports`,
  );
  return null;
}

function destination({ backend, nextHopMac, device, vlan, group }: CompiledBackend): Partial<Explanation> {
  const egress = { egressInterface: device, egressVlan: vlan };
  return { backend: backend.name, backendAddress: backend.address, nextHopMac, ...egress, backendGroup: group };
}

function selected(
  { controller, control, table, flowKey }: ExplainSources,
  { service, addresses, tag, syn }: { service: CompiledService; addresses: FlowAddresses; tag: bigint; syn: boolean },
  steps: string[],
  end: (verdict: Explanation['verdict'], reason: string, rest?: Partial<Explanation>) => Explanation,
): Explanation {
  const { compiled, applied } = controller;
  const nameOf = (id: number): string => compiled?.backends.get(id)?.backend.name ?? String(id);
  const { listener, pool } = service;
  if (listener.locality !== null && !pool.failingOpen) steps.push(preferenceText(pool.preference, pool.zone));
  const choice = chooseBackend(
    { service, addresses, tag, syn, applied, control, table, key: flowKey(), nameOf },
    steps,
  );
  const { chosenBy, maglevSlot } = choice;
  const by = { chosenBy, maglevSlot };
  if (service.pool.failingOpen && chosenBy !== 'persistence') {
    steps.push('all its backends are unhealthy: the listener fails open');
  }
  if (choice.backend === 0) {
    steps.push('no backend of the group can take traffic');
    return end('drop', 'no_backend', by);
  }
  const backend = compiled?.backends.get(choice.backend);
  if (!backend || !(backend.row.flags & BackendFlags.BACKEND_UP)) {
    steps.push(`that is backend ${nameOf(choice.backend)}, which is not up`);
    return end('drop', 'backend_down', by);
  }
  steps.push(`that is backend ${backend.backend.name}`);
  if (backend.ownHealth === 'unhealthy' && backend.health === 'healthy') {
    steps.push('its checks fail on this node alone: other nodes, which see it healthy, have outvoted it');
  }
  return end('forward', chosenBy, { ...by, ...destination(backend) });
}
