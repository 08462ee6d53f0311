import { createSocket } from 'node:dgram';

export interface DatagramOptions {
  readonly address: string;
  readonly port: number;
  /** Own address. */
  readonly from: string;
  /** Hex. */
  readonly payload: string;
  readonly withinMs: number;
}

export interface DatagramAnswer {
  readonly backend: string;
  readonly client: string;
  readonly localPort: number;
}

/** One datagram from a socket of its own, and who echoed it. */
export function datagram({ address, port, from, payload, withinMs }: DatagramOptions): Promise<DatagramAnswer> {
  const sent = Buffer.from(payload, 'hex');
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  return new Promise<DatagramAnswer>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${withinMs} ms`)), withinMs);
    socket.on('error', reject);
    socket.on('message', (message) => {
      clearTimeout(timer);
      const said = JSON.parse(message.subarray(sent.length).toString()) as { backend: string; client: string };
      resolve({ ...said, localPort: socket.address().port });
    });
    socket.bind(0, from, () => socket.send(sent, port, address));
  }).finally(() => socket.close());
}
