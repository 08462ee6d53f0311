import { accepted, l0, refused, withCheck } from './documents.js';

const check = `${l0}.healthCheck`;

accepted([['a timeout above the interval', withCheck({ tcp: {}, interval: '0.1s', timeout: '300s' })]]);

refused([
  [
    'a check of no kind',
    withCheck({}),
    { [check]: 'required: one of tcp, http, udp (for a plain connect, tcp: {}); or leave healthCheck out' },
  ],
  [
    'an interval too short',
    withCheck({ tcp: {}, interval: '0.099s' }),
    { [`${check}.interval`]: '99 ms is not within 100 ms to 50 s' },
  ],
  [
    'an interval too long',
    withCheck({ tcp: {}, interval: '51s' }),
    { [`${check}.interval`]: '51 s is not within 100 ms to 50 s' },
  ],
  [
    'a timeout too short',
    withCheck({ tcp: {}, timeout: '0.049s' }),
    { [`${check}.timeout`]: '49 ms is not within 50 ms to 300 s' },
  ],
  [
    'a timeout too long',
    withCheck({ tcp: {}, timeout: '301s' }),
    { [`${check}.timeout`]: '301 s is not within 50 ms to 300 s' },
  ],
  [
    'thresholds above 10',
    withCheck({ tcp: {}, rise: 11, fall: 12 }),
    {
      [`${check}.rise`]: '11 is not within 1 to 10 (unset: 3)',
      [`${check}.fall`]: '12 is not within 1 to 10 (unset: 3)',
    },
  ],
  ['a check port of 65536', withCheck({ tcp: {}, port: 65536 }), { [`${check}.port`]: '65536 is no port: 1 to 65535' }],
  [
    'the method POST',
    withCheck({ http: { method: 'POST' } }),
    { [`${check}.http.method`]: '"POST": GET or HEAD is expected' },
  ],
  [
    'a path without its slash',
    withCheck({ http: { path: 'ready' } }),
    { [`${check}.http.path`]: '"ready": "/", then no spaces and only ASCII, is expected: escape others as %XX' },
  ],
  [
    'a path of 81 characters',
    withCheck({ http: { path: `/${'a'.repeat(80)}` } }),
    { [`${check}.http.path`]: '81 characters; at most 80 are allowed' },
  ],
  [
    'a host of 81 characters',
    withCheck({ http: { host: 'a'.repeat(81) } }),
    { [`${check}.http.host`]: '81 characters; at most 80 are allowed' },
  ],
  [
    'a host with a header in it',
    withCheck({ http: { host: 'a\r\nX: y' } }),
    { [`${check}.http.host`]: '"a\\r\\nX: y": a host name or address is expected, perhaps with a port' },
  ],
  [
    'codes that are none',
    withCheck({ http: { expectedCodes: ['200', '6xx', '299-200', '99'] } }),
    Object.fromEntries(
      ['6xx', '299-200', '99'].map((text, index) => [
        `${check}.http.expectedCodes[${index + 1}]`,
        `"${text}": "200", "2xx" or "200-299" is expected, within 100 to 599`,
      ]),
    ),
  ],
  [
    'an expected reply to nothing',
    withCheck({ udp: { expectedReply: 'aGk=' } }),
    { [`${check}.udp.request`]: 'required with expectedReply: nobody answers an empty datagram' },
  ],
  [
    'a request that would be fragmented',
    withCheck({ udp: { request: Buffer.alloc(1233).toString('base64') } }),
    { [`${check}.udp.request`]: '1233 bytes; at most 1232' },
  ],
]);
