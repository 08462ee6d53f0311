/**
 * A backend of the health tests, in its namespace: strips IPIP, serves HTTP and UDP on the VIPs with an answer that
 * only this backend gives. "stop" and "start" on standard input close and open its servers; says "up" or "down".
 *
 * Options: BackendOptions.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { decapConfigSize } from '../../src/abi/abi.generated.js';
import { parseMac } from '../../src/base/ip.js';
import { BpfObject, interfaceIndex } from '../../src/dataplane/addon.js';
import { readOptions } from './health_host.js';

export interface BackendOptions {
  readonly mac: string;
  readonly vips: readonly string[];
  readonly httpPort: number;
  readonly udpPort: number;
  readonly status: number;
}

const options = readOptions<BackendOptions>();

/** struct decap_config: own MAC, no lists. */
function stripIpip(): void {
  const config = Buffer.alloc(decapConfigSize);
  config.set(parseMac(options.mac)!, 0);
  const path = fileURLToPath(new URL('../../bpf/decap.bpf.o', import.meta.url));
  const link = BpfObject.load(path, { rodata: { config } })
    .program('decap')
    .attachXdp(interfaceIndex('eth0')!, 'native');
  process.once('exit', () => link.close());
}

let http: Server | null = null;
let sockets: Socket[] = [];

async function start(): Promise<void> {
  http = createServer((_request, response) => {
    response.statusCode = options.status;
    response.end();
  });
  http.listen(options.httpPort, '::');
  await once(http, 'listening');
  sockets = options.vips.map((vip) => createSocket(vip.includes(':') ? 'udp6' : 'udp4').bind(options.udpPort, vip));
  for (const socket of sockets) {
    socket.on('message', (_message, from) => socket.send(`${options.status}`, from.port, from.address));
  }
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  console.log('up');
}

function stop(): void {
  http?.close();
  http?.closeAllConnections();
  for (const socket of sockets) socket.close();
  console.log('down');
}

stripIpip();
await start();
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') stop();
  else await start();
}
process.exit();
