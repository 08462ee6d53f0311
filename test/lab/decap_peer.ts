/**
 * The two ends of a transfer. `serve ADDRESS PORT`: takes what comes until FIN, answers with its SHA-256 and as many
 * bytes as it got; echoes datagrams. `transfer ADDRESS PORT BYTES`: sends so many, checks what comes back; prints JSON.
 * `ask ADDRESS PORT BYTES`: one datagram. `beat ADDRESS PORT`: a datagram each millisecond until stdin ends.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const digestBytes = 32;

export interface Transfer {
  /** Null: whole and right both ways. */
  readonly error: string | null;
  readonly elapsedMs: number;
}

export interface Answer {
  /** Null: the echo came back as it was sent. */
  readonly error: string | null;
}

export interface Beats {
  readonly sent: number;
  readonly lost: number;
}

function serve(host: string, port: number): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('end', () => {
      const body = Buffer.concat(received);
      socket.end(Buffer.concat([createHash('sha256').update(body).digest(), body]));
    });
    socket.on('error', () => socket.destroy());
  }).listen({ port, host, ipv6Only: false }, () => process.stdout.write('ready\n'));
  const echo = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  echo.on('message', (message, from) => echo.send(message, from.port, from.address)).bind(port, host);
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Null: what came back is what was sent. */
function transfer({ host, port }: Target, bytes: number): Promise<string | null> {
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

function ask({ host, port }: Target, bytes: number): Promise<string | null> {
  const sent = randomBytes(bytes);
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    const end = (error: string | null) => {
      clearTimeout(patience);
      socket.close();
      resolve(error);
    };
    const patience = setTimeout(() => end('no answer in time'), 3000);
    socket.on('message', (message) => end(message.equals(sent) ? null : 'bytes differ'));
    socket.on('error', (error) => end(error.message));
    // Connected, so that what an ICMP error says of it is told, and answers of others are not taken.
    socket.connect(port, host, () => socket.send(sent));
  });
}

function print(result: Transfer | Answer | Beats): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

function beat({ host, port }: Target): void {
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
      print({ sent, lost: missing.size });
    }
  }, 1);
}

const [role, host = '', port = '0', bytes = '0'] = process.argv.slice(2);
const target: Target = { host, port: Number(port) };
const startedMs = performance.now();
if (role === 'serve') serve(target.host, target.port);
else if (role === 'beat') beat(target);
else if (role === 'ask') print({ error: await ask(target, Number(bytes)) });
else print({ error: await transfer(target, Number(bytes)), elapsedMs: performance.now() - startedMs });
