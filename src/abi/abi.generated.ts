// Generated from bpf/abi_*.h by src/abi/generate.ts: do not edit. biome-ignore-all lint: generated

export const vipKeySize = 20;
export const vipKeyOffset = {
  address: 0,
  port: 16,
  protocol: 18,
} as const;
export interface VipKey {
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: number;
}
export function readVipKey(view: DataView, at: number): VipKey {
  return {
    address: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    port: view.getUint16(at + 16),
    protocol: view.getUint8(at + 18),
  };
}
export function writeVipKey(view: DataView, at: number, value: VipKey): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.address);
  view.setUint16(at + 16, value.port);
  view.setUint8(at + 18, value.protocol);
}

export const vipValueSize = 4;
export const vipValueOffset = {
  service: 0,
} as const;
export interface VipValue {
  readonly service: number;
}
export function readVipValue(view: DataView, at: number): VipValue {
  return {
    service: view.getUint32(at + 0, true),
  };
}
export function writeVipValue(view: DataView, at: number, value: VipValue): void {
  view.setUint32(at + 0, value.service, true);
}

export const serviceSize = 64;
export const serviceOffset = {
  pool: 0,
  flags: 2,
  timeoutTicks: 4,
  schedule: 12,
  quic: 13,
  maxSegment: 14,
  identity: 16,
  access: 24,
  listenerLimit: 28,
  balancerLimit: 30,
} as const;
export interface Service {
  readonly pool: number;
  readonly flags: number;
  readonly timeoutTicks: readonly number[];
  readonly schedule: number;
  readonly quic: number;
  readonly maxSegment: number;
  readonly identity: bigint;
  readonly access: number;
  readonly listenerLimit: number;
  readonly balancerLimit: number;
}
export function readService(view: DataView, at: number): Service {
  return {
    pool: view.getUint16(at + 0, true),
    flags: view.getUint16(at + 2, true),
    timeoutTicks: Array.from({ length: 4 }, (_, i) => view.getUint16(at + 4 + i * 2, true)),
    schedule: view.getUint8(at + 12),
    quic: view.getUint8(at + 13),
    maxSegment: view.getUint16(at + 14, true),
    identity: view.getBigUint64(at + 16, true),
    access: view.getUint32(at + 24, true),
    listenerLimit: view.getUint16(at + 28, true),
    balancerLimit: view.getUint16(at + 30, true),
  };
}
export function writeService(view: DataView, at: number, value: Service): void {
  view.setUint16(at + 0, value.pool, true);
  view.setUint16(at + 2, value.flags, true);
  value.timeoutTicks.forEach((item, i) => { view.setUint16(at + 4 + i * 2, item, true); });
  view.setUint8(at + 12, value.schedule);
  view.setUint8(at + 13, value.quic);
  view.setUint16(at + 14, value.maxSegment, true);
  view.setBigUint64(at + 16, value.identity, true);
  view.setUint32(at + 24, value.access, true);
  view.setUint16(at + 28, value.listenerLimit, true);
  view.setUint16(at + 30, value.balancerLimit, true);
}

export const poolSize = 40;
export const poolOffset = {
  table: 0,
  previousTable: 4,
  handoverUntil: 8,
  slots: 12,
  previousSlots: 16,
  flags: 20,
  recipe: 24,
  identity: 32,
} as const;
export interface Pool {
  readonly table: number;
  readonly previousTable: number;
  readonly handoverUntil: number;
  readonly slots: number;
  readonly previousSlots: number;
  readonly flags: number;
  readonly recipe: bigint;
  readonly identity: bigint;
}
export function readPool(view: DataView, at: number): Pool {
  return {
    table: view.getUint32(at + 0, true),
    previousTable: view.getUint32(at + 4, true),
    handoverUntil: view.getUint32(at + 8, true),
    slots: view.getUint32(at + 12, true),
    previousSlots: view.getUint32(at + 16, true),
    flags: view.getUint16(at + 20, true),
    recipe: view.getBigUint64(at + 24, true),
    identity: view.getBigUint64(at + 32, true),
  };
}
export function writePool(view: DataView, at: number, value: Pool): void {
  view.setUint32(at + 0, value.table, true);
  view.setUint32(at + 4, value.previousTable, true);
  view.setUint32(at + 8, value.handoverUntil, true);
  view.setUint32(at + 12, value.slots, true);
  view.setUint32(at + 16, value.previousSlots, true);
  view.setUint16(at + 20, value.flags, true);
  view.setBigUint64(at + 24, value.recipe, true);
  view.setBigUint64(at + 32, value.identity, true);
}

export const maglevTableSize = 131080;
export const maglevTableOffset = {
  slots: 0,
} as const;

export const turnSize = 64;
export const turnOffset = {
  next: 0,
} as const;
export interface Turn {
  readonly next: bigint;
}
export function readTurn(view: DataView, at: number): Turn {
  return {
    next: view.getBigUint64(at + 0, true),
  };
}
export function writeTurn(view: DataView, at: number, value: Turn): void {
  view.setBigUint64(at + 0, value.next, true);
}

export const loadSize = 16;
export const loadOffset = {
  known: 0,
  made: 8,
} as const;
export interface Load {
  readonly known: bigint;
  readonly made: bigint;
}
export function readLoad(view: DataView, at: number): Load {
  return {
    known: view.getBigUint64(at + 0, true),
    made: view.getBigUint64(at + 8, true),
  };
}
export function writeLoad(view: DataView, at: number, value: Load): void {
  view.setBigUint64(at + 0, value.known, true);
  view.setBigUint64(at + 8, value.made, true);
}

