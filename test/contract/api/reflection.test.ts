import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { startApi } from './harness.js';

interface Answers {
  services: string[];
  alpha: string[];
  apply: unknown;
  get: unknown;
  status: { listeners: { traffic: { bytes: string } }[] };
  refused: { code: string; message: string; trailers: string[] };
}

test('a client in another language learns the API by reflection and uses it', async (t) => {
  const { client, socket } = await startApi(t);
  // Debian's own Python: another one in PATH would not see python3-grpcio.
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [
    'test/contract/api/independent_client.py',
    `unix:${socket}`,
  ]);
  const answers = JSON.parse(stdout) as Answers;
  t.deepEqual(answers.services, [
    'spillway.v1.CaptureService',
    'spillway.v1.ClusterService',
    'spillway.v1.ConfigService',
    'spillway.v1.MeteringService',
    'spillway.v1.NodeService',
    'spillway.v1.SessionService',
    'spillway.v1.StatusService',
  ]);
  t.deepEqual(answers.alpha, answers.services);
  t.deepEqual(answers.apply, { version: '1', changed: true });
  t.like(answers.get, { version: '1' });
  t.is((await client.config.get()).config!.backendGroups[0]!.backends[0]!.weight, 0);
  t.is(answers.status.listeners[0]!.traffic.bytes, '18446744073709551615', 'counters pass 2^53 unharmed');
  t.is(answers.refused.code, 'INVALID_ARGUMENT');
  t.regex(answers.refused.message, /^backendGroups\[0\]\.backends\[0\]\.address: .* \(and 4999 more/);
  t.true(answers.refused.trailers.includes('grpc-status-details-bin'));
});
