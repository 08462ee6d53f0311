/** The control maps as plain objects, read back from the kernel. */
import * as abi from '../../../src/abi/abi.generated.js';
import type { FlowKey } from '../../../src/compile/fingerprint.js';
import type { QuicConfig } from '../../../src/config/desired.js';
import type { BpfMap } from '../../../src/dataplane/addon.js';
import type { DataPath } from '../data_path.js';
import { bitsOf } from './admission.js';

export interface Control {
  /** Own MAC addresses, hex. */
  readonly macs: ReadonlySet<string>;
  readonly key: FlowKey;
  readonly filter: Uint8Array;
  /** Service by `vipText`. */
  readonly vips: ReadonlyMap<string, number>;
  readonly services: readonly abi.Service[];
  readonly pools: readonly abi.Pool[];
  /** Only those that a pool names. */
  readonly tables: ReadonlyMap<number, Uint16Array>;
  readonly backends: readonly abi.Backend[];
  /** What the agent knows of each backend's sessions. */
  readonly loads: readonly bigint[];
  readonly egresses: readonly abi.Egress[];
  /** In each tick. */
  readonly allowances: { readonly echoes: number; readonly errors: number; readonly fragments: number };
  /** By number; settings, and what the agent measured. */
  readonly limits: readonly abi.Limit[];
  /** By number of the list. */
  readonly access: ReadonlyMap<number, readonly ListedPrefix[]>;
  readonly sourceCells: number;
  /** QUIC configurations by their number: as the desired state has them. */
  readonly quicConfigs: ReadonlyMap<number, readonly QuicConfig[]>;
  /** Backend by pool and server id in hex: "3/0a0b". */
  readonly quicServers: ReadonlyMap<string, number>;
}

export interface ListedPrefix {
  readonly v6: boolean;
  /** As "0" and "1". */
  readonly prefix: string;
}

/** `address`: 16 bytes. */
export function vipText(address: Uint8Array, protocol: number, port: number): string {
  return `${Buffer.from(address).toString('hex')}/${protocol}/${port}`;
}

export function readControl(lb: DataPath): Control {
  const { maps } = lb;
  const settings = lb.settings.read();
  const pools = rows(maps.pools, abi.poolSize, abi.readPool);
  const named = new Set(pools.flatMap(({ table, previousTable }) => [table, previousTable]));
  return {
    macs: new Set(settings.macs.filter((mac) => mac !== 0n).map(macHex)),
    key: { words: settings.key, finish: settings.finishKey },
    filter: maps.vip_filter.lookup(new Uint8Array(4))!,
    vips: readVips(maps.vips),
    services: rows(maps.services, abi.serviceSize, abi.readService),
    pools,
    tables: new Map([...named].map((table) => [table, lb.control.readTable(table)])),
    backends: rows(maps.backends, abi.backendSize, abi.readBackend),
    loads: rows(maps.loads, abi.loadSize, (view, at) => view.getBigInt64(at + abi.loadOffset.known, true)),
    egresses: rows(maps.egresses, abi.egressSize, abi.readEgress),
    allowances: {
      echoes: settings.echoesPerTick,
      errors: settings.errorsPerTick,
      fragments: settings.fragmentsPerTick,
    },
    limits: rows(maps.limits, abi.limitSize, abi.readLimit),
    access: readAccess(maps.access),
    sourceCells: maps.sources.info.maxEntries,
    quicConfigs: new Map(
      [...(lb.compiled?.tables.quicRoutings ?? [])].map(([id, { configs }]): [number, readonly QuicConfig[]] => [
        id,
        configs,
      ]),
    ),
    quicServers: new Map([...lb.control.read().quicServers].map(([key, { backend }]) => [key, backend])),
  };
}

function macHex(bits: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(bits);
  return bytes.toString('hex', 0, 6);
}

function rows<Row>(map: BpfMap, size: number, read: (view: DataView, at: number) => Row): Row[] {
  const count = map.info.maxEntries;
  const bytes = map.readRange(0, count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, id) => read(view, id * size));
}

function readAccess(map: BpfMap): Map<number, ListedPrefix[]> {
  const { count, keys } = map.entries();
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const lists = new Map<number, ListedPrefix[]>();
  for (let i = 0; i < count; i++) {
    const { bits, list, v6, client } = abi.readAccessKey(view, i * abi.accessKeySize);
    const own = v6 ? { address: client, length: bits - 32 } : { address: client.subarray(12), length: bits - 128 };
    const prefix = bitsOf(own.address).slice(0, own.length);
    lists.set(list, [...(lists.get(list) ?? []), { v6: v6 === 1, prefix }]);
  }
  return lists;
}

function readVips(map: BpfMap): Map<string, number> {
  const { count, keys, values } = map.entries();
  const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const { address, protocol, port } = abi.readVipKey(keyView, i * abi.vipKeySize);
      return [vipText(address, protocol, port), valueView.getUint32(i * 4, true)] as const;
    }),
  );
}