export const backendSize = 64;
export const backendOffset = {
  nextHop: 0,
  forwarding: 6,
  flags: 7,
  outerSum: 8,
  egress: 12,
  tunnelPort: 14,
  identity: 16,
  address: 24,
  source: 40,
  mtu: 56,
  pool: 58,
  outerBytes: 60,
  weight: 62,
} as const;
export interface Backend {
  readonly nextHop: Uint8Array;
  readonly forwarding: number;
  readonly flags: number;
  readonly outerSum: number;
  readonly egress: number;
  readonly tunnelPort: number;
  readonly identity: bigint;
  readonly address: Uint8Array;
  readonly source: Uint8Array;
  readonly mtu: number;
  readonly pool: number;
  readonly outerBytes: number;
  readonly weight: number;
}
export function readBackend(view: DataView, at: number): Backend {
  return {
    nextHop: new Uint8Array(view.buffer, view.byteOffset + at + 0, 6).slice(),
    forwarding: view.getUint8(at + 6),
    flags: view.getUint8(at + 7),
    outerSum: view.getUint32(at + 8, true),
    egress: view.getUint16(at + 12, true),
    tunnelPort: view.getUint16(at + 14),
    identity: view.getBigUint64(at + 16, true),
    address: new Uint8Array(view.buffer, view.byteOffset + at + 24, 16).slice(),
    source: new Uint8Array(view.buffer, view.byteOffset + at + 40, 16).slice(),
    mtu: view.getUint16(at + 56, true),
    pool: view.getUint16(at + 58, true),
    outerBytes: view.getUint16(at + 60, true),
    weight: view.getUint16(at + 62, true),
  };
}
export function writeBackend(view: DataView, at: number, value: Backend): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 6).set(value.nextHop);
  view.setUint8(at + 6, value.forwarding);
  view.setUint8(at + 7, value.flags);
  view.setUint32(at + 8, value.outerSum, true);
  view.setUint16(at + 12, value.egress, true);
  view.setUint16(at + 14, value.tunnelPort);
  view.setBigUint64(at + 16, value.identity, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 24, 16).set(value.address);
  new Uint8Array(view.buffer, view.byteOffset + at + 40, 16).set(value.source);
  view.setUint16(at + 56, value.mtu, true);
  view.setUint16(at + 58, value.pool, true);
  view.setUint16(at + 60, value.outerBytes, true);
  view.setUint16(at + 62, value.weight, true);
}

export const quicConfigSize = 180;
export const quicConfigOffset = {
  serverIdBytes: 0,
  nonceBytes: 1,
  encrypted: 2,
  roundKeys: 4,
} as const;
export interface QuicConfig {
  readonly serverIdBytes: number;
  readonly nonceBytes: number;
  readonly encrypted: number;
  readonly roundKeys: readonly number[];
}
export function readQuicConfig(view: DataView, at: number): QuicConfig {
  return {
    serverIdBytes: view.getUint8(at + 0),
    nonceBytes: view.getUint8(at + 1),
    encrypted: view.getUint8(at + 2),
    roundKeys: Array.from({ length: 44 }, (_, i) => view.getUint32(at + 4 + i * 4, true)),
  };
}
export function writeQuicConfig(view: DataView, at: number, value: QuicConfig): void {
  view.setUint8(at + 0, value.serverIdBytes);
  view.setUint8(at + 1, value.nonceBytes);
  view.setUint8(at + 2, value.encrypted);
  value.roundKeys.forEach((item, i) => { view.setUint32(at + 4 + i * 4, item, true); });
}

export const quicRoutingSize = 1448;
export const quicRoutingOffset = {
  recipe: 0,
  configs: 8,
} as const;

export const quicServerKeySize = 20;
export const quicServerKeyOffset = {
  id: 0,
  idBytes: 15,
  pool: 16,
} as const;
export interface QuicServerKey {
  readonly id: Uint8Array;
  readonly idBytes: number;
  readonly pool: number;
}
export function readQuicServerKey(view: DataView, at: number): QuicServerKey {
  return {
    id: new Uint8Array(view.buffer, view.byteOffset + at + 0, 15).slice(),
    idBytes: view.getUint8(at + 15),
    pool: view.getUint16(at + 16, true),
  };
}
export function writeQuicServerKey(view: DataView, at: number, value: QuicServerKey): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 15).set(value.id);
  view.setUint8(at + 15, value.idBytes);
  view.setUint16(at + 16, value.pool, true);
}

export const quicServerSize = 4;
export const quicServerOffset = {
  backend: 0,
} as const;
export interface QuicServer {
  readonly backend: number;
}
export function readQuicServer(view: DataView, at: number): QuicServer {
  return {
    backend: view.getUint32(at + 0, true),
  };
}
export function writeQuicServer(view: DataView, at: number, value: QuicServer): void {
  view.setUint32(at + 0, value.backend, true);
}

export const aesTablesSize = 4352;
export const aesTablesOffset = {
  rounds: 0,
  inverseSbox: 4096,
} as const;

