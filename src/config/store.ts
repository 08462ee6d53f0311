import { dirname } from 'node:path';
import { UnavailableError } from '../base/errors.js';
import { decodeEnvelope, encodeEnvelope, type Saved } from './envelope.js';
import { nodeFiles, type StoreFiles } from './store_files.js';

export type { Saved } from './envelope.js';

export interface DamagedFile {
  readonly path: string;
  /** Where it is kept for inspection; null when it could not be renamed and is left where it was. */
  readonly setAside: string | null;
  readonly reason: string;
}

export interface Loaded {
  /** Null: nothing was saved yet, or nothing of it can be trusted. */
  readonly saved: Saved | null;
  /** `previous`: the current file was damaged, and this is the state before the last apply. */
  readonly source: 'current' | 'previous' | 'none';
  /** For the log and for Status.problems. */
  readonly damaged: readonly DamagedFile[];
}

export interface Store {
  readonly path: string;
  /** @throws UnavailableError when a file is there but cannot be read. */
  load(): Promise<Loaded>;
  /** On disk when it resolves. @throws UnavailableError when the disk refuses: the file before is untouched. */
  save(saved: Saved): Promise<void>;
}

/** The last applied desired state in `path`, and the one before it in `path`.previous. */
export function openStore(path: string, options: { files?: StoreFiles; now?: () => number } = {}): Store {
  const { files = nodeFiles, now = Date.now } = options;
  const previous = `${path}.previous`;
  let last: Promise<void> = Promise.resolve();
  return {
    path,
    load: () => load([path, previous], { files, now }),
    save(saved) {
      // One at a time: they share the temporary file.
      const mine = last.then(() => save(path, saved, files));
      last = mine.catch(() => {});
      return mine;
    },
  };
}

async function save(path: string, saved: Saved, files: StoreFiles): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await files.makeFolder(dirname(path));
    await files.writeDurably(fresh, encodeEnvelope(saved));
    await keepPrevious(path, files);
    await files.rename(fresh, path);
    await files.syncFolder(dirname(path));
  } catch (error) {
    await files.remove(fresh).catch(() => {});
    throw new UnavailableError(`the configuration cannot be saved to ${path}: ${remedy(error)}`, { cause: error });
  }
}

/** By a second name, so that at every moment `path` is a whole file. */
async function keepPrevious(path: string, files: StoreFiles): Promise<void> {
  const spare = `${path}.previous.new`;
  await files.remove(spare);
  try {
    await files.link(path, spare);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  await files.rename(spare, `${path}.previous`);
}

async function load(
  paths: readonly string[],
  { files, now }: { files: StoreFiles; now: () => number },
): Promise<Loaded> {
  const damaged: DamagedFile[] = [];
  for (const [index, path] of paths.entries()) {
    const text = await readIfThere(path, files);
    // Without a current file, a previous one is a leftover: to restore it would undo a removal by hand.
    if (text === null && index === 0) break;
    if (text === null) continue;
    try {
      const saved = decodeEnvelope(text);
      if (index === 0) return { saved, source: 'current', damaged };
      // Or the next start, without any current file, would find nothing.
      await files.link(path, paths[0]!).catch(() => {});
      return { saved, source: 'previous', damaged };
    } catch (error) {
      const reason = (error as Error).message;
      damaged.push({ path, setAside: await setAside(path, { files, now }), reason });
    }
  }
  return { saved: null, source: 'none', damaged };
}

async function readIfThere(path: string, files: StoreFiles): Promise<string | null> {
  try {
    return await files.read(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new UnavailableError(`the saved configuration ${path} cannot be read: ${remedy(error)}`, { cause: error });
  }
}

async function setAside(
  path: string,
  { files, now }: { files: StoreFiles; now: () => number },
): Promise<string | null> {
  const aside = `${path}.damaged-${new Date(now()).toISOString().replace(/[:.]/g, '')}`;
  return files.rename(path, aside).then(
    () => aside,
    () => null,
  );
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space, then apply again',
  EDQUOT: 'the disk quota is used up: raise it, then apply again',
  EROFS: 'the file system is read-only: remount it, or set stateDirectory to another',
  EACCES: 'permission denied: spillwayd needs to own stateDirectory',
  EPERM: 'not permitted: spillwayd needs to own stateDirectory',
};

function remedy(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return code !== undefined && code in remedies ? `${remedies[code]} (${message})` : message;
}
