/**
 * What the verifier goes through for each program: a limit of the kernel, and the time of each load. The counts are in
 * test/golden/verified_instructions.json; UPDATE_GOLDEN=1 writes those of this kernel, `scripts/test-kernels --update`
 * those of the kernel that it boots.
 */
import test from 'ava';
import { countFaults, kernelFamily, readGolden, verifiedPrograms, writeGolden } from '../support/programs.js';

test('every program loads, and none has grown by more than a tenth since its count was written down', (t) => {
  const programs = verifiedPrograms();
  t.true(programs.length >= 4);
  if (process.env['UPDATE_GOLDEN'] === '1') writeGolden(programs);
  const golden = readGolden()[kernelFamily()] ?? null;
  if (golden === null)
    t.log(`nobody has counted on a kernel ${kernelFamily()} yet: only the verifier's limit is checked`);
  for (const { name, instructions } of programs) t.log(`${name}: ${instructions} (${golden?.[name] ?? '-'})`);
  t.deepEqual(countFaults(programs, golden), [], 'if it must be so: UPDATE_GOLDEN=1, and say why in the commit');
});

const one = { name: 'lb', tag: '', jitedBytes: 0, instructions: 1100 };

test('a tenth more passes, anything above does not', (t) => {
  t.deepEqual(countFaults([one], { lb: 1000 }), []);
  t.regex(countFaults([{ ...one, instructions: 1101 }], { lb: 1000 })[0]!, /^lb: 1101 .* where 1000 were/);
});

test('a program that nobody counted is told, and one that is gone', (t) => {
  t.deepEqual(countFaults([one], { decap: 5 }), [
    'lb: 1100 instructions, never written down',
    'decap: written down, but not built',
  ]);
});

test("on a kernel that nobody counted on, half of the verifier's limit is the limit", (t) => {
  t.deepEqual(countFaults([one], null), []);
  t.is(countFaults([{ ...one, instructions: 500_001 }], null).length, 1);
});

test('a family of kernels is its first two numbers', (t) => {
  t.is(kernelFamily('6.1.0-56-amd64'), '6.1');
  t.is(kernelFamily('6.18.44-fc-v669'), '6.18');
});