export const egressSize = 64;
export const egressOffset = {
  ports: 0,
  mac: 32,
  vlan: 38,
  portCount: 40,
  flags: 42,
  name: 44,
} as const;
export interface Egress {
  readonly ports: readonly number[];
  readonly mac: Uint8Array;
  readonly vlan: number;
  readonly portCount: number;
  readonly flags: number;
  readonly name: Uint8Array;
}
export function readEgress(view: DataView, at: number): Egress {
  return {
    ports: Array.from({ length: 8 }, (_, i) => view.getUint32(at + 0 + i * 4, true)),
    mac: new Uint8Array(view.buffer, view.byteOffset + at + 32, 6).slice(),
    vlan: view.getUint16(at + 38, true),
    portCount: view.getUint16(at + 40, true),
    flags: view.getUint16(at + 42, true),
    name: new Uint8Array(view.buffer, view.byteOffset + at + 44, 16).slice(),
  };
}
export function writeEgress(view: DataView, at: number, value: Egress): void {
  value.ports.forEach((item, i) => { view.setUint32(at + 0 + i * 4, item, true); });
  new Uint8Array(view.buffer, view.byteOffset + at + 32, 6).set(value.mac);
  view.setUint16(at + 38, value.vlan, true);
  view.setUint16(at + 40, value.portCount, true);
  view.setUint16(at + 42, value.flags, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 44, 16).set(value.name);
}

export const accessKeySize = 24;
export const accessKeyOffset = {
  bits: 0,
  list: 4,
  v6: 6,
  client: 8,
} as const;
export interface AccessKey {
  readonly bits: number;
  readonly list: number;
  readonly v6: number;
  readonly client: Uint8Array;
}
export function readAccessKey(view: DataView, at: number): AccessKey {
  return {
    bits: view.getUint32(at + 0, true),
    list: view.getUint16(at + 4, true),
    v6: view.getUint16(at + 6, true),
    client: new Uint8Array(view.buffer, view.byteOffset + at + 8, 16).slice(),
  };
}
export function writeAccessKey(view: DataView, at: number, value: AccessKey): void {
  view.setUint32(at + 0, value.bits, true);
  view.setUint16(at + 4, value.list, true);
  view.setUint16(at + 6, value.v6, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 8, 16).set(value.client);
}

export const limitSize = 128;
export const limitOffset = {
  identity: 0,
  flags: 8,
  sessions: 12,
  interval: 16,
  sourceInterval: 24,
  burst: 32,
  over: 40,
  base: 48,
  busyUntil: 64,
  made: 72,
  ended: 80,
  pad2: 88,
} as const;
export interface Limit {
  readonly identity: bigint;
  readonly flags: number;
  readonly sessions: number;
  readonly interval: bigint;
  readonly sourceInterval: bigint;
  readonly burst: bigint;
  readonly over: bigint;
  readonly base: bigint;
  readonly busyUntil: bigint;
  readonly made: bigint;
  readonly ended: bigint;
  readonly pad2: readonly bigint[];
}
export function readLimit(view: DataView, at: number): Limit {
  return {
    identity: view.getBigUint64(at + 0, true),
    flags: view.getUint32(at + 8, true),
    sessions: view.getUint32(at + 12, true),
    interval: view.getBigUint64(at + 16, true),
    sourceInterval: view.getBigUint64(at + 24, true),
    burst: view.getBigUint64(at + 32, true),
    over: view.getBigUint64(at + 40, true),
    base: view.getBigUint64(at + 48, true),
    busyUntil: view.getBigUint64(at + 64, true),
    made: view.getBigUint64(at + 72, true),
    ended: view.getBigUint64(at + 80, true),
    pad2: Array.from({ length: 5 }, (_, i) => view.getBigUint64(at + 88 + i * 8, true)),
  };
}
export function writeLimit(view: DataView, at: number, value: Limit): void {
  view.setBigUint64(at + 0, value.identity, true);
  view.setUint32(at + 8, value.flags, true);
  view.setUint32(at + 12, value.sessions, true);
  view.setBigUint64(at + 16, value.interval, true);
  view.setBigUint64(at + 24, value.sourceInterval, true);
  view.setBigUint64(at + 32, value.burst, true);
  view.setBigUint64(at + 40, value.over, true);
  view.setBigUint64(at + 48, value.base, true);
  view.setBigUint64(at + 64, value.busyUntil, true);
  view.setBigUint64(at + 72, value.made, true);
  view.setBigUint64(at + 80, value.ended, true);
  value.pad2.forEach((item, i) => { view.setBigUint64(at + 88 + i * 8, item, true); });
}

export const refusalsSize = 48;
export const refusalsOffset = {
  counts: 0,
} as const;
export interface Refusals {
  readonly counts: readonly bigint[];
}
export function readRefusals(view: DataView, at: number): Refusals {
  return {
    counts: Array.from({ length: 6 }, (_, i) => view.getBigUint64(at + 0 + i * 8, true)),
  };
}
export function writeRefusals(view: DataView, at: number, value: Refusals): void {
  value.counts.forEach((item, i) => { view.setBigUint64(at + 0 + i * 8, item, true); });
}

export const sessionSlotSize = 16;
export const sessionSlotOffset = {
  tag: 0,
  value: 8,
} as const;
export interface SessionSlot {
  readonly tag: bigint;
  readonly value: bigint;
}
export function readSessionSlot(view: DataView, at: number): SessionSlot {
  return {
    tag: view.getBigUint64(at + 0, true),
    value: view.getBigUint64(at + 8, true),
  };
}
export function writeSessionSlot(view: DataView, at: number, value: SessionSlot): void {
  view.setBigUint64(at + 0, value.tag, true);
  view.setBigUint64(at + 8, value.value, true);
}

