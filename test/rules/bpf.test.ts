/** What old kernels refuse in BPF programs, found before one of them is booted (npm run test:kernels). */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';

const sources = readdirSync('bpf')
  .filter((name) => /\.[ch]$/.test(name))
  .map((name) => ({ name, text: readFileSync(`bpf/${name}`, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '') }));

test("a map's key is no field of what a function was given: kernels before 6.2 take none from there", (t) => {
  const calls = sources.flatMap(({ name, text }) =>
    [...text.matchAll(/bpf_map_\w+_elem\(\s*&\w+,\s*([^,)]+)/g)].map(([, key]) => ({ name, key: key!.trim() })),
  );
  t.true(calls.length > 20);
  t.deepEqual(
    calls.filter(({ key }) => key.includes('->')),
    [],
  );
});
