import test from 'ava';
import { kernelName, layoutVersion, mapNames, pinnedMaps } from '../../src/dataplane/layout.js';

/** BPF_OBJ_NAME_LEN with its final NUL: the kernel cuts what is longer, and with it the version. */
const LONGEST = 15;

test('the kernel has room for the name of every pinned map with its version', (t) => {
  for (const name of mapNames) {
    t.true(kernelName(name).length <= LONGEST, `${kernelName(name)}: ${kernelName(name).length} characters`);
    t.is(kernelName(name), `${name}_v${pinnedMaps[name].version}`);
  }
});

test('the layout version is the newest that a map has', (t) => {
  t.is(layoutVersion, Math.max(...mapNames.map((name) => pinnedMaps[name].version)));
});