export const sessionBucketSize = 64;
export const sessionBucketOffset = {
  slots: 0,
} as const;

export const sessionDetailSize = 32;
export const sessionDetailOffset = {
  client: 0,
  clientPort: 16,
  service: 18,
  createdTick: 20,
  tagCheck: 24,
  originNode: 28,
  protocol: 30,
} as const;
export interface SessionDetail {
  readonly client: Uint8Array;
  readonly clientPort: number;
  readonly service: number;
  readonly createdTick: number;
  readonly tagCheck: number;
  readonly originNode: number;
  readonly protocol: number;
}
export function readSessionDetail(view: DataView, at: number): SessionDetail {
  return {
    client: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    clientPort: view.getUint16(at + 16),
    service: view.getUint16(at + 18, true),
    createdTick: view.getUint32(at + 20, true),
    tagCheck: view.getUint32(at + 24, true),
    originNode: view.getUint16(at + 28, true),
    protocol: view.getUint8(at + 30),
  };
}
export function writeSessionDetail(view: DataView, at: number, value: SessionDetail): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.client);
  view.setUint16(at + 16, value.clientPort);
  view.setUint16(at + 18, value.service, true);
  view.setUint32(at + 20, value.createdTick, true);
  view.setUint32(at + 24, value.tagCheck, true);
  view.setUint16(at + 28, value.originNode, true);
  view.setUint8(at + 30, value.protocol);
}

export const sessionLogSize = 131200;
export const sessionLogOffset = {
  head: 0,
  tail: 64,
  pad2: 72,
  entries: 128,
} as const;

export const settingsSize = 160;
export const settingsOffset = {
  layout: 0,
  nodeId: 4,
  macs: 8,
  key: 72,
  finishKey: 120,
  hz: 136,
  tickShift: 140,
  echoesPerTick: 144,
  errorsPerTick: 148,
  fragmentsPerTick: 152,
} as const;
export interface Settings {
  readonly layout: number;
  readonly nodeId: number;
  readonly macs: readonly bigint[];
  readonly key: readonly number[];
  readonly finishKey: readonly bigint[];
  readonly hz: number;
  readonly tickShift: number;
  readonly echoesPerTick: number;
  readonly errorsPerTick: number;
  readonly fragmentsPerTick: number;
}
export function readSettings(view: DataView, at: number): Settings {
  return {
    layout: view.getUint32(at + 0, true),
    nodeId: view.getUint32(at + 4, true),
    macs: Array.from({ length: 8 }, (_, i) => view.getBigUint64(at + 8 + i * 8, true)),
    key: Array.from({ length: 12 }, (_, i) => view.getUint32(at + 72 + i * 4, true)),
    finishKey: Array.from({ length: 2 }, (_, i) => view.getBigUint64(at + 120 + i * 8, true)),
    hz: view.getUint32(at + 136, true),
    tickShift: view.getUint32(at + 140, true),
    echoesPerTick: view.getUint32(at + 144, true),
    errorsPerTick: view.getUint32(at + 148, true),
    fragmentsPerTick: view.getUint32(at + 152, true),
  };
}
export function writeSettings(view: DataView, at: number, value: Settings): void {
  view.setUint32(at + 0, value.layout, true);
  view.setUint32(at + 4, value.nodeId, true);
  value.macs.forEach((item, i) => { view.setBigUint64(at + 8 + i * 8, item, true); });
  value.key.forEach((item, i) => { view.setUint32(at + 72 + i * 4, item, true); });
  value.finishKey.forEach((item, i) => { view.setBigUint64(at + 120 + i * 8, item, true); });
  view.setUint32(at + 136, value.hz, true);
  view.setUint32(at + 140, value.tickShift, true);
  view.setUint32(at + 144, value.echoesPerTick, true);
  view.setUint32(at + 148, value.errorsPerTick, true);
  view.setUint32(at + 152, value.fragmentsPerTick, true);
}

export const vipFilterSize = 8192;
export const vipFilterOffset = {
  words: 0,
} as const;

export const trafficSize = 32;
export const trafficOffset = {
  packets: 0,
  bytes: 8,
  sessions: 16,
  noSession: 24,
} as const;
export interface Traffic {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly sessions: bigint;
  readonly noSession: bigint;
}
export function readTraffic(view: DataView, at: number): Traffic {
  return {
    packets: view.getBigUint64(at + 0, true),
    bytes: view.getBigUint64(at + 8, true),
    sessions: view.getBigUint64(at + 16, true),
    noSession: view.getBigUint64(at + 24, true),
  };
}
export function writeTraffic(view: DataView, at: number, value: Traffic): void {
  view.setBigUint64(at + 0, value.packets, true);
  view.setBigUint64(at + 8, value.bytes, true);
  view.setBigUint64(at + 16, value.sessions, true);
  view.setBigUint64(at + 24, value.noSession, true);
}

