import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { BackendError } from '../errors.js';
import { emptyLedger, type Ledger, type Report, type Totals, type VipUsage } from './ledger.js';

const version = 1;

type TotalsText = Readonly<Record<keyof Totals, string>>;
type UsageText = TotalsText & { readonly vip: string };

interface FileText {
  readonly version: number;
  readonly epoch: string;
  readonly sequence: string;
  readonly taken: readonly (TotalsText & { readonly born: string; readonly seenMs: number })[];
  readonly returned: readonly UsageText[];
  readonly unsettled: readonly {
    readonly target: string;
    readonly sequence: string;
    readonly usage: readonly UsageText[];
  }[];
}

/** The ledger in a file that is always whole: written beside, synced, renamed. One process at a time holds it. */
export class LedgerFile {
  private constructor(
    private readonly file: string,
    private readonly lock: string,
  ) {}

  /** @throws BackendError when another process holds it, or it cannot be written there. */
  static open(file: string): LedgerFile {
    const lock = `${file}.lock`;
    try {
      mkdirSync(path.dirname(file), { recursive: true });
      takeLock(lock);
    } catch (error) {
      if (error instanceof BackendError) throw error;
      throw new BackendError(
        `cannot keep what was reported in ${file}: ${(error as Error).message}`,
        'Choose another --state.',
        {
          cause: error,
        },
      );
    }
    return new LedgerFile(file, lock);
  }

  /**
   * A new ledger when there is none.
   * @throws BackendError when it cannot be understood: going on without it would count twice.
   */
  read(): Ledger {
    if (!existsSync(this.file)) return emptyLedger(randomUUID());
    try {
      return decodeLedger(readFileSync(this.file, 'utf8'));
    } catch (error) {
      throw new BackendError(
        `${this.file} is not what this program wrote: ${(error as Error).message}`,
        'It says what was reported. Mend it; or remove it, and all that the counters hold is reported again.',
        { cause: error },
      );
    }
  }

  write(ledger: Ledger): void {
    const fresh = `${this.file}.new`;
    const descriptor = openSync(fresh, 'w', 0o600);
    try {
      writeSync(descriptor, encodeLedger(ledger));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(fresh, this.file);
    const directory = openSync(path.dirname(this.file), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }

  close(): void {
    rmSync(this.lock, { force: true });
  }
}

/** The lock names its process; one that a dead process left is taken over. */
function takeLock(lock: string): void {
  for (;;) {
    try {
      const descriptor = openSync(lock, 'wx', 0o600);
      writeSync(descriptor, `${process.pid} ${startOf(process.pid)}\n`);
      closeSync(descriptor);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', start = ''] = readFileSync(lock, 'utf8').trim().split(' ');
    if (start !== '' && startOf(Number(pid)) === start) {
      throw new BackendError(
        `process ${pid} reports with this state already (${lock})`,
        'One is enough. For another network namespace choose another --state and --reporter.',
      );
    }
    rmSync(lock, { force: true });
  }
}

/** When a process began, in ticks since boot; empty: there is none, or it is dead and not yet reaped. */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

export function encodeLedger(ledger: Ledger): string {
  const text: FileText = {
    version,
    epoch: ledger.epoch,
    sequence: String(ledger.sequence),
    taken: [...ledger.taken].map(([born, { seenMs, ...totals }]) => ({ born, seenMs, ...totalsText(totals) })),
    returned: ledger.returned.map(usageText),
    unsettled: ledger.unsettled.map(({ target, sequence, usage }) => ({
      target,
      sequence: String(sequence),
      usage: usage.map(usageText),
    })),
  };
  return `${JSON.stringify(text, null, 1)}\n`;
}

/** @throws Error saying what is wrong with it */
export function decodeLedger(json: string): Ledger {
  const text = JSON.parse(json) as FileText;
  if (text.version !== version) throw new Error(`version ${text.version}, wanted ${version}`);
  if (typeof text.epoch !== 'string' || text.epoch === '') throw new Error('it has no epoch');
  return {
    epoch: text.epoch,
    sequence: BigInt(text.sequence),
    taken: new Map(text.taken.map(({ born, seenMs, ...totals }) => [born, { ...totalsOf(totals), seenMs }])),
    returned: text.returned.map(usageOf),
    unsettled: text.unsettled.map(
      ({ target, sequence, usage }): Report => ({ target, sequence: BigInt(sequence), usage: usage.map(usageOf) }),
    ),
  };
}

function totalsText({ packetsIn, bytesIn, packetsOut, bytesOut }: Totals): TotalsText {
  return {
    packetsIn: String(packetsIn),
    bytesIn: String(bytesIn),
    packetsOut: String(packetsOut),
    bytesOut: String(bytesOut),
  };
}

function totalsOf({ packetsIn, bytesIn, packetsOut, bytesOut }: TotalsText): Totals {
  return {
    packetsIn: BigInt(packetsIn),
    bytesIn: BigInt(bytesIn),
    packetsOut: BigInt(packetsOut),
    bytesOut: BigInt(bytesOut),
  };
}

function usageText(usage: VipUsage): UsageText {
  return { vip: usage.vip, ...totalsText(usage) };
}

function usageOf(usage: UsageText): VipUsage {
  return { vip: usage.vip, ...totalsOf(usage) };
}
