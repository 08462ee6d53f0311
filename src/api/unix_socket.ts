import { lstat, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { UnavailableError } from '../base/errors.js';

/**
 * Makes way for a socket at `path`: its folder is there (0755), and a file left by a killed agent is removed.
 * @throws UnavailableError when an agent listens there, or the file is no socket.
 */
export async function prepareSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const there = await lstat(path).catch(() => null);
  if (there === null) return;
  if (!there.isSocket()) throw new UnavailableError(`${path} is there and no socket: remove it, or set listen.unix`);
  if (await hasListener(path)) {
    throw new UnavailableError(`another agent listens on ${path}: stop it, or set listen.unix to another path`);
  }
  await rm(path, { force: true });
}

/** Does an agent answer there? */
export function hasListener(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ECONNREFUSED: nobody holds the socket. Anything else (EAGAIN: its queue is full) is somebody.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}