export const lbCountersSize = 576;
export const lbCountersOffset = {
  reasons: 0,
  table: 512,
} as const;
export interface LbCounters {
  readonly reasons: readonly bigint[];
  readonly table: readonly bigint[];
}
export function readLbCounters(view: DataView, at: number): LbCounters {
  return {
    reasons: Array.from({ length: 64 }, (_, i) => view.getBigUint64(at + 0 + i * 8, true)),
    table: Array.from({ length: 8 }, (_, i) => view.getBigUint64(at + 512 + i * 8, true)),
  };
}
export function writeLbCounters(view: DataView, at: number, value: LbCounters): void {
  value.reasons.forEach((item, i) => { view.setBigUint64(at + 0 + i * 8, item, true); });
  value.table.forEach((item, i) => { view.setBigUint64(at + 512 + i * 8, item, true); });
}

export const lbConfigSize = 20;
export const lbConfigOffset = {
  buckets: 0,
  frags: 4,
  capture: 8,
  fragmentBuckets: 12,
  sourceCells: 16,
} as const;
export interface LbConfig {
  readonly buckets: number;
  readonly frags: number;
  readonly capture: number;
  readonly fragmentBuckets: number;
  readonly sourceCells: number;
}
export function readLbConfig(view: DataView, at: number): LbConfig {
  return {
    buckets: view.getUint32(at + 0, true),
    frags: view.getUint32(at + 4, true),
    capture: view.getUint32(at + 8, true),
    fragmentBuckets: view.getUint32(at + 12, true),
    sourceCells: view.getUint32(at + 16, true),
  };
}
export function writeLbConfig(view: DataView, at: number, value: LbConfig): void {
  view.setUint32(at + 0, value.buckets, true);
  view.setUint32(at + 4, value.frags, true);
  view.setUint32(at + 8, value.capture, true);
  view.setUint32(at + 12, value.fragmentBuckets, true);
  view.setUint32(at + 16, value.sourceCells, true);
}

export const clockReadingSize = 16;
export const clockReadingOffset = {
  jiffies: 0,
  monotonicNs: 8,
} as const;
export interface ClockReading {
  readonly jiffies: bigint;
  readonly monotonicNs: bigint;
}
export function readClockReading(view: DataView, at: number): ClockReading {
  return {
    jiffies: view.getBigUint64(at + 0, true),
    monotonicNs: view.getBigUint64(at + 8, true),
  };
}
export function writeClockReading(view: DataView, at: number, value: ClockReading): void {
  view.setBigUint64(at + 0, value.jiffies, true);
  view.setBigUint64(at + 8, value.monotonicNs, true);
}

export const dropEventSize = 184;
export const dropEventOffset = {
  kind: 0,
  reason: 2,
  tick: 4,
  source: 8,
  destination: 24,
  sourcePort: 40,
  destinationPort: 42,
  protocol: 44,
  length: 48,
  captured: 52,
  frame: 56,
} as const;
export interface DropEvent {
  readonly kind: number;
  readonly reason: number;
  readonly tick: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly length: number;
  readonly captured: number;
  readonly frame: Uint8Array;
}
export function readDropEvent(view: DataView, at: number): DropEvent {
  return {
    kind: view.getUint16(at + 0, true),
    reason: view.getUint16(at + 2, true),
    tick: view.getUint32(at + 4, true),
    source: new Uint8Array(view.buffer, view.byteOffset + at + 8, 16).slice(),
    destination: new Uint8Array(view.buffer, view.byteOffset + at + 24, 16).slice(),
    sourcePort: view.getUint16(at + 40),
    destinationPort: view.getUint16(at + 42),
    protocol: view.getUint8(at + 44),
    length: view.getUint32(at + 48, true),
    captured: view.getUint32(at + 52, true),
    frame: new Uint8Array(view.buffer, view.byteOffset + at + 56, 128).slice(),
  };
}
export function writeDropEvent(view: DataView, at: number, value: DropEvent): void {
  view.setUint16(at + 0, value.kind, true);
  view.setUint16(at + 2, value.reason, true);
  view.setUint32(at + 4, value.tick, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 8, 16).set(value.source);
  new Uint8Array(view.buffer, view.byteOffset + at + 24, 16).set(value.destination);
  view.setUint16(at + 40, value.sourcePort);
  view.setUint16(at + 42, value.destinationPort);
  view.setUint8(at + 44, value.protocol);
  view.setUint32(at + 48, value.length, true);
  view.setUint32(at + 52, value.captured, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 56, 128).set(value.frame);
}

export const earlyFragmentEventSize = 2072;
export const earlyFragmentEventOffset = {
  kind: 0,
  length: 2,
  tick: 4,
  tag: 8,
  ifindex: 16,
  queue: 20,
  frame: 24,
} as const;

export const ServiceFlags = {
  SERVICE_IN_USE: 1,
  SERVICE_STOPPED: 2,
} as const;

export const SessionState = {
  SESSION_UNFINISHED: 0,
  SESSION_YOUNG: 1,
  SESSION_ESTABLISHED: 2,
  SESSION_CLOSING: 3,
  SESSION_SOURCE: 4,
  SESSION_SOURCE_YOUNG: 5,
} as const;

export const Schedule = {
  SCHEDULE_TUPLE: 0,
  SCHEDULE_SOURCE: 1,
  SCHEDULE_TURN: 2,
  SCHEDULE_LEAST: 3,
  SCHEDULE_QUIC: 4,
} as const;

export const LimitFlags = {
  LIMIT_IN_USE: 1,
  LIMIT_SET: 2,
} as const;

export const LimitOver = {
  LIMIT_OVER_BITS: 1,
  LIMIT_OVER_PACKETS: 2,
} as const;

