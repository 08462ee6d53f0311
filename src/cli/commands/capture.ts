import { closeSync, openSync, writeSync } from 'node:fs';
import type { Input, messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import { interfaceBlock, packetBlock, sectionBlock } from '../format/pcapng.js';
import { duration, integer } from '../globals.js';
import { parseWord } from '../names.js';
import { captureComment, formatCaptured } from '../views/capture.js';
import { clientVersion } from './version.js';

interface Options {
  readonly client?: string;
  readonly clientPort?: number;
  readonly vip?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly reason?: string;
  readonly drops?: boolean;
  readonly write?: string;
  readonly count?: number;
  readonly duration?: number;
  readonly snapLength?: number;
  readonly rate?: number;
}

const port = integer({ min: 1, max: 65_535 });
const defaultSnapLength = 256;

export const registerCapture: Register = (program, io) => {
  const command = program
    .command('capture')
    .summary('packets at the VIPs, as they came in, with what became of each')
    .description(
      'Shows packets at the VIPs as they came in, with verdict, reason and backend; or writes them as pcapng, where ' +
        'Wireshark shows these as comments. All filters that are given must match. What is above the rate is counted. ' +
        'While nobody captures, it costs the data path nothing.',
    )
    .option('--client <prefix>', 'from this client: an address, or a prefix such as 198.51.100.0/24')
    .option('--client-port <number>', 'from this port', port)
    .option('--vip <address>', 'to this VIP')
    .option('--port <number>', 'to this port of the VIP', port)
    .option('--protocol <name>', 'tcp or udp')
    .option('--reason <word>', 'that ended by this reason: see "spillway drops --zero"')
    .option('--drops', 'that were dropped')
    .option('-w, --write <file>', 'as pcapng; "-" is standard output')
    .option('-c, --count <n>', 'at most so many', integer({ min: 1, max: 1e12 }))
    .option('-d, --duration <duration>', 'for so long', duration)
    .option(
      '--snap-length <bytes>',
      `bytes of each frame, 64 to 1518 (default: ${defaultSnapLength})`,
      integer({ min: 64, max: 1518 }),
    )
    .option('--rate <n>', 'packets a second and CPU (default: 1000)', integer({ min: 1, max: 1e6 }))
    .action(action<Options>(io, capture));
  examples(command, [
    'spillway capture --client 198.51.100.7 --count 20',
    'spillway capture --drops --duration 30s -w drops.pcapng',
    'spillway capture --vip 192.0.2.10 --port 443 -w - | wireshark -k -i -',
    'spillway capture --reason too_big --json',
  ]);
};

async function capture(context: Context, options: Options): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const sink = await sinkOf(context, options);
  const agent = await context.agent();
  let packets = 0;
  let suppressed = 0n;
  try {
    for await (const answer of agent.capture.capture(requestOf(options), { signal: stop.signal })) {
      if (answer.interfaces.length > 0) await sink.begin(answer.interfaces);
      for (const packet of answer.packets) await sink.packet(packet);
      packets += answer.packets.length;
      suppressed += answer.suppressed;
    }
  } catch (error) {
    throw await context.describe(error);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    sink.end();
  }
  const more = suppressed === 0n ? '' : `, ${suppressed} more above the rate (--rate) or too fast for this reader`;
  context.note(`${packets} packets captured${more}`);
}

function requestOf(options: Options): Input<messages.CaptureRequest> {
  const { client, clientPort, vip, port: vipPort, protocol, reason, drops } = options;
  return {
    filter: {
      ...(client === undefined ? {} : { client }),
      ...(clientPort === undefined ? {} : { clientPort }),
      ...(vip === undefined ? {} : { vip }),
      ...(vipPort === undefined ? {} : { vipPort }),
      ...(protocol === undefined ? {} : { protocol: parseWord('protocol', protocol, ['TCP', 'UDP']) }),
      ...(reason === undefined ? {} : { reason }),
      dropsOnly: drops ?? false,
    },
    count: BigInt(options.count ?? 0),
    duration:
      options.duration === undefined
        ? null
        : { seconds: BigInt(Math.floor(options.duration / 1000)), nanos: (options.duration % 1000) * 1e6 },
    snapLength: options.snapLength ?? 0,
    rate: options.rate ?? 0,
  };
}

interface Sink {
  begin(interfaces: readonly messages.CaptureInterface[]): Promise<void>;
  packet(packet: messages.CapturedPacket): Promise<void>;
  end(): void;
}

async function sinkOf(context: Context, options: Options): Promise<Sink> {
  if (options.write !== undefined) return pcapngSink(context, options.write, options.snapLength ?? defaultSnapLength);
  const toJson = context.json ? await jsonOf('spillway.v1.CapturedPacket') : null;
  let names = new Map<number, string>();
  return {
    begin: async (interfaces) => {
      names = new Map(interfaces.map(({ index, name }) => [index, name]));
    },
    packet: async (packet) => {
      const line = toJson
        ? JSON.stringify(toJson(packet))
        : formatCaptured(packet, { interfaceName: names.get(packet.interfaceIndex) ?? '', paint: context.io.paint });
      await context.print(`${line}\n`);
    },
    end: () => {},
  };
}

/** Written at once, block by block: what is there when the process is killed is a whole file. */
function pcapngSink(context: Context, path: string, snapLength: number): Sink {
  const file = path === '-' ? null : open(path);
  const put = async (bytes: Buffer): Promise<void> => {
    if (file !== null) writeSync(file, bytes);
    else if (!context.io.stdout.write(bytes)) await new Promise((resolve) => context.io.stdout.once('drain', resolve));
  };
  const places = new Map<number, number>();
  const place = async (index: number, name: string): Promise<number> => {
    const number = places.size;
    places.set(index, number);
    await put(interfaceBlock(name, snapLength));
    return number;
  };
  return {
    begin: async (interfaces) => {
      await put(sectionBlock(`spillway ${clientVersion()}`));
      for (const { index, name } of interfaces) await place(index, name);
    },
    packet: async (packet) => {
      const { at, interfaceIndex, data, originalLength } = packet;
      const number = places.get(interfaceIndex) ?? (await place(interfaceIndex, `interface ${interfaceIndex}`));
      const atNs = at === null ? 0n : at.seconds * 1_000_000_000n + BigInt(at.nanos);
      await put(packetBlock({ atNs, interface: number, data, originalLength, comment: captureComment(packet) }));
    },
    end: () => {
      if (file !== null) closeSync(file);
    },
  };
}

function open(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (error) {
    throw new CommandError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
