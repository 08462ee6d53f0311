import test from 'ava';
import { connectionFailure, isConnectionFailure } from '../../../src/cli/connection_failure.js';

const none = (cause: string): string => `No connection established. Last error: ${cause}. Resolution note: `;
const unix = { target: 'unix:/run/spillway/agent.sock', tls: false };
const tcp = { target: 'lb1:7443', tls: false };
const tls = { target: 'lb1:7443', tls: true };

const cases: readonly (readonly [string, typeof unix, string, RegExp])[] = [
  [none('connect ENOENT /run/spillway/agent.sock'), unix, 'no such socket', /spillwayd running/],
  [none('connect EACCES /run/spillway/agent.sock'), unix, 'permission denied', /root/],
  [none('connect ECONNREFUSED 192.0.2.1:7443'), tcp, 'connection refused', /spillwayd running/],
  [none('connect EHOSTUNREACH 192.0.2.1:7443'), tls, 'no route to the host', /routes/],
  ['Name resolution failed for target dns:lb1:7443', tcp, 'the name is not known', /--socket/],
  [none('Failed to connect (2026-01-02T03:04:05.000Z)'), tcp, 'the connection was closed', /--tls-ca/],
  [
    none('Failed to connect (2026-01-02T03:04:05.000Z)'),
    tls,
    'the connection was closed during the TLS handshake',
    /clientCa/,
  ],
  [
    none('Error: self-signed certificate in certificate chain'),
    tls,
    'self-signed certificate in certificate chain',
    /--tls-ca/,
  ],
  [
    none("Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: foo"),
    tls,
    "Hostname/IP does not match certificate's altnames: Host: foo",
    /--tls-server-name/,
  ],
  [none('Failed to connect'), unix, 'Failed to connect', /socket of an agent/],
];

for (const [message, call, reason, remedy] of cases) {
  test(`${call.target}${call.tls ? ' with TLS' : ''}: ${message}`, (t) => {
    t.true(isConnectionFailure(message));
    const failure = connectionFailure(message, call);
    t.is(failure.reason, reason);
    t.regex(failure.remedy, remedy);
  });
}
