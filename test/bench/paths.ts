import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This file runs from dist/test/bench. */
export const OUT = dirname(fileURLToPath(import.meta.url));
export const ROOT = join(OUT, '..', '..', '..');
export const SOURCE = join(ROOT, 'test', 'bench');
export const LB_OBJECT = join(ROOT, 'dist', 'bpf', 'lb.bpf.o');
export const CLOCK_OBJECT = join(ROOT, 'dist', 'bpf', 'clock.bpf.o');
