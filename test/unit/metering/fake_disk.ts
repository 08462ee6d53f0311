import type { MeteringFiles } from '../../../src/metering/files.js';
import type { Random } from '../../support/random.js';

/** What a process meets when it is ended in the middle of an operation: nothing that it does counts any more. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** Files that outlive the processes that write them, and a disk that can be full. */
export class FakeDisk {
  readonly files = new Map<string, Buffer>();
  full = false;

  constructor(private readonly random: Random) {}

  /** For one process, which ends in its `operations`-th operation; null: it lives on. */
  process(operations: number | null): MeteringFiles & { readonly dead: boolean; end(): void } {
    let left = operations ?? Number.POSITIVE_INFINITY;
    /** `half` is what may be done of it when the process ends in it, or when the disk is full. */
    const step = async <T>(
      whole: () => T,
      half: (why: 'crash' | 'full') => void = () => {},
      writes = false,
    ): Promise<T> => {
      await Promise.resolve();
      if (left <= 0) throw new Crash();
      if (--left === 0) {
        half('crash');
        throw new Crash();
      }
      if (writes && this.full) {
        half('full');
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      }
      return whole();
    };
    const { files, random } = this;
    const put = (path: string, offset: number, bytes: Buffer): void => {
      const before = files.get(path) ?? Buffer.alloc(0);
      const after = Buffer.alloc(Math.max(before.length, offset + bytes.length));
      before.copy(after);
      bytes.copy(after, offset);
      files.set(path, after);
    };
    return {
      get dead() {
        return left <= 0;
      },
      end() {
        left = 0;
      },
      makeFolder: () => step(() => {}),
      list: (folder) =>
        step(() =>
          [...files.keys()]
            .filter((path) => path.startsWith(`${folder}/`))
            .map((path) => path.slice(folder.length + 1)),
        ),
      read: (path) => step(() => files.get(path)?.toString('utf8') ?? null),
      size: (path) => step(() => files.get(path)?.length ?? null),
      readAt: (path, { offset, length }) => step(() => Buffer.from(files.get(path)!.subarray(offset, offset + length))),
      writeAt: (path, { offset, bytes }) =>
        step(
          () => put(path, offset, bytes),
          () => put(path, offset, bytes.subarray(0, random.below(bytes.length + 1))),
          true,
        ),
      truncate: (path, size) => step(() => void files.set(path, files.get(path)!.subarray(0, size))),
      replace: (path, text) =>
        step(
          () => void files.set(path, Buffer.from(text)),
          (why) => why === 'crash' && random.chance(0.5) && files.set(path, Buffer.from(text)),
          true,
        ),
      rename: (from, to) =>
        step(() => {
          files.set(to, files.get(from)!);
          files.delete(from);
        }),
      remove: (path) => step(() => void files.delete(path)),
    };
  }
}
