/** The backend that a QUIC connection id names: bpf/quic.h and bpf/aes.h are what this is compared with. */
import { createDecipheriv } from 'node:crypto';
import type { QuicConfig } from '../../../src/config/desired.js';
import type { Control } from './control.js';
import type { Parsed } from './parse.js';

const UDP_HEADER = 8;
const MOST_BYTES = 20;

export class QuicModel {
  constructor(private readonly world: { readonly control: Control }) {}

  /** By the packet's id; null: it names nobody. */
  backendOf(frame: Buffer, packet: Parsed, service: number): number | null {
    const id = destinationId(frame.subarray(packet.l4At + UDP_HEADER, packet.ipAt + packet.ipBytes));
    const { pool, quic } = this.world.control.services[service]!;
    const config = this.world.control.quicConfigs.get(quic)?.find((one) => one.id === (id[0] ?? 255) >> 5);
    if (!config) return null;
    const { serverIdLength, nonceLength } = config;
    const block = id.subarray(1, 1 + serverIdLength + nonceLength);
    if (block.length < serverIdLength + nonceLength) return null;
    const serverId = plain(block, config).toString('hex', 0, serverIdLength);
    return this.world.control.quicServers.get(`${pool}/${serverId}`) ?? null;
  }
}

/** Of a short header, whatever follows its first byte. */
function destinationId(datagram: Buffer): Buffer {
  if (datagram.length === 0) return datagram;
  if (datagram[0]! < 0x80) return datagram.subarray(1, 1 + MOST_BYTES);
  if (datagram.length < 6) return datagram.subarray(0, 0);
  return datagram.subarray(6, 6 + Math.min(datagram[5]!, MOST_BYTES));
}

function plain(block: Buffer, { key }: QuicConfig): Buffer {
  if (!key) return block;
  const cipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}
