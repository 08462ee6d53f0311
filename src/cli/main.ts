#!/usr/bin/env node
import { endQuietlyOnBrokenPipe, processIo } from './io.js';
import { run } from './run.js';

// Warnings of libraries to their authors are nothing for an operator.
process.noDeprecation = true;
const io = processIo();
endQuietlyOnBrokenPipe(io.stdout);
const code = await run(process.argv.slice(2), io);
// Whatever was written goes out before the process ends; nothing that a library left open keeps it alive.
io.stdout.write('', () => process.exit(code));
