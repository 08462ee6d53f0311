/**
 * The PCAP Next Generation format (draft-ietf-opsawg-pcapng), as much of it as captured Ethernet frames with comments
 * need. Numbers are little-endian; every block is padded to 32 bits.
 */
export interface PcapPacket {
  /** Since 1970. */
  readonly atNs: bigint;
  /** Number of an interface block, in the order in which they were written. */
  readonly interface: number;
  readonly data: Uint8Array;
  readonly originalLength: number;
  readonly comment: string;
}

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
const option = { end: 0, comment: 1, interfaceName: 2, timeResolution: 9, hardware: 2, system: 3, application: 4 };
/** 10^-9 s. */
const NANOSECONDS = 9;

/** The first block of a file. */
export function sectionBlock(application: string): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  body.writeUInt16LE(1, 4);
  body.writeBigInt64LE(-1n, 8);
  return block(SECTION, [body, ...options([option.application, Buffer.from(application)])]);
}

export function interfaceBlock(name: string, snapLength: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
  body.writeUInt32LE(snapLength, 4);
  const resolution = [option.timeResolution, Buffer.of(NANOSECONDS)] as const;
  return block(INTERFACE, [body, ...options([option.interfaceName, Buffer.from(name)], resolution)]);
}

export function packetBlock(packet: PcapPacket): Buffer {
  const body = Buffer.alloc(20);
  body.writeUInt32LE(packet.interface, 0);
  body.writeUInt32LE(Number(packet.atNs >> 32n), 4);
  body.writeUInt32LE(Number(packet.atNs & 0xffff_ffffn), 8);
  body.writeUInt32LE(packet.data.length, 12);
  body.writeUInt32LE(packet.originalLength, 16);
  const comment = packet.comment === '' ? [] : options([option.comment, Buffer.from(packet.comment)]);
  return block(ENHANCED_PACKET, [body, padded(packet.data), ...comment]);
}

function block(type: number, parts: readonly Uint8Array[]): Buffer {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(length, 0);
  return Buffer.concat([head, ...parts, tail]);
}

function options(...list: readonly (readonly [code: number, value: Uint8Array])[]): Uint8Array[] {
  const written = list.map(([code, value]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(code, 0);
    head.writeUInt16LE(value.length, 2);
    return Buffer.concat([head, padded(value)]);
  });
  return [...written, Buffer.alloc(4)];
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
