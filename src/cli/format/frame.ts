import { formatEndpoint } from '../names.js';

const TCP_FLAGS = ['F', 'S', 'R', 'P', 'A', 'U'] as const;
const icmpNames: Readonly<Record<string, string>> = {
  '4/0': 'echo reply',
  '4/3': 'unreachable',
  '4/8': 'echo request',
  '4/11': 'time exceeded',
  '4/12': 'parameter problem',
  '6/1': 'unreachable',
  '6/2': 'too big',
  '6/3': 'time exceeded',
  '6/4': 'parameter problem',
  '6/128': 'echo request',
  '6/129': 'echo reply',
};

/** The first bytes of an Ethernet frame in a line: "TCP 198.51.100.7:40000 > 192.0.2.10:80 [S]". Never throws. */
export function describeFrame(frame: Uint8Array): string {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 12;
  const tags: string[] = [];
  while (bytes.length >= at + 6 && [0x8100, 0x88a8].includes(bytes.readUInt16BE(at)) && tags.length < 2) {
    tags.push(`vlan ${bytes.readUInt16BE(at + 2) & 0xfff} `);
    at += 4;
  }
  const type = bytes.length >= at + 2 ? bytes.readUInt16BE(at) : 0;
  const said = type === 0x0800 ? describeIp4(bytes, at + 2) : type === 0x86dd ? describeIp6(bytes, at + 2) : null;
  return `${tags.join('')}${said ?? `Ethernet type 0x${type.toString(16).padStart(4, '0')}`}`;
}

function describeIp4(bytes: Buffer, at: number): string | null {
  if (bytes.length < at + 20) return null;
  const header = (bytes[at]! & 15) * 4;
  const address = (from: number): string => [...bytes.subarray(at + from, at + from + 4)].join('.');
  const fragment = bytes.readUInt16BE(at + 6) & 0x3fff;
  const ends = [address(12), address(16)] as const;
  const rest = { protocol: bytes[at + 9]!, at: at + header, family: 4 } as const;
  if ((fragment & 0x1fff) !== 0) return `IPv4 ${ends[0]} > ${ends[1]} fragment at ${(fragment & 0x1fff) * 8}`;
  return `${describeTransport(bytes, rest, ends)}${fragment === 0 ? '' : ' first fragment'}`;
}

function describeIp6(bytes: Buffer, at: number): string | null {
  if (bytes.length < at + 40) return null;
  const address = (from: number): string => ip6Text(bytes.subarray(at + from, at + from + 16));
  const ends = [address(8), address(24)] as const;
  let protocol = bytes[at + 6]!;
  let next = at + 40;
  for (let i = 0; i < 8 && [0, 43, 44, 51, 60].includes(protocol) && bytes.length >= next + 8; i++) {
    if (protocol === 44 && (bytes.readUInt16BE(next + 2) & 0xfff8) !== 0) {
      return `IPv6 ${ends[0]} > ${ends[1]} fragment at ${bytes.readUInt16BE(next + 2) & 0xfff8}`;
    }
    const length = protocol === 44 ? 8 : protocol === 51 ? (bytes[next + 1]! + 2) * 4 : (bytes[next + 1]! + 1) * 8;
    protocol = bytes[next]!;
    next += length;
  }
  return describeTransport(bytes, { protocol, at: next, family: 6 }, ends);
}

function describeTransport(
  bytes: Buffer,
  { protocol, at, family }: { protocol: number; at: number; family: 4 | 6 },
  [from, to]: readonly [string, string],
): string {
  const ports = bytes.length >= at + 4 ? ([bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)] as const) : null;
  const flow = ports ? `${formatEndpoint(from, ports[0])} > ${formatEndpoint(to, ports[1])}` : `${from} > ${to}`;
  if (protocol === 6) {
    const flags = bytes.length > at + 13 ? bytes[at + 13]! : 0;
    return `TCP ${flow} [${TCP_FLAGS.filter((_, bit) => flags & (1 << bit)).join('')}]`;
  }
  if (protocol === 17) return `UDP ${flow}`;
  if (protocol === (family === 4 ? 1 : 58)) {
    const type = bytes.length > at ? (icmpNames[`${family}/${bytes[at]}`] ?? `type ${bytes[at]}`) : '';
    return `ICMP${family === 6 ? 'v6' : ''} ${from} > ${to} ${type}`.trimEnd();
  }
  return `IPv${family} ${from} > ${to} protocol ${protocol}`;
}

/** RFC 5952. */
function ip6Text(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!);
  let best = { from: 0, length: 0 };
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && words[from + length] === 0) length++;
    if (length > best.length) best = { from, length };
  }
  const text = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  if (best.length < 2) return text(words);
  return `${text(words.slice(0, best.from))}::${text(words.slice(best.from + best.length))}`;
}