export const PoolFlags = {
  POOL_IN_USE: 1,
} as const;

export const BackendFlags = {
  BACKEND_IN_USE: 1,
  BACKEND_UP: 2,
  BACKEND_HEALTHY: 4,
  BACKEND_CHECKED: 8,
  BACKEND_RETIRED: 16,
  BACKEND_DRAINING: 32,
  BACKEND_STEERED: 64,
} as const;

export const Forwarding = {
  FORWARD_NONE: 0,
  FORWARD_L2_DSR: 1,
  FORWARD_IPIP4: 2,
  FORWARD_IPIP6: 3,
  FORWARD_GUE4: 4,
  FORWARD_GUE6: 5,
} as const;

export const EgressFlags = {
  EGRESS_IN_USE: 1,
} as const;

export const Reason = {
  PASS_NOT_IP: 0,
  PASS_NOT_VIP: 1,
  PASS_OTHER_MAC: 2,
  PASS_MALFORMED: 3,
  PASS_NEIGHBOR: 4,
  ANSWER_ECHO: 8,
  ANSWER_TOO_BIG: 9,
  DROP_NO_LISTENER: 16,
  DROP_PROTOCOL: 17,
  DROP_ICMP: 18,
  DROP_FRAGMENT: 19,
  DROP_MALFORMED: 20,
  DROP_EXTENSION: 21,
  DROP_NO_BACKEND: 22,
  DROP_BACKEND_DOWN: 23,
  DROP_TOO_BIG: 24,
  DROP_NO_HEADROOM: 25,
  DROP_STOPPED: 26,
  DROP_INTERNAL: 27,
  DROP_ECHO_RATE: 28,
  DROP_ICMP_QUOTE: 29,
  DROP_ICMP_NO_FLOW: 30,
  DROP_FRAGMENT_EARLY: 31,
  DROP_ACCESS_DENIED: 32,
  DROP_CONNECTION_RATE: 33,
  DROP_SESSION_LIMIT: 34,
  DROP_BANDWIDTH_LIMIT: 35,
  DROP_PACKET_LIMIT: 36,
  DROP_SOURCE_RATE: 37,
  DROP_EGRESS: 38,
  REASON_COUNT: 64,
} as const;

export const TableEvent = {
  TABLE_INSERTED: 0,
  TABLE_MOVED: 1,
  TABLE_REUSED_EXPIRED: 2,
  TABLE_EVICTED_CLOSING: 3,
  TABLE_EVICTED_YOUNG: 4,
  TABLE_EVICTED_OLD: 5,
  TABLE_NOT_TRACKED: 6,
  TABLE_RESELECTED: 7,
  TABLE_EVENT_COUNT: 8,
} as const;

export const EventKind = {
  EVENT_DROP: 1,
  EVENT_EARLY_FRAGMENT: 2,
} as const;

export const captureFilterSize = 88;
export const captureFilterOffset = {
  client: 0,
  clientMask: 16,
  vip: 32,
  vipMask: 48,
  clientPort: 64,
  vipPort: 66,
  protocol: 68,
  dropsOnly: 69,
  reason: 70,
  snapLength: 72,
  rate: 76,
  until: 80,
} as const;
export interface CaptureFilter {
  readonly client: Uint8Array;
  readonly clientMask: Uint8Array;
  readonly vip: Uint8Array;
  readonly vipMask: Uint8Array;
  readonly clientPort: number;
  readonly vipPort: number;
  readonly protocol: number;
  readonly dropsOnly: number;
  readonly reason: number;
  readonly snapLength: number;
  readonly rate: number;
  readonly until: number;
}
export function readCaptureFilter(view: DataView, at: number): CaptureFilter {
  return {
    client: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    clientMask: new Uint8Array(view.buffer, view.byteOffset + at + 16, 16).slice(),
    vip: new Uint8Array(view.buffer, view.byteOffset + at + 32, 16).slice(),
    vipMask: new Uint8Array(view.buffer, view.byteOffset + at + 48, 16).slice(),
    clientPort: view.getUint16(at + 64),
    vipPort: view.getUint16(at + 66),
    protocol: view.getUint8(at + 68),
    dropsOnly: view.getUint8(at + 69),
    reason: view.getUint16(at + 70, true),
    snapLength: view.getUint32(at + 72, true),
    rate: view.getUint32(at + 76, true),
    until: view.getUint32(at + 80, true),
  };
}
export function writeCaptureFilter(view: DataView, at: number, value: CaptureFilter): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.client);
  new Uint8Array(view.buffer, view.byteOffset + at + 16, 16).set(value.clientMask);
  new Uint8Array(view.buffer, view.byteOffset + at + 32, 16).set(value.vip);
  new Uint8Array(view.buffer, view.byteOffset + at + 48, 16).set(value.vipMask);
  view.setUint16(at + 64, value.clientPort);
  view.setUint16(at + 66, value.vipPort);
  view.setUint8(at + 68, value.protocol);
  view.setUint8(at + 69, value.dropsOnly);
  view.setUint16(at + 70, value.reason, true);
  view.setUint32(at + 72, value.snapLength, true);
  view.setUint32(at + 76, value.rate, true);
  view.setUint32(at + 80, value.until, true);
}

export const capturedPacketSize = 1544;
export const capturedPacketOffset = {
  monotonicNs: 0,
  interfaceIndex: 8,
  length: 12,
  captured: 16,
  reason: 18,
  service: 20,
  backend: 22,
  frame: 24,
} as const;

