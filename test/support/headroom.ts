import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BpfObject, type BpfProgram } from '../../src/dataplane/addon.js';

const objectFile = fileURLToPath(new URL('headroom.bpf.o', import.meta.url));

/** A program that calls this one with no room before the frame, which may have up to 128 bytes. */
export function withoutHeadroom(program: BpfProgram): { program: BpfProgram; close(): void } {
  const object = BpfObject.load(objectFile);
  const map = object.map('target');
  const key = ['key', '0', '0', '0', '0'];
  execFileSync('bpftool', ['map', 'update', 'id', `${map.info.id}`, ...key, 'value', 'id', `${program.info.id}`], {
    stdio: 'pipe',
  });
  const wrapper = object.program('no_headroom');
  return {
    program: wrapper,
    close: () => {
      wrapper.close();
      map.close();
      object.close();
    },
  };
}
