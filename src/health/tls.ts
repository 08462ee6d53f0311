import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { connect, createSecureContext } from 'node:tls';
import type { Clock, ProbeReply, TlsPort } from './ports.js';

/** For the backend's close_notify and FIN after ours. */
const closeWithinMs = 1000;

/**
 * TLS on a connected descriptor by node:tls. A health check asks whether the backend serves, not who it is: no
 * certificate is verified and old protocol versions are spoken. A handshake costs about a millisecond of the main
 * thread: several hundred HTTPS checks a second are the most that one agent should be given.
 */
export function nodeTls(clock: Clock): TlsPort {
  const secureContext = createSecureContext({ minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
  return {
    discard: closeSync,
    exchange(fd, request, done) {
      const transport = new Socket({ fd, readable: true, writable: true });
      const socket = connect({
        socket: transport,
        secureContext,
        rejectUnauthorized: false,
        ...(request.serverName === null ? {} : { servername: request.serverName }),
      });
      const chunks: Buffer[] = [];
      let over = false;
      const destroy = (): void => {
        socket.destroy();
        transport.destroy();
      };
      const finish = (reply: ProbeReply): void => {
        if (over) return;
        over = true;
        disarm();
        if (reply.error === null) {
          // A FIN and not a reset, which servers would log at each check; what still comes is read and thrown away.
          socket.end();
          const disarmClose = clock.after(closeWithinMs, destroy);
          socket.once('close', disarmClose);
        } else destroy();
        done(reply);
      };
      const disarm = clock.after(request.timeoutMs, () => finish({ error: 'ETIMEDOUT', data: null }));
      const fail = (error: NodeJS.ErrnoException): void => finish({ error: error.code ?? 'EPROTO', data: null });
      socket.on('error', fail);
      transport.on('error', fail);
      socket.on('data', (chunk: Buffer) => {
        if (over) return;
        chunks.push(chunk);
        const data = Buffer.concat(chunks);
        if (data.length >= request.receive || data.includes(request.until)) finish({ error: null, data });
      });
      socket.on('end', () => finish({ error: null, data: Buffer.concat(chunks) }));
      socket.on('close', () => finish({ error: 'ECONNRESET', data: null }));
      socket.write(request.send);
      return () => {
        over = true;
        disarm();
        destroy();
      };
    },
  };
}
