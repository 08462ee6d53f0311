import test from 'ava';
import { kernelName, layoutVersion, mapNames } from '../../src/dataplane/layout.js';

/** BPF_OBJ_NAME_LEN with its final NUL: the kernel cuts what is longer, and with it the version. */
const LONGEST = 15;

test('the kernel has room for the name of every pinned map with its version', (t) => {
  for (const name of mapNames) {
    t.true(kernelName(name).length <= LONGEST, `${kernelName(name)}: ${kernelName(name).length} characters`);
    t.true(kernelName(name).endsWith(`_v${layoutVersion}`));
  }
});
