import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';

export interface MirrorOptions {
  readonly address: string;
  readonly port: number;
  readonly bytes: number;
}

export interface MirrorAnswer {
  readonly backend: string;
  readonly received: number;
  /** What came back is what was sent, byte by byte. */
  readonly same: boolean;
}

/** Sends random bytes, and gets them back over the same connection. */
export function mirror({ address, port, bytes }: MirrorOptions): Promise<MirrorAnswer> {
  const sent = randomBytes(bytes);
  const headers = { 'content-length': bytes };
  return new Promise((resolve, reject) => {
    const post = request(
      { host: address, port, method: 'POST', path: '/mirror', agent: false, headers },
      (response) => {
        const hash = createHash('sha256');
        let received = 0;
        response.on('data', (data: Buffer) => {
          hash.update(data);
          received += data.length;
        });
        response.on('error', reject);
        response.on('end', () => {
          const same = hash.digest('hex') === createHash('sha256').update(sent).digest('hex');
          resolve({ backend: String(response.headers['x-backend']), received, same });
        });
      },
    );
    post.on('error', reject);
    post.end(sent);
  });
}
