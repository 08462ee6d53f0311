import * as abi from '../abi/abi.generated.js';
import { aesTables, decipherKeys } from '../compile/aes.js';
import type { TableOp } from '../compile/ops.js';
import { type QuicRoutingRow, type QuicServerRow, quicServerKeyText } from '../compile/quic.js';
import type { Tables } from '../compile/tables.js';
import type { BpfMap } from './addon.js';

export interface QuicMapSet {
  readonly quic_routes: BpfMap;
  readonly quic_servers: BpfMap;
  readonly aes: BpfMap;
}

type QuicOp = Extract<
  TableOp,
  { op: 'write-quic-routing' | 'clear-quic-routing' | 'add-quic-server' | 'remove-quic-server' }
>;

type QuicConfig = QuicRoutingRow['configs'][number];

const SERVER_ID_BYTES = 15;
const numberKey = (id: number): Uint8Array => new Uint8Array(Uint32Array.of(id).buffer);
const noKeys = Array.from({ length: 44 }, () => 0);

/** The maps by which QUIC connection ids are read. */
export class QuicMaps {
  constructor(private readonly maps: QuicMapSet) {}

  read(): Pick<Tables, 'quicRoutings' | 'quicServers'> {
    return { quicRoutings: this.#readRoutings(), quicServers: this.#readServers() };
  }

  #readRoutings(): Map<number, QuicRoutingRow> {
    const count = this.maps.quic_routes.info.maxEntries;
    const bytes = this.maps.quic_routes.readRange(0, count);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const rows = new Map<number, QuicRoutingRow>();
    for (let id = 0; id < count; id++) {
      const recipe = view.getBigUint64(id * abi.quicRoutingSize + abi.quicRoutingOffset.recipe, true);
      if (recipe !== 0n) rows.set(id, { recipe, configs: [] });
    }
    return rows;
  }

  #readServers(): Map<string, QuicServerRow> {
    const { count, keys, values } = this.maps.quic_servers.entries();
    const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
    const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
    const rows = new Map<string, QuicServerRow>();
    for (let i = 0; i < count; i++) {
      const { id, idBytes, pool } = abi.readQuicServerKey(keyView, i * abi.quicServerKeySize);
      const { backend } = abi.readQuicServer(valueView, i * abi.quicServerSize);
      const row = { pool, serverId: id.subarray(0, idBytes), backend };
      rows.set(quicServerKeyText(row), row);
    }
    return rows;
  }

  perform(op: QuicOp): void {
    switch (op.op) {
      case 'write-quic-routing':
        // The same for every key, and written before the first of them.
        this.maps.aes.update(numberKey(0), aesTables());
        this.maps.quic_routes.update(numberKey(op.id), routingBytes(op.row));
        break;
      case 'clear-quic-routing':
        this.maps.quic_routes.update(numberKey(op.id), new Uint8Array(abi.quicRoutingSize));
        break;
      case 'add-quic-server':
        this.maps.quic_servers.update(serverKey(op.row), numberKey(op.row.backend));
        break;
      case 'remove-quic-server':
        this.maps.quic_servers.delete(serverKey(op.row));
        break;
    }
  }
}

function serverKey({ pool, serverId }: QuicServerRow): Uint8Array {
  const bytes = new Uint8Array(abi.quicServerKeySize);
  const id = new Uint8Array(SERVER_ID_BYTES);
  id.set(serverId);
  abi.writeQuicServerKey(new DataView(bytes.buffer), 0, { pool, id, idBytes: serverId.length });
  return bytes;
}

function routingBytes({ recipe, configs }: QuicRoutingRow): Uint8Array {
  const bytes = new Uint8Array(abi.quicRoutingSize);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(abi.quicRoutingOffset.recipe, recipe, true);
  for (const config of configs) {
    const at = abi.quicRoutingOffset.configs + config.id * abi.quicConfigSize;
    abi.writeQuicConfig(view, at, configRow(config));
  }
  return bytes;
}

function configRow({ serverIdLength, nonceLength, key }: QuicConfig): abi.QuicConfig {
  return {
    serverIdBytes: serverIdLength,
    nonceBytes: nonceLength,
    encrypted: key ? 1 : 0,
    roundKeys: key ? decipherKeys(key) : noKeys,
  };
}
