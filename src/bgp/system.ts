import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import type { Logger } from '../base/log.js';
import { type Clock, type NetlinkPort, systemClock } from '../netlink/port.js';

export interface BirdFiles {
  /** Null: no such file. */
  read(path: string): Promise<string | null>;
  /** Readable to `gid`, to nobody else: it has passwords. Not synced: after a crash of the machine it is not used again. */
  write(path: string, text: string, gid: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Group of a file; null: no such file. */
  gid(path: string): Promise<number | null>;
  /** The path itself where it leads nowhere. */
  resolve(path: string): Promise<string>;
}

export interface Started {
  readonly pid: number | undefined;
  /** Resolves with why, once: it could not be started, or ended. */
  readonly ended: Promise<string>;
}

export interface BirdProcesses {
  /** `bird -p`: null = good, else what it said. @throws when there is no such binary */
  check(binary: string, file: string): Promise<string | null>;
  /** In a session of its own, outliving this process; what it says before it logs by itself is appended to `output`. */
  start(binary: string, words: readonly string[], output: string): Started;
  makeFolder(path: string): void;
}

export interface AnnouncerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly wallMs: () => number;
  readonly files: BirdFiles;
  readonly processes: BirdProcesses;
  readonly connect: (path: string) => Socket;
  /** The addon's. */
  readonly NetlinkSocket: NetlinkPort;
}

export function systemDeps(given: Pick<AnnouncerDeps, 'log' | 'NetlinkSocket'>): AnnouncerDeps {
  return { ...given, clock: systemClock, wallMs: Date.now, files: nodeFiles, processes: nodeProcesses, connect };
}

const nodeFiles: BirdFiles = {
  read: (path) => readFile(path, 'utf8').catch(orWhenMissing(null)),
  async write(path, text, gid) {
    await rm(path, { force: true });
    const file = await open(path, 'wx', 0o640);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    if (gid !== 0) await chown(path, -1, gid);
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  gid: (path) => stat(path).then(({ gid }) => gid, orWhenMissing(null)),
  resolve: (path) => realpath(path).catch(() => path),
};

const nodeProcesses: BirdProcesses = {
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  check: (binary, file) =>
    new Promise((resolve, reject) => {
      execFile(binary, ['-p', '-c', file], { timeout: 10_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(null);
        else if (typeof error.code === 'string') reject(error);
        else resolve((stderr + stdout).trim() || `exit ${error.code ?? error.signal}`);
      });
    }),
  start(binary, words, output) {
    const log = openSync(output, 'a', 0o640);
    try {
      const child = spawn(binary, words, { detached: true, cwd: '/', stdio: ['ignore', log, log] });
      child.unref();
      if (child.pid !== undefined) goBefore(child.pid);
      const ended = new Promise<string>((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(signal === null ? `exit ${code}` : `killed by ${signal}`));
      });
      return { pid: child.pid, ended };
    } finally {
      closeSync(log);
    }
  },
};

/** Who says 300 ms late that he is there is taken for dead: BIRD does not wait for this machine's other work. */
function goBefore(pid: number): void {
  try {
    setPriority(pid, -10);
  } catch {
    /* An agent without root may not, and a process that ended at once needs none. */
  }
}

function orWhenMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
