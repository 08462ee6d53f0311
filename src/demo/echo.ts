import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { Tally } from './tally.js';
import type { EchoParams, EchoResult } from './tasks.js';

const timeoutMs = 2000;
const concurrency = 32;

/** Each datagram comes from a port of its own, so each is a session of its own. */
export async function echo({ addresses, port, each }: EchoParams): Promise<EchoResult> {
  const tally = new Tally();
  const failures: string[] = [];
  const targets = addresses.flatMap((address) => Array.from({ length: each }, (_, i) => ({ address, i })));
  const next = targets.values();
  const worker = async (): Promise<void> => {
    for (const { address, i } of next) {
      const payload = Buffer.from(`datagram ${i} to ${address}`);
      await exchange(payload, { address, port }).then(
        (backend) => tally.add(address, backend),
        (error: Error) => failures.push(`${address} port ${port}: ${error.message}`),
      );
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return { answers: tally.counts, failures };
}

/** The name of the backend, which it writes behind the echo. */
function exchange(payload: Buffer, { address, port }: { address: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const end = (error: Error | null, backend = ''): void => {
      clearTimeout(timer);
      socket.close();
      if (error) reject(error);
      else resolve(backend);
    };
    const timer = setTimeout(() => end(new Error(`no echo within ${timeoutMs / 1000} s`)), timeoutMs);
    socket.once('error', end);
    socket.once('message', (reply, from) => {
      const same = reply.subarray(0, payload.length).equals(payload) && from.address === address && from.port === port;
      end(same ? null : new Error('another echo than what was sent'), reply.subarray(payload.length + 1).toString());
    });
    socket.send(payload, port, address, (error) => {
      if (error) end(error);
    });
  });
}
