// Exit 0 when node_modules holds exactly what package-lock.json names, so that `npm ci` would change nothing.
// npm writes node_modules/.package-lock.json last: a killed install leaves none that is newer than its content.
import { readFileSync } from 'node:fs';

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
try {
  const wanted = packagesOf('package-lock.json');
  const installed = packagesOf('node_modules/.package-lock.json');
  delete wanted[''];
  const differs = (path) => {
    if (installed[path] === undefined) return wanted[path].optional !== true;
    return installed[path].version !== wanted[path].version || installed[path].integrity !== wanted[path].integrity;
  };
  const extra = Object.keys(installed).some((path) => wanted[path] === undefined);
  process.exitCode = extra || Object.keys(wanted).some(differs) ? 1 : 0;
} catch {
  process.exitCode = 1;
}
