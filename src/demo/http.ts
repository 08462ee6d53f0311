import { type IncomingMessage, request } from 'node:http';

export interface Answer {
  readonly backend: string;
  readonly seenFrom: string;
}

const timeoutMs = 2000;

/** A GET over a TCP connection of its own, read to its end. @throws Error saying what went wrong where. */
export function get(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(inWords(url, error));
    const call = request(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      response.once('error', fail);
      response.once('end', () => {
        if (response.statusCode !== 200) fail(new Error(`status ${response.statusCode}`));
        else resolve({ backend: header(response, 'x-backend'), seenFrom: header(response, 'x-client') });
      });
    });
    call.once('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    call.on('error', fail);
    call.end();
  });
}

export function header(response: IncomingMessage, name: string): string {
  return String(response.headers[name] ?? '');
}

export function inWords(url: string, error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  return new Error(`${url}: ${code ?? error.message}`);
}
