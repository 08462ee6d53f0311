/** What leaves towards a backend: bpf/encap.h is what this is compared with. */
import { type Backend, BackendFlags, Forwarding, Reason } from '../../../src/abi/abi.generated.js';
import { internetChecksum } from '../checksum.js';
import type { Parsed } from './parse.js';

/** The frame that leaves, or the reason why none can. */
export function forwardFrame(frame: Buffer, packet: Parsed, backend: Backend, tag: bigint): Buffer | number {
  switch (backend.forwarding) {
    case Forwarding.FORWARD_L2_DSR:
      if (backend.flags & BackendFlags.BACKEND_STEERED && packet.ipBytes > backend.mtu) return Reason.DROP_TOO_BIG;
      return Buffer.concat([backend.nextHop, frame.subarray(0, 6), frame.subarray(12)]);
    case Forwarding.FORWARD_IPIP4:
      return tunnelled(frame, packet, backend, 0x0800, outer4(packet, backend, { protocol: packet.v6 ? 41 : 4 }));
    case Forwarding.FORWARD_IPIP6:
      return tunnelled(frame, packet, backend, 0x86dd, outer6(packet, backend, { tag, next: packet.v6 ? 41 : 4 }));
    case Forwarding.FORWARD_GUE4: {
      const udp = udpHeader(packet, backend, tag);
      const ip = outer4(packet, backend, { protocol: 17, more: udp.length });
      return tunnelled(frame, packet, backend, 0x0800, Buffer.concat([ip, udp]));
    }
    case Forwarding.FORWARD_GUE6: {
      const udp = udpHeader(packet, backend, tag);
      const ip = outer6(packet, backend, { tag, next: 17, more: udp.length });
      return tunnelled(frame, packet, backend, 0x86dd, Buffer.concat([ip, udp]));
    }
    default:
      return Reason.DROP_INTERNAL;
  }
}

function tunnelled(frame: Buffer, packet: Parsed, backend: Backend, type: number, outer: Buffer): Buffer | number {
  if (packet.ipBytes + outer.length > backend.mtu) return Reason.DROP_TOO_BIG;
  const tags = frame.subarray(12, packet.ipAt - 2);
  const typeBytes = Uint8Array.of(type >> 8, type & 0xff);
  return Buffer.concat([backend.nextHop, frame.subarray(0, 6), tags, typeBytes, outer, frame.subarray(packet.ipAt)]);
}

function udpHeader(packet: Parsed, backend: Backend, tag: bigint): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(0xc000 + Number(tag % 0x4000n), 0);
  header.writeUInt16BE(backend.tunnelPort, 2);
  header.writeUInt16BE((packet.ipBytes + 8) & 0xffff, 4);
  return header;
}

function outer4(packet: Parsed, backend: Backend, { protocol, more = 0 }: { protocol: number; more?: number }): Buffer {
  const header = Buffer.from([0x45, packet.trafficClass, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
  header.writeUInt16BE((20 + more + packet.ipBytes) & 0xffff, 2);
  const addresses = Buffer.concat([backend.source.subarray(12), backend.address.subarray(12)]);
  header.writeUInt16BE(internetChecksum(header, addresses), 10);
  return Buffer.concat([header, addresses]);
}

function outer6(
  packet: Parsed,
  backend: Backend,
  { tag, next, more = 0 }: { tag: bigint; next: number; more?: number },
): Buffer {
  const header = Buffer.alloc(8);
  const flowLabel = Number(tag % (1n << 20n));
  header.writeUInt32BE(0x6000_0000 + packet.trafficClass * 2 ** 20 + flowLabel, 0);
  header.writeUInt16BE((packet.ipBytes + more) & 0xffff, 4);
  header[6] = next;
  header[7] = 64;
  return Buffer.concat([header, backend.source, backend.address]);
}
