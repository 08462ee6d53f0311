import { familyOf, parseIp } from '../base/ip.js';
import type { Protocol } from '../config/desired.js';
import { show, Violations } from '../config/violations.js';
import type { Input } from './codec.js';
import type * as message from './generated/messages.generated.js';
import type { Flow, SessionFilter, SessionState } from './port.js';

const protocols = { TCP: 'tcp', UDP: 'udp' } as const;
const states = { YOUNG: 'young', ESTABLISHED: 'established', CLOSING: 'closing', SOURCE: 'source' } as const;
const protocolNames = { tcp: 'TCP', udp: 'UDP' } as const;
const stateNames = { young: 'YOUNG', established: 'ESTABLISHED', closing: 'CLOSING', source: 'SOURCE' } as const;

/** @throws InvalidError naming every field at fault. */
export function readFilter(from: message.SessionFilter | null): SessionFilter {
  if (from === null) return {};
  const violations = new Violations();
  const filter: { -readonly [Key in keyof SessionFilter]: SessionFilter[Key] } = {};
  for (const key of ['loadBalancer', 'listener', 'backendGroup', 'backend'] as const) {
    if (from[key] !== '') filter[key] = from[key];
  }
  if (from.client !== '') filter.client = readPrefix(from.client, violations);
  if (from.vip !== '') filter.vip = readAddress(from.vip, { path: 'filter.vip', violations });
  if (from.vipPort !== 0) filter.vipPort = readPort(from.vipPort, { path: 'filter.vipPort', violations });
  const protocol = readProtocol(from.protocol, { path: 'filter.protocol', violations });
  if (protocol !== null) filter.protocol = protocol;
  if (from.state !== 'SESSION_STATE_UNSPECIFIED') {
    const state: SessionState | undefined = states[from.state];
    if (state === undefined) violations.add('filter.state', `${show(from.state)} is unknown to this version`);
    else filter.state = state;
  }
  violations.throwIfAny();
  return filter;
}

/** As readFilter takes it back. */
export function writeFilter({ client, protocol, state, ...filter }: SessionFilter): Input<message.SessionFilter> {
  return {
    ...filter,
    client: client && `${client.address}/${client.prefixLength}`,
    protocol: protocol && protocolNames[protocol],
    state: state && stateNames[state],
  };
}

/** @throws InvalidError naming every field at fault. */
export function readFlow(from: message.ExplainRequest): Flow {
  const violations = new Violations();
  const protocol = readProtocol(from.protocol, { path: 'protocol', violations });
  if (protocol === null && violations.list.length === 0) violations.add('protocol', 'required: TCP or UDP');
  const flow: Flow = {
    protocol: protocol ?? 'tcp',
    client: readAddress(from.client, { path: 'client', violations }),
    clientPort: readPort(from.clientPort, { path: 'clientPort', violations }),
    vip: readAddress(from.vip, { path: 'vip', violations }),
    vipPort: readPort(from.vipPort, { path: 'vipPort', violations }),
    syn: from.syn,
    ignoreSession: from.ignoreSession,
    quicConnectionId: from.quicConnectionId,
  };
  violations.throwIfAny();
  if (familyOf(flow.client) !== familyOf(flow.vip)) {
    violations.add(
      'client',
      `${flow.client} is no address of the family of the VIP ${flow.vip}: a flow has one family`,
    );
  }
  violations.throwIfAny();
  return flow;
}

interface Place {
  readonly path: string;
  readonly violations: Violations;
}

function readAddress(text: string, { path, violations }: Place): string {
  const ip = parseIp(text);
  if (ip === null) violations.add(path, `${show(text)}: an IPv4 or IPv6 address is expected`);
  return ip ?? '';
}

export function readPrefix(text: string, violations: Violations): { address: string; prefixLength: number } {
  const [address, length, ...rest] = text.split('/');
  const ip = parseIp(address!);
  const bits = ip === null || familyOf(ip) === 4 ? 32 : 128;
  const prefixLength = length === undefined ? bits : Number(/^\d{1,3}$/.test(length) ? length : Number.NaN);
  if (ip === null || rest.length > 0 || !(prefixLength <= bits)) {
    violations.add('filter.client', `${show(text)}: an address or a prefix, as "198.51.100.0/24", is expected`);
  }
  return { address: ip ?? '', prefixLength };
}

export function readVip(text: string, violations: Violations): string {
  return readAddress(text, { path: 'filter.vip', violations });
}

/** null: 0, any. */
export function optionalPort(port: number, place: Place): number | null {
  return port === 0 ? null : readPort(port, place);
}

function readPort(port: number, { path, violations }: Place): number {
  if (port < 1 || port > 65535) violations.add(path, `${port} is no port: 1 to 65535`);
  return port;
}

export function readProtocol(protocol: message.Protocol, { path, violations }: Place): Protocol | null {
  if (protocol === 'PROTOCOL_UNSPECIFIED') return null;
  const known: Protocol | undefined = protocols[protocol];
  if (known === undefined) violations.add(path, `${show(protocol)}: TCP or UDP is expected`);
  return known ?? null;
}
