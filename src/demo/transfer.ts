import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Comparison, stream } from './bytes.js';
import { header, inWords } from './http.js';
import type { DownloadParams, TransferResult, UploadParams } from './tasks.js';

const maxTries = 200;
/** A stalled transfer ends after this long without a byte. */
const idleMs = 5000;

/**
 * What breaks off on the way is in the result, not thrown.
 * @param onStarted is told the backend as soon as it answers.
 */
export async function download(params: DownloadParams, onStarted: (backend: string) => void): Promise<TransferResult> {
  const startedAt = performance.now();
  const response = await openDownload(params);
  const backend = header(response, 'x-backend');
  onStarted(backend);
  const comparison = new Comparison(params.seed);
  let error: string | null = null;
  try {
    for await (const chunk of response) comparison.take(chunk as Buffer);
  } catch (cause) {
    error = inWords(params.url, cause as Error).message;
  }
  const { bytes, differsAt } = comparison;
  return { backend, bytes, differsAt, error, tookMs: performance.now() - startedAt };
}

/** Who answers is the load balancers' choice for each connection: another connection, another choice. */
async function openDownload({ url, size, seed, pace, backend }: DownloadParams): Promise<IncomingMessage> {
  for (let tries = 0; tries < maxTries; tries++) {
    const call = request(`${url}bytes?size=${size}&seed=${seed}&pace=${pace ?? 0}`, { agent: false, timeout: idleMs });
    call.once('timeout', () => call.destroy(new Error(`stalled for ${idleMs / 1000} s`)));
    call.end();
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    call.on('error', () => {});
    if (backend === null || header(response, 'x-backend') === backend) return response;
    response.on('error', () => {});
    response.destroy();
  }
  throw new Error(`${url}: ${backend} answered none of ${maxTries} connections`);
}

/** The backend compares; what breaks off on the way is thrown. */
export async function upload({ url, size, seed }: UploadParams): Promise<TransferResult> {
  const startedAt = performance.now();
  const call = request(`${url}bytes?seed=${seed}`, {
    agent: false,
    method: 'POST',
    timeout: idleMs,
    headers: { 'content-length': size },
  });
  call.once('timeout', () => call.destroy(new Error(`stalled for ${idleMs / 1000} s`)));
  const answered = once(call, 'response') as Promise<[IncomingMessage]>;
  const sent = pipeline(Readable.from(stream(size, { seed, pace: null }), { objectMode: false }), call);
  const [[response]] = await Promise.all([answered, sent]);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const { bytes, differsAt } = JSON.parse(Buffer.concat(chunks).toString()) as {
    bytes: number;
    differsAt: number | null;
  };
  return {
    backend: header(response, 'x-backend'),
    bytes,
    differsAt,
    error: null,
    tookMs: performance.now() - startedAt,
  };
}