export const captureStateSize = 16;
export const captureStateOffset = {
  suppressed: 0,
  tick: 8,
  inTick: 12,
} as const;
export interface CaptureState {
  readonly suppressed: bigint;
  readonly tick: number;
  readonly inTick: number;
}
export function readCaptureState(view: DataView, at: number): CaptureState {
  return {
    suppressed: view.getBigUint64(at + 0, true),
    tick: view.getUint32(at + 8, true),
    inTick: view.getUint32(at + 12, true),
  };
}
export function writeCaptureState(view: DataView, at: number, value: CaptureState): void {
  view.setBigUint64(at + 0, value.suppressed, true);
  view.setUint32(at + 8, value.tick, true);
  view.setUint32(at + 12, value.inTick, true);
}

export const decapConfigSize = 72;
export const decapConfigOffset = {
  macs: 0,
  checkSource: 32,
  checkVip: 36,
  frags: 40,
  mapPorts: 44,
  checkExempt: 48,
  clamp: 52,
  clampMss: 56,
  ifindex: 60,
  guePort: 64,
} as const;
export interface DecapConfig {
  readonly macs: readonly bigint[];
  readonly checkSource: number;
  readonly checkVip: number;
  readonly frags: number;
  readonly mapPorts: number;
  readonly checkExempt: number;
  readonly clamp: number;
  readonly clampMss: number;
  readonly ifindex: number;
  readonly guePort: number;
}
export function readDecapConfig(view: DataView, at: number): DecapConfig {
  return {
    macs: Array.from({ length: 4 }, (_, i) => view.getBigUint64(at + 0 + i * 8, true)),
    checkSource: view.getUint32(at + 32, true),
    checkVip: view.getUint32(at + 36, true),
    frags: view.getUint32(at + 40, true),
    mapPorts: view.getUint32(at + 44, true),
    checkExempt: view.getUint32(at + 48, true),
    clamp: view.getUint32(at + 52, true),
    clampMss: view.getUint32(at + 56, true),
    ifindex: view.getUint32(at + 60, true),
    guePort: view.getUint16(at + 64),
  };
}
export function writeDecapConfig(view: DataView, at: number, value: DecapConfig): void {
  value.macs.forEach((item, i) => { view.setBigUint64(at + 0 + i * 8, item, true); });
  view.setUint32(at + 32, value.checkSource, true);
  view.setUint32(at + 36, value.checkVip, true);
  view.setUint32(at + 40, value.frags, true);
  view.setUint32(at + 44, value.mapPorts, true);
  view.setUint32(at + 48, value.checkExempt, true);
  view.setUint32(at + 52, value.clamp, true);
  view.setUint32(at + 56, value.clampMss, true);
  view.setUint32(at + 60, value.ifindex, true);
  view.setUint16(at + 64, value.guePort);
}

export const decapPrefixSize = 20;
export const decapPrefixOffset = {
  prefixBits: 0,
  address: 4,
} as const;
export interface DecapPrefix {
  readonly prefixBits: number;
  readonly address: Uint8Array;
}
export function readDecapPrefix(view: DataView, at: number): DecapPrefix {
  return {
    prefixBits: view.getUint32(at + 0, true),
    address: new Uint8Array(view.buffer, view.byteOffset + at + 4, 16).slice(),
  };
}
export function writeDecapPrefix(view: DataView, at: number, value: DecapPrefix): void {
  view.setUint32(at + 0, value.prefixBits, true);
  new Uint8Array(view.buffer, view.byteOffset + at + 4, 16).set(value.address);
}

export const decapCountersSize = 384;
export const decapCountersOffset = {
  reasons: 0,
  events: 304,
} as const;

export const decapVipSize = 8;
export const decapVipOffset = {
  slot: 0,
  flags: 4,
  overhead: 6,
} as const;
export interface DecapVip {
  readonly slot: number;
  readonly flags: number;
  readonly overhead: number;
}
export function readDecapVip(view: DataView, at: number): DecapVip {
  return {
    slot: view.getUint32(at + 0, true),
    flags: view.getUint16(at + 4, true),
    overhead: view.getUint16(at + 6, true),
  };
}
export function writeDecapVip(view: DataView, at: number, value: DecapVip): void {
  view.setUint32(at + 0, value.slot, true);
  view.setUint16(at + 4, value.flags, true);
  view.setUint16(at + 6, value.overhead, true);
}

export const decapFilterSize = 4096;
export const decapFilterOffset = {
  in: 0,
  out: 2048,
} as const;

export const decapSlotSize = 24;
export const decapSlotOffset = {
  vip: 0,
  born: 16,
} as const;
export interface DecapSlot {
  readonly vip: Uint8Array;
  readonly born: bigint;
}
export function readDecapSlot(view: DataView, at: number): DecapSlot {
  return {
    vip: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    born: view.getBigUint64(at + 16, true),
  };
}
export function writeDecapSlot(view: DataView, at: number, value: DecapSlot): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.vip);
  view.setBigUint64(at + 16, value.born, true);
}

