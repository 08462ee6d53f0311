/** A capture on a running node: what it sees, what it costs the traffic (nothing), and that it goes without a trace. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'ava';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, tcp, udp, web } from '../support/lab/desired.js';
import { vip4 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

let cluster: Cluster;

test.before(async () => {
  cluster = await Cluster.start(`cap-${process.pid}`);
  await cluster.apply(web([tcp(80, 'servers'), udp(echoPort, 'servers')], [group('servers')]));
});
test.after.always(() => cluster?.close());

const both = (): readonly (typeof cluster.agents)[number][] => cluster.agents;

test.serial('requests are captured with their backends; the file is read by others; no request fails', async (t) => {
  const files = both().map((_, i) => `${cluster.lab.directory('captures')}/lb${i + 1}.pcapng`);
  const captures = both().map((agent, i) =>
    agent.spillway('capture', '--port', '80', '-w', files[i]!, '--duration', '6s', '--rate', '100000'),
  );
  await until('both captures have begun', async () => files.every((file) => sizeOf(file) > 0));
  const answers = await cluster.client.call('requests', { address: vip4, port: 80, count: 20 });
  t.is(answers.length, 20);
  for (const { code, stderr } of await Promise.all(captures)) {
    t.is(code, 0, stderr);
    t.regex(stderr, /\d+ packets captured/);
  }
  const text = files.map((file) => readPcap(file)).join('');
  for (const { localPort } of answers) {
    const lines = text.split('\n').filter((line) => line.includes(`.${localPort} > ${vip4}.80`));
    t.true(
      lines.some((line) => line.includes('Flags [S]')),
      `the SYN of port ${localPort} in\n${text.slice(0, 500)}`,
    );
  }
  const bytes = Buffer.concat(files.map((file) => readFileSync(file))).toString('latin1');
  t.regex(bytes, /to be[123] \(web\//);
});

test.serial('drops are shown as they happen, with their reason, one line each', async (t) => {
  const captures = both().map((agent) =>
    agent.spillway('capture', '--reason', 'no_listener', '--count', '1', '--json', '--duration', '8s'),
  );
  await until('a drop was captured', async () => {
    await cluster.client.call('requests', { address: vip4, port: 81, count: 1, timeoutMs: 200 });
    return Promise.race([Promise.any(captures.map((one) => one.then(({ stdout }) => stdout !== ''))), wait(200)]);
  });
  const said = (await Promise.all(captures)).map(({ stdout }) => stdout).join('');
  const packet = JSON.parse(said.split('\n').find((line) => line !== '')!) as { verdict: string; reason: string };
  t.like(packet, { verdict: 'drop', reason: 'no_listener' });
});

test.serial('one capture at a time, and afterwards the plain program is back', async (t) => {
  const [agent] = both();
  const first = agent!.spillway('capture', '--duration', '2s');
  await until('the second is refused', async () => {
    const { code, stderr } = await agent!.spillway('capture', '--duration', '1ms');
    return code === 1 && /a capture is running since/.test(stderr);
  });
  t.is((await first).code, 0);
  await until('the next may begin', async () => (await agent!.spillway('capture', '--duration', '50ms')).code === 0);
  const { problems } = JSON.parse((await agent!.spillway('status', '--json')).stdout) as { problems: string[] };
  t.deepEqual(problems, []);
  t.is((await cluster.client.call('requests', { address: vip4, port: 80, count: 10 })).length, 10);
});

function sizeOf(file: string): number {
  try {
    return readFileSync(file).length;
  } catch {
    return 0;
  }
}

function readPcap(file: string): string {
  return execFileSync('tcpdump', ['-nr', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

async function wait(ms: number): Promise<false> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return false;
}
