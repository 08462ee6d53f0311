/**
 * The two ends of a transfer. `serve`: on every address, port 8080, takes what comes until FIN, answers with its
 * SHA-256 and as many bytes as it got. `transfer ADDRESS BYTES`: sends so many, checks what comes back; prints JSON.
 * `beat ADDRESS`: a datagram each millisecond until stdin ends, each answered by the server; prints JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const port = 8080;
const digestBytes = 32;

export interface Transfer {
  /** Null: whole and right both ways. */
  readonly error: string | null;
  readonly elapsedMs: number;
}

export interface Beats {
  readonly sent: number;
  readonly lost: number;
}

function serve(): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('end', () => {
      const body = Buffer.concat(received);
      socket.end(Buffer.concat([createHash('sha256').update(body).digest(), body]));
    });
    socket.on('error', () => socket.destroy());
  }).listen({ port, host: '::', ipv6Only: false }, () => process.stdout.write('ready\n'));
  const echo = createSocket('udp6');
  echo.on('message', (message, from) => echo.send(message, from.port, from.address)).bind(port, '::');
}

/** Null: what came back is what was sent. */
function transfer(host: string, bytes: number): Promise<string | null> {
  const sent = randomBytes(bytes);
  const received: Buffer[] = [];
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(sent));
    const patience = setTimeout(() => end('no answer in time'), 3000 + bytes / 1000);
    const end = (error: string | null) => {
      clearTimeout(patience);
      socket.destroy();
      resolve(error);
    };
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', (error) => end(error.message));
    socket.on('end', () => {
      const all = Buffer.concat(received);
      const arrived = all.subarray(0, digestBytes).equals(createHash('sha256').update(sent).digest());
      end(arrived && all.subarray(digestBytes).equals(sent) ? null : 'bytes differ');
    });
  });
}

async function tell(host: string, bytes: number): Promise<void> {
  const startedMs = performance.now();
  const result: Transfer = { error: await transfer(host, bytes), elapsedMs: performance.now() - startedMs };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

function beat(host: string): void {
  const socket = createSocket('udp4');
  const missing = new Set<number>();
  let sent = 0;
  let wanted = true;
  let endMs = 0;
  socket.on('message', (message) => missing.delete(message.readUInt32BE(0)));
  process.stdin.resume().once('end', () => {
    wanted = false;
    endMs = performance.now() + 1000;
  });
  const timer = setInterval(() => {
    if (wanted) {
      const message = Buffer.alloc(64);
      message.writeUInt32BE(sent);
      missing.add(sent++);
      socket.send(message, port, host);
    } else if (missing.size === 0 || performance.now() > endMs) {
      clearInterval(timer);
      const result: Beats = { sent, lost: missing.size };
      process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
    }
  }, 1);
}

const [role, host = '', bytes = '0'] = process.argv.slice(2);
if (role === 'serve') serve();
else if (role === 'beat') beat(host);
else await tell(host, Number(bytes));
