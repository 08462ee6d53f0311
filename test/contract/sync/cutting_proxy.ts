import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** TCP in between that breaks off connections after so many bytes of the answer, as often as told. */
export async function cuttingProxy(target: { port: number }, { bytes, times }: { bytes: number; times: number }) {
  let left = times;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target.port, '127.0.0.1');
    let passed = 0;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (data) => {
      passed += data.length;
      client.write(data);
      if (passed < bytes || left === 0) return;
      left--;
      upstream.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cuts: () => times - left,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
