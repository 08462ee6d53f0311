import { execFileSync } from 'node:child_process';
import test from 'ava';

/** Runs a line of bash with scripts/lib/packages.sh and a systemctl that only says what it was asked for. */
function run(line: string): string[] {
  const systemctl = 'systemctl() { echo "$*"; }';
  const script = `set -euo pipefail; . scripts/lib/common.sh; . scripts/lib/packages.sh; ${systemctl}; ${line}`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

test('services of packages that are only wanted for their binaries do not start at the next boot', (t) => {
  t.deepEqual(run('disable_new_services clang bird2 curl'), ['--quiet disable bird.service']);
  t.deepEqual(run('disable_new_services prometheus'), [
    '--quiet disable prometheus.service',
    '--quiet disable prometheus-node-exporter.service',
  ]);
  t.deepEqual(run('disable_new_services clang make'), []);
});
