/** QUIC datagrams over real load balancers: the server id in the connection id decides, wherever the client is by now. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, udp, web } from '../support/lab/desired.js';
import { type BackendName, backendNames, client4, vip4 } from '../support/lab/lab.js';
import { connectionId, shortHeader } from '../support/quic.js';

const second = client4.replace(/\d+$/, '77');
const key = Buffer.from('8f95f09245765f80256934e50c66207f', 'hex');
const configs = {
  plain: { id: 0, serverIdLength: 3, nonceLength: 5, key: null },
  enciphered: { id: 1, serverIdLength: 3, nonceLength: 13, key },
};
const serverIds: Readonly<Record<BackendName, Buffer>> = {
  be1: Buffer.from('c0ffe1', 'hex'),
  be2: Buffer.from('c0ffe2', 'hex'),
  be3: Buffer.from('c0ffe3', 'hex'),
};
let cluster: Cluster;

test.before(async () => {
  cluster = await Cluster.start(`quic-${process.pid}`);
  const servers = group('servers');
  const quic = {
    configs: Object.values(configs).map((one) => ({ ...one, key: one.key ?? new Uint8Array() })),
  };
  const backends = servers.backends!.map((one) => ({ ...one, quicServerId: serverIds[one.name as BackendName] }));
  await cluster.apply(web([udp(echoPort, 'servers', { scheduler: 'QCH', quic })], [{ ...servers, backends }], [vip4]));
  await cluster.lab.exec('client', 'ip', 'address', 'add', `${second}/24`, 'dev', 'eth0');
});
test.after.always(() => cluster?.close());

async function send(from: string, payload: Buffer): Promise<{ backend: string; client: string; localPort: number }> {
  const options = { address: vip4, port: echoPort, from, payload: payload.toString('hex'), withinMs: 5000 };
  return cluster.client.call('datagram', options);
}

for (const [form, config] of Object.entries(configs)) {
  test.serial(`a flow that changes its address and port stays on its backend: ids ${form}`, async (t) => {
    const ports = new Set<number>();
    for (const name of backendNames) {
      const id = connectionId({ config, serverId: serverIds[name], nonce: randomBytes(config.nonceLength) });
      for (let i = 0; i < 12; i++) {
        const from = i % 2 === 0 ? client4 : second;
        const answer = await send(from, shortHeader(id));
        t.is(answer.backend, name, `${form}, from ${from}, port ${answer.localPort}`);
        t.true(answer.client.endsWith(from));
        ports.add(answer.localPort);
      }
    }
    t.true(ports.size > 12, 'the ports did change');
  });
}

test.serial('an id that names no server goes by addresses and ports, to one backend or another', async (t) => {
  const seen = new Set<string>();
  for (let i = 0; i < 30; i++) {
    const id = connectionId({ config: configs.plain, serverId: Buffer.from('000000', 'hex'), nonce: randomBytes(5) });
    seen.add((await send(client4, shortHeader(id))).backend);
  }
  t.true(seen.size > 1, [...seen].join());
});