export const decapUsageSize = 32;
export const decapUsageOffset = {
  packetsIn: 0,
  bytesIn: 8,
  packetsOut: 16,
  bytesOut: 24,
} as const;
export interface DecapUsage {
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
}
export function readDecapUsage(view: DataView, at: number): DecapUsage {
  return {
    packetsIn: view.getBigUint64(at + 0, true),
    bytesIn: view.getBigUint64(at + 8, true),
    packetsOut: view.getBigUint64(at + 16, true),
    bytesOut: view.getBigUint64(at + 24, true),
  };
}
export function writeDecapUsage(view: DataView, at: number, value: DecapUsage): void {
  view.setBigUint64(at + 0, value.packetsIn, true);
  view.setBigUint64(at + 8, value.bytesIn, true);
  view.setBigUint64(at + 16, value.packetsOut, true);
  view.setBigUint64(at + 24, value.bytesOut, true);
}

export const decapPortKeySize = 20;
export const decapPortKeyOffset = {
  address: 0,
  port: 16,
  protocol: 18,
} as const;
export interface DecapPortKey {
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: number;
}
export function readDecapPortKey(view: DataView, at: number): DecapPortKey {
  return {
    address: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    port: view.getUint16(at + 16),
    protocol: view.getUint8(at + 18),
  };
}
export function writeDecapPortKey(view: DataView, at: number, value: DecapPortKey): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.address);
  view.setUint16(at + 16, value.port);
  view.setUint8(at + 18, value.protocol);
}

export const decapPortSize = 28;
export const decapPortOffset = {
  address: 0,
  port: 16,
  addressSum: 18,
  portSum: 20,
  slot: 24,
} as const;
export interface DecapPort {
  readonly address: Uint8Array;
  readonly port: number;
  readonly addressSum: number;
  readonly portSum: number;
  readonly slot: number;
}
export function readDecapPort(view: DataView, at: number): DecapPort {
  return {
    address: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    port: view.getUint16(at + 16),
    addressSum: view.getUint16(at + 18, true),
    portSum: view.getUint16(at + 20, true),
    slot: view.getUint32(at + 24, true),
  };
}
export function writeDecapPort(view: DataView, at: number, value: DecapPort): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.address);
  view.setUint16(at + 16, value.port);
  view.setUint16(at + 18, value.addressSum, true);
  view.setUint16(at + 20, value.portSum, true);
  view.setUint32(at + 24, value.slot, true);
}

export const decapDatagramSize = 40;
export const decapDatagramOffset = {
  source: 0,
  destination: 16,
  id: 32,
  protocol: 36,
} as const;
export interface DecapDatagram {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly id: number;
  readonly protocol: number;
}
export function readDecapDatagram(view: DataView, at: number): DecapDatagram {
  return {
    source: new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).slice(),
    destination: new Uint8Array(view.buffer, view.byteOffset + at + 16, 16).slice(),
    id: view.getUint32(at + 32, true),
    protocol: view.getUint32(at + 36, true),
  };
}
export function writeDecapDatagram(view: DataView, at: number, value: DecapDatagram): void {
  new Uint8Array(view.buffer, view.byteOffset + at + 0, 16).set(value.source);
  new Uint8Array(view.buffer, view.byteOffset + at + 16, 16).set(value.destination);
  view.setUint32(at + 32, value.id, true);
  view.setUint32(at + 36, value.protocol, true);
}

export const DecapReason = {
  DECAP_PASS_NOT_TUNNEL: 0,
  DECAP_PASS_VIP: 1,
  DECAP_PASS_OTHER_MAC: 2,
  DECAP_PASS_SOURCE: 3,
  DECAP_PASS_NOT_VIP: 4,
  DECAP_PASS_OPTIONS: 5,
  DECAP_DROP_FRAGMENT: 6,
  DECAP_DROP_MALFORMED: 7,
  DECAP_DROP_CHECKSUM: 8,
  DECAP_DROP_GUE: 9,
  DECAP_DROP_INNER: 10,
  DECAP_DROP_ECN: 11,
  DECAP_DROP_INTERNAL: 12,
  DECAP_STRIPPED_4IN4: 13,
  DECAP_STRIPPED_4IN6: 14,
  DECAP_STRIPPED_6IN4: 15,
  DECAP_STRIPPED_6IN6: 16,
  DECAP_STRIPPED_GUE4: 17,
  DECAP_STRIPPED_GUE6: 18,
  DECAP_REASON_COUNT: 19,
} as const;

export const DecapEvent = {
  DECAP_EVENT_MAPPED_IN: 0,
  DECAP_EVENT_MAPPED_OUT: 1,
  DECAP_EVENT_MAPPED_ICMP_IN: 2,
  DECAP_EVENT_MAPPED_ICMP_OUT: 3,
  DECAP_EVENT_MAPPED_LATER_IN: 4,
  DECAP_EVENT_MAPPED_LATER_OUT: 5,
  DECAP_EVENT_EXEMPT_IN: 6,
  DECAP_EVENT_EXEMPT_OUT: 7,
  DECAP_EVENT_MSS_CLAMPED: 8,
  DECAP_EVENT_DROPPED_OUT: 9,
  DECAP_EVENT_COUNT: 10,
} as const;

export const DecapClamp = {
  DECAP_CLAMP_OFF: 0,
  DECAP_CLAMP_AUTO: 1,
  DECAP_CLAMP_FIXED: 2,
} as const;

export const DecapVipFlags = {
  DECAP_VIP_COUNTED: 1,
  DECAP_VIP_MAPPED: 2,
  DECAP_VIP_HOST: 4,
} as const;
