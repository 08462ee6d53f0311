import { connect } from 'node:net';
import type { Hello } from './backend.js';

export interface RequestOptions {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs?: number;
}

export interface Answer {
  /** Empty: the whole answer came. Else what went wrong: "ECONNRESET", "timeout after 10000 ms while connecting"... */
  readonly error: string;
  readonly hello: Hello | null;
  readonly localPort: number;
  readonly tookMs: number;
}

const question = 'GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n';

/** One request over a new connection. Never rejects. */
export function request({ address, port, timeoutMs = 10_000 }: RequestOptions): Promise<Answer> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const socket = connect({ host: address, port });
    let localPort = 0;
    let phase = 'connecting';
    let text = '';
    const end = (error: string, hello: Hello | null = null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ error, hello, localPort, tookMs: performance.now() - startedMs });
    };
    const timer = setTimeout(() => end(`timeout after ${timeoutMs} ms while ${phase}`), timeoutMs);
    socket.once('connect', () => {
      localPort = socket.localPort ?? 0;
      phase = 'waiting for the answer';
      socket.write(question);
    });
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => end(`${error.code ?? error.message} while ${phase}`));
    socket.once('end', () => {
      const hello = helloOf(text);
      end(hello === null ? `answer cut off or wrong: ${JSON.stringify(text.slice(0, 60))}` : '', hello);
    });
  });
}

function helloOf(text: string): Hello | null {
  const at = text.indexOf('\r\n\r\n');
  if (at < 0 || !text.startsWith('HTTP/1.1 200 ')) return null;
  const body = text.slice(at + 4);
  const length = /content-length: (\d+)/i.exec(text)?.[1];
  return body.length === Number(length) ? (JSON.parse(body) as Hello) : null;
}
