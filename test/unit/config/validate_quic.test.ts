import { accepted, b0, backend, type Document, group, l0, refused, withGroup, withListener } from './documents.js';

const config = { id: 0, serverIdLength: 1, nonceLength: 4 };
const key = Buffer.alloc(16, 7).toString('base64');
const withId = { ...backend, quicServerId: Buffer.of(1).toString('base64') };
const withQuic = (configs: readonly Document[], backends: readonly Document[] = [withId], change: Document = {}) =>
  withListener(
    { protocol: 'UDP', scheduler: 'QCH', quic: { configs }, ...change },
    { backendGroups: [{ ...group, backends }] },
  );
const c0 = `${l0}.quic.configs[0]`;

accepted([
  ['QCH in plain text', withQuic([config])],
  [
    'QCH with a key and without, in one listener',
    withQuic([
      { ...config, nonceLength: 15, key },
      { ...config, id: 6 },
    ]),
  ],
  ['QCH with the longest ids', withQuic([{ id: 0, serverIdLength: 15, nonceLength: 4 }], [])],
  ['QCH with the longest nonce', withQuic([{ ...config, nonceLength: 18 }])],
  ['one group for QCH and TCH', withQuic([config])],
]);

refused([
  [
    'QCH on TCP',
    withQuic([config], [withId], { protocol: 'TCP' }),
    { [`${l0}.scheduler`]: 'QCH is for QUIC, which is UDP: set protocol to UDP, or use TCH' },
  ],
  [
    'QCH without configs',
    withQuic([]),
    {
      [`${l0}.quic.configs`]:
        'required with QCH: how the backends write their server ids into connection ids, as {"id": 0, "serverIdLength": 4, "nonceLength": 12}',
    },
  ],
  [
    'configs without QCH',
    withListener({ quic: { configs: [config] } }),
    { [`${l0}.quic`]: 'only with the scheduler QCH: leave it out, or set scheduler to QCH' },
  ],
  [
    'a config id of 7',
    withQuic([{ ...config, id: 7 }]),
    { [`${c0}.id`]: '7 is not within 0 to 6 (7 marks ids without a server)' },
  ],
  [
    'one config id twice',
    withQuic([config, config]),
    { [`${l0}.quic.configs[1].id`]: `config id "0" is taken by ${c0}.id` },
  ],
  [
    'a server id without bytes',
    withQuic([{ ...config, serverIdLength: 0 }], []),
    { [`${c0}.serverIdLength`]: '0 is not within 1 to 15 bytes' },
  ],
  [
    'a server id of 13 bytes with a key',
    withQuic([{ ...config, serverIdLength: 13, nonceLength: 3, key }], []),
    {
      [`${c0}.serverIdLength`]:
        '13 is not within 1 to 12 bytes with a key: with the nonce, of at least 4, it fills one AES block of 16',
    },
  ],
  [
    'a nonce of 3 bytes',
    withQuic([{ ...config, nonceLength: 3 }]),
    { [`${c0}.nonceLength`]: '3 is not within 4 to 18 bytes beside a server id of 1' },
  ],
  [
    'more than 19 bytes together',
    withQuic([{ ...config, serverIdLength: 10, nonceLength: 10 }], []),
    { [`${c0}.nonceLength`]: '10 is not within 4 to 9 bytes beside a server id of 10' },
  ],
  [
    'other than 16 bytes together with a key',
    withQuic([{ ...config, nonceLength: 14, key }]),
    { [`${c0}.nonceLength`]: '14 bytes beside a server id of 1: with a key both fill one AES block of 16, so 15' },
  ],
  [
    'a key of 15 bytes',
    withQuic([{ ...config, nonceLength: 15, key: Buffer.alloc(15).toString('base64') }]),
    { [`${c0}.key`]: '15 bytes; an AES-128 key has 16 (unset: ids in plain text)' },
  ],
  [
    'server ids of two lengths',
    withQuic([config, { ...config, id: 1, serverIdLength: 2 }]),
    {
      [`${l0}.quic.configs[1].serverIdLength`]: `2 is not the 1 of ${c0}: a backend has one server id, of one length`,
    },
  ],
  [
    'a backend without a server id behind QCH',
    withQuic([config], [backend]),
    { [`${b0}.quicServerId`]: `required, 1 bytes: ${l0} has the scheduler QCH` },
  ],
  [
    'a server id of another length than the configs say',
    withQuic([config], [{ ...backend, quicServerId: 'AQI=' }]),
    { [`${b0}.quicServerId`]: `2 bytes; the configs of ${l0}.quic say 1` },
  ],
  [
    'one server id for two backends',
    withQuic([config], [withId, { address: '203.0.113.2', quicServerId: withId.quicServerId }]),
    { 'backendGroups[0].backends[1].quicServerId': `QUIC server id "01" is taken by ${b0}.quicServerId` },
  ],
  [
    'persistence with QCH',
    withQuic([config], [withId], { sourcePersistence: '60s' }),
    {
      [`${l0}.sourcePersistence`]:
        'not with QCH, which keeps to the server id also where the client changes its address: leave it out',
    },
  ],
  [
    'a server id of 16 bytes',
    withGroup({ backends: [{ ...backend, quicServerId: key }] }),
    { [`${b0}.quicServerId`]: '16 bytes; at most 15' },
  ],
]);
