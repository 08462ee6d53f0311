/** What nodes call listeners and backends when they speak to each other. */
import test from 'ava';
import { backendWireId, serviceWireId } from '../../../src/compile/wire-ids.js';
import { backend, group, listener } from '../../support/desired.js';

const https = listener({ port: 443, backendGroup: 'web' });
const be1 = backend('be1', '203.0.113.21');
const web = group('web', 'IPIP', [be1]);

test('a listener is called by protocol, VIP and port, a backend by group, name and address: written down, for nodes of other versions have to say the same', (t) => {
  t.is(serviceWireId(https, '192.0.2.10'), 3_099_714_333);
  t.is(backendWireId(web, be1), 1_588_659_931);
});

test('what else is said of them makes no difference', (t) => {
  const renamed = listener({
    ...https,
    name: 'other',
    backendGroup: 'b',
    scheduler: 'WLC',
  });
  t.is(serviceWireId(renamed, '192.0.2.10'), serviceWireId(https, '192.0.2.10'));
  const moved = { ...be1, weight: 1, zone: 'a' };
  t.is(backendWireId(group('web', 'GUE', [moved]), moved), backendWireId(web, be1));
});

test('another port, protocol or VIP is another listener; another group, name or address another backend', (t) => {
  const services = [
    serviceWireId(https, '192.0.2.10'),
    serviceWireId(https, '2001:db8::10'),
    serviceWireId({ ...https, port: 80 }, '192.0.2.10'),
    serviceWireId({ ...https, protocol: 'udp' }, '192.0.2.10'),
    serviceWireId({ ...https, protocol: 'udp', scheduler: 'QCH' }, '192.0.2.10'),
  ];
  const backends = [
    backendWireId(web, be1),
    backendWireId({ name: 'api' }, be1),
    backendWireId(web, { ...be1, name: 'be2' }),
    backendWireId(web, { ...be1, address: '203.0.113.22' }),
    backendWireId({ name: 'we' }, { ...be1, name: 'bbe1' }),
  ];
  t.is(new Set(services).size, services.length);
  t.is(new Set(backends).size, backends.length);
  for (const id of [...services, ...backends]) t.true(Number.isInteger(id) && id > 0 && id <= 0xffff_ffff);
});
