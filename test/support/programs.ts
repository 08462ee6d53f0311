/** Every BPF program of the build, loaded once: what this kernel's verifier made of it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { encodeConfig, type Rules } from '../../src/backend/rules.js';
import { BpfObject, type LoadOptions } from '../../src/dataplane/addon.js';

export interface VerifiedProgram {
  readonly name: string;
  readonly tag: string;
  readonly instructions: number;
  readonly jitedBytes: number;
}

/** Instructions that the verifier went through, by program, by kernel family ("6.1"). */
export type Golden = Readonly<Record<string, Readonly<Record<string, number>>>>;

const directory = fileURLToPath(new URL('../../bpf/', import.meta.url));
const goldenFile = fileURLToPath(new URL('../../../test/golden/verified_instructions.json', import.meta.url));

/** "6.1" of "6.1.0-56-amd64". */
export function kernelFamily(version = release()): string {
  return /^\d+\.\d+/.exec(version)?.[0] ?? version;
}

const everythingOn: Rules = {
  macs: ['02:00:00:00:00:11'],
  ifindex: 1,
  from: [{ address: '203.0.113.8', bits: 29 }],
  onlyVips: true,
  vips: ['192.0.2.10'],
  mappings: [{ protocol: 'tcp', vip: '192.0.2.10', vipPort: 80, host: '203.0.113.21', hostPort: 8080 }],
  exempt: [{ address: '203.0.113.8', bits: 29 }],
  guePort: 6080,
  clamp: 'auto',
};

/** @throws NativeError of the first that does not load, with the verifier's log. */
export function verifiedPrograms(): VerifiedProgram[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.bpf.o'));
  return files.sort().flatMap(programsOf);
}

/** What is off by default is not verified: the backend's programs are counted with everything on. */
const options: Readonly<Record<string, LoadOptions>> = {
  'decap.bpf.o': { rodata: { config: encodeConfig(everythingOn, false) } },
};

function programsOf(file: string): VerifiedProgram[] {
  const object = BpfObject.load(directory + file, options[file]);
  const { programNames } = object;
  const room = file.replace('.bpf.o', '');
  const programs = programNames.map((name) => {
    const program = object.program(name);
    const { tag, verifiedInstructions, jitedBytes } = program.info;
    program.close();
    return {
      name: programNames.length > 1 ? `${room}/${name}` : room,
      tag,
      instructions: verifiedInstructions,
      jitedBytes,
    };
  });
  object.close();
  return programs;
}

export function readGolden(): Golden {
  return JSON.parse(readFileSync(goldenFile, 'utf8')) as Golden;
}

/** Takes the counts of this kernel for the right ones; those of the others stay. */
export function writeGolden(programs: readonly VerifiedProgram[]): void {
  const counts = Object.fromEntries(programs.map(({ name, instructions }) => [name, instructions]));
  const families = Object.entries({ ...readGolden(), [kernelFamily()]: counts });
  const sorted = families.sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  writeFileSync(goldenFile, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}

/** The verifier gives up at a million. */
const LIMIT = 1_000_000;
const GROWTH = 1.1;

/** What is wrong with these counts, as sentences: null counts for a kernel that nobody has counted on. */
export function countFaults(
  programs: readonly VerifiedProgram[],
  golden: Readonly<Record<string, number>> | null,
): string[] {
  const faults: string[] = [];
  for (const { name, instructions } of programs) {
    const known = golden?.[name];
    if (instructions > LIMIT / 2) faults.push(`${name}: ${instructions}, more than half of what the verifier allows`);
    if (known !== undefined && instructions > known * GROWTH) {
      faults.push(`${name}: ${instructions} instructions where ${known} were, more than a tenth above`);
    }
    if (golden !== null && known === undefined)
      faults.push(`${name}: ${instructions} instructions, never written down`);
  }
  const names = new Set(programs.map(({ name }) => name));
  for (const name of Object.keys(golden ?? {}))
    if (!names.has(name)) faults.push(`${name}: written down, but not built`);
  return faults;
}
